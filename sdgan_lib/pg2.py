"""PG2: a coarse picture of the whole, then a difference map that refines it (Ma et al., 2017, arXiv 1705.09368)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.generators import Generator, GeneratorConfig
from sdgan_lib.inputs import Generated, Inputs

GRID = (8, 4)
"""Height and width of what the fully connected layer reads: 1/16 of a picture of 128x64 pixels."""
CODE = 64
"""Numbers into which it puts the whole picture, as in the published code."""


def _resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    """``features`` ``[B, C, h, w]`` at another size, interpolated; of that size already, they are left alone."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size, mode="bilinear", align_corners=False)


class Bottleneck(nn.Module):
    """Two fully connected layers, by way of :data:`CODE` numbers: what is anywhere can go everywhere.

    A convolution sees its neighbourhood only; a person whose pose changes moves farther. Features
    ``[B, in_channels, h, w]`` give ``[B, out_channels, h, w]``. They are read and written on a :data:`GRID` of fixed
    size, so that pictures of other sizes than 128x64 will do.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        cells = GRID[0] * GRID[1]
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * cells, CODE),
            nn.Linear(CODE, out_channels * cells),
            nn.Unflatten(1, (out_channels, *GRID)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return _resized(self.layers(_resized(x, GRID)), x.shape[-2:])


class ConvolutionBlock(nn.Module):
    """Two 3x3 convolutions beside an unchanged path: ``[B, channels, h, w]`` to the same shape, none of it normed."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualUNet(nn.Module):
    """The U-Net of both stages: a residual block per level on the way down and up, and skip connections.

    Args:
        in_channels: of the input ``[B, in_channels, H, W]``, H and W divisible by ``2 ** (len(channels) - 1)``.
        channels: of each level, finest first.
        bottleneck: whether a fully connected layer stands between the way down and the way up.

    Output: ``[B, 3, H, W]``, of any range.
    """

    def __init__(self, in_channels: int, channels: tuple[int, ...], bottleneck: bool):
        super().__init__()
        into = [
            channels[0] if bottleneck else channels[-1],
            *channels[-2::-1],
        ]  # of the way up, coarsest first
        joined = [a + b for a, b in zip(into, reversed(channels), strict=True)]
        self.first = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.encoder = nn.ModuleList(ConvolutionBlock(c) for c in channels)
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(channels)
        )
        self.bottleneck = Bottleneck(channels[-1], channels[0]) if bottleneck else nn.Identity()
        self.decoder = nn.ModuleList(ConvolutionBlock(c) for c in joined)
        self.ups = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(joined[:-1], into[1:], strict=True))
        self.last = nn.Conv2d(joined[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.first(x).relu(), []
        for i, block in enumerate(self.encoder):
            x = block(self.downs[i - 1](x).relu() if i else x)
            skips.append(x)
        x = self.bottleneck(x)
        for i, block in enumerate(self.decoder):
            if i:
                x = self.ups[i - 1](F.interpolate(x, scale_factor=2.0, mode="nearest")).relu()
            x = block(torch.cat([x, skips.pop()], 1))
        return self.last(x)


class PG2Generator(Generator):
    """Pose Guided Person Image Generation (Ma et al., 2017), in two stages of one run.

    Stage I (their section 3.1) makes a coarse picture of the source picture ⊕ the target's heat maps, by a U-Net of
    residual blocks with a fully connected layer at its bottom, and learns from the L1 term alone, in which the person
    counts for more (``LossConfig.person_weight``). Stage II (section 3.2) is told the source picture ⊕ the coarse one
    and makes a difference map that is added to the latter: a U-Net two levels shallower, without a fully connected
    layer, that learns from the same L1 term and from a discriminator, while stage I stands still. When the one ends
    and the other begins is ``Recipe.adversarial_start``; until then the difference is zero.

    Channels of level i are ``width * (i + 1)``, as in the published code (``levels`` has its say). What is not as in
    the paper, and why:

    - Pictures are kept in [-1, 1], the coarse one by a hyperbolic tangent and the refined one by clamping; the
      published code clamps what it writes to a file.
    - The fully connected layer reads a grid of fixed size, else one network could not be trained at two sizes.
    - The discriminator is that of the other systems: it judges patches instead of the whole, and is told the poses
      besides the source picture. Systems are compared, not discriminators.
    - So is the weight of a pixel: of the body regions instead of a dilated skeleton (they cover a third of a picture
      instead of a quarter; :func:`sdgan_lib.metrics.pose_mask` is the latter).
    - Heat maps are Gaussians as everywhere here, not discs of 4 pixels.
    - Learning rates fall within each stage. Theirs stay as they are, for some 36,000 steps.

    Where the published code departs from the paper, the paper was followed: there stage I learns from the plain L1
    term, and the discriminator sees single pictures, the source among the false ones, instead of pairs.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        channels = config.levels or tuple(config.width * (i + 1) for i in range(config.depth + 1))
        self.coarse = ResidualUNet(3 + 18, channels, bottleneck=True)
        self.refinement = ResidualUNet(3 + 3, channels[:-2], bottleneck=False)
        nn.init.zeros_(self.refinement.last.weight)  # stage II begins with the coarse picture
        nn.init.zeros_(self.refinement.last.bias)

    def forward(self, inputs: Inputs) -> Generated:
        self.config.check_size(*inputs.size)
        coarse = self.coarse(torch.cat([inputs.source_image, inputs.target_heatmaps], 1)).tanh()
        fixed = coarse.detach()  # no stage learns from the other's terms
        difference = self.refinement(torch.cat([inputs.source_image, fixed], 1))
        return Generated([coarse, (fixed + difference).clamp(-1, 1)], [])
