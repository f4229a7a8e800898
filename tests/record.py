"""What the lab record prints as its net trains, which examples print again to the digit."""

TEN_LINES = """\
Epoch 0, Loss: 0.6932, Accuracy: 0.3650
Epoch 100, Loss: 0.6923, Accuracy: 0.5200
Epoch 200, Loss: 0.6921, Accuracy: 0.5200
Epoch 300, Loss: 0.6910, Accuracy: 0.5200
Epoch 400, Loss: 0.6849, Accuracy: 0.5200
Epoch 500, Loss: 0.6631, Accuracy: 0.5300
Epoch 600, Loss: 0.6318, Accuracy: 0.6200
Epoch 700, Loss: 0.6040, Accuracy: 0.6350
Epoch 800, Loss: 0.5729, Accuracy: 0.6700
Epoch 900, Loss: 0.5324, Accuracy: 0.8250
"""
