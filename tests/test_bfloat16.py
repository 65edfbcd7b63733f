"""Nothing that is computed in bfloat16 may depend on memory that nobody has written."""

import pytest
import torch

from sdgan_lib._bfloat16 import Conv2d, ConvTranspose2d
from sdgan_lib.discriminators import MultiScaleDiscriminator
from sdgan_lib.generators import make_generator
from sdgan_lib.presets import PRESETS


def leave_nan_behind():
    """Fill blocks of memory with NaN and free them: what is allocated next and not written holds NaN."""
    for power in range(10, 20, 2):
        for dtype in (torch.float32, torch.bfloat16):
            blocks = [torch.full((2**power,), torch.nan, dtype=dtype) for _ in range(8)]
            del blocks


@pytest.mark.parametrize("size", [(4, 2), (5, 3), (8, 2)])
@pytest.mark.parametrize("side", [3, 4])
def test_a_convolution_to_one_column_reads_only_what_was_written(size, side):
    torch.manual_seed(0)
    layer, x = Conv2d(128, 128, side, stride=2, padding=1), torch.randn(8, 128, *size)
    expected = layer(x)
    for _ in range(3):
        leave_nan_behind()
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(layer(x).float(), expected, rtol=0, atol=0.02)


def test_the_gradient_of_a_transposed_convolution_from_one_column_reads_only_what_was_written():
    torch.manual_seed(0)
    layer = ConvTranspose2d(128, 128, 4, stride=2, padding=1)
    x = torch.randn(8, 128, 2, 1, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x).sum(), x)
    for _ in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        leave_nan_behind()
        (gradient,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(gradient, expected, rtol=0, atol=0.1)


def test_wider_convolutions_stay_in_bfloat16():
    with torch.autocast("cpu", torch.bfloat16):
        assert Conv2d(4, 4, 4, stride=2, padding=1)(torch.zeros(1, 4, 8, 4)).dtype == torch.bfloat16
        assert ConvTranspose2d(4, 4, 4, stride=2, padding=1)(torch.zeros(1, 4, 4, 2)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", PRESETS)
def test_every_strided_convolution_of_every_network_is_mended(name):
    with torch.device("meta"):
        networks = (
            make_generator(PRESETS[name].generator),
            MultiScaleDiscriminator(PRESETS[name].discriminator, (1,)),
        )
    layers = [layer for network in networks for layer in network.modules()]
    strided = [layer for layer in layers if max(getattr(layer, "stride", (1,))) > 1]
    assert strided and all(isinstance(layer, Conv2d | ConvTranspose2d) for layer in strided)
