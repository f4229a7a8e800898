"""Speed, memory and start-up of retrograd beside hand-written NumPy and its peers.

Run `python -m benchmarks` from the repository root; `python -m benchmarks --help` lists the
options. `works` holds the training steps under test, `hand` and `floor` write them in NumPy,
`peers` write them in each framework.
"""
