"""Benchmarks: what the warps, a training step, a picture, a slider and the studio cost, and how the cost grows.

Every duration but those of the studio, which its page takes, comes from ``torch.utils.benchmark``. What is compared
is timed in one process and in turn, round after round, so that a slow minute of the machine falls on both sides; a
ratio is the median over the rounds.
"""

import sdgan_lib  # noqa: F401  before PyTorch: it says how long its threads spin
