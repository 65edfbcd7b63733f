"""PyTorch's convolutions, except where they read memory that nobody has written.

In bfloat16, on a CPU with AMX, a strided convolution whose result is one pixel wide and at least two high gives numbers
that change from call to call, NaN among them (PyTorch 2.14.1 with its oneDNN). Found with memory that was filled with
NaN and freed before each call: kernels of 3x3, 4x4 and 5x5 with stride 2, from 2 or 3 columns to 1, as soon as pictures
times channels in times channels out exceed some 33,000; whatever the number of threads and the layout in memory. There
is no such fault from 2 rows to 1, without stride, in float32, or in the convolution's own gradients. The gradient of a
transposed convolution with respect to its input is a strided convolution, and has it.

Pictures of 64x32 are hit in the coarsest discriminator and in generators of depth 5, pictures of 32x16 (64x32 at half
size) in those of depth 4. Such a convolution is computed in float32 here: it has next to no pixels, so that it costs
next to nothing. Replace these classes by PyTorch's own when ``tests/test_bfloat16.py`` passes with those.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Conv2d(nn.Conv2d):
    """``torch.nn.Conv2d``, in float32 where its result has one column."""

    def forward(self, x: Tensor) -> Tensor:
        columns = (x.shape[-1] + 2 * self.padding[-1] - self.kernel_size[-1]) // self.stride[-1] + 1
        return _convolve(super().forward, x, columns)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d``, in float32 where its input has one column."""

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(super().forward, x, x.shape[-1])


def _convolve(forward: Callable[[Tensor], Tensor], x: Tensor, columns: int) -> Tensor:
    if columns > 1 or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return forward(x)
    with torch.autocast("cpu", enabled=False):
        return forward(x.float())
