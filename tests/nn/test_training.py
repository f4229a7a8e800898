"""Nets of many parts trained for some steps: compiled, they do what they do eagerly."""

import numpy as np

import retrograd as rg
from comparing import assert_compiled_agrees
from golden import array
from retrograd import nn

F = nn.functional


def image_net():
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False, rng=rng),
        nn.BatchNorm2d(8, momentum=None),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Conv2d(8, 8, 3, padding="same", groups=2, rng=rng),
        nn.GroupNorm(2, 8),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4, rng=rng),
    )


class TextNet(nn.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.embed = nn.Embedding(20, 8, padding_idx=0, rng=rng)
        self.read = nn.GRU(8, 4, 2, dropout=0.2, bidirectional=True, batch_first=True, rng=rng)
        self.attend = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, rng=rng)
        self.head = nn.Linear(8, 20, rng=rng)

    def forward(self, words):
        states, _ = self.read(self.embed(words))
        seen = self.attend(states, src_key_padding_mask=words == 0, is_causal=True)
        return np.swapaxes(self.head(seen), 1, 2)


def assert_it_trains_the_same_compiled(make_net, batches):
    def make():
        net = make_net()
        optimizer = rg.optim.Adam(net.parameters(), lr=0.01)

        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y, ignore_index=0, label_smoothing=0.1)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            optimizer.step()
            return loss

        return step, net, optimizer

    rg.manual_seed(7)
    assert_compiled_agrees(make, batches, rtol=1e-10, atol=1e-12)


def test_a_net_for_images_trains_the_same_compiled():
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=(6, 1, 8, 8)), rng.integers(4, size=6)) for _ in range(4)]
    assert_it_trains_the_same_compiled(image_net, batches)


def test_a_net_for_text_trains_the_same_compiled():
    rng = np.random.default_rng(1)
    words = [rng.integers(20, size=(3, 7)) for _ in range(4)]
    assert_it_trains_the_same_compiled(TextNet, [(w, np.roll(w, -1, axis=1)) for w in words])


def test_a_layer_takes_arrays_and_tensors_alike():
    x = np.random.default_rng(0).normal(size=(2, 1, 6, 6))
    for layer in (nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.BatchNorm2d(1).eval(), nn.ReLU()):
        one, two = layer(x), layer(rg.Tensor(x))
        np.testing.assert_array_equal(array(one), two.data)
        assert isinstance(two, rg.Tensor)
