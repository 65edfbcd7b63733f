"""PG2: a coarse picture of the whole, then a difference map that refines it (Ma et al., 2017, arXiv 1705.09368)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib._bfloat16 import Conv2d
from sdgan_lib.generators import Generator, GeneratorConfig
from sdgan_lib.inputs import Generated, Inputs

GRID = (8, 4)
"""Height and width of what the fully connected layer reads: 1/16 of a picture of 128x64 pixels."""
CODE = 64
"""Numbers into which it puts the whole picture, as in the published code."""


class Bottleneck(nn.Module):
    """Two fully connected layers, by way of :data:`CODE` numbers: what is anywhere can go everywhere.

    A convolution sees its neighbourhood only; a person whose pose changes moves farther. Features
    ``[B, in_channels, h, w]`` give ``[B, out_channels, h, w]``. They are brought to a :data:`GRID` of fixed size and
    back, which changes nothing at 128x64 pixels and lets other sizes in.
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
        code = self.layers(F.interpolate(x, GRID, mode="bilinear"))
        return F.interpolate(code, x.shape[-2:], mode="bilinear")


class ConvolutionBlock(nn.Module):
    """Two 3x3 convolutions beside an unchanged path: ``[B, channels, h, w]`` to the same shape, not normalised."""

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
            Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(channels)
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
    """Pose Guided Person Image Generation (Ma et al., 2017), both of its stages in one run.

    Stage I (section 3.1) makes a coarse picture from the source picture ⊕ the target's heat maps, by a U-Net with a
    fully connected bottleneck. It learns from the L1 term alone, in which the person counts for more
    (``LossConfig.person_weight``). Stage II (section 3.2) reads the source picture ⊕ the coarse one and makes a
    difference map, which is added to the latter; its U-Net is two levels shallower and has no bottleneck. It learns
    from the same L1 term and from a discriminator of (source, refined) pairs, while stage I stands still. At
    ``Recipe.adversarial_start`` the one ends and the other begins; until then the difference is zero.

    The architecture is that of section 3.3: 3x3 convolutions and ReLU, neither normalised nor with dropout, ``width *
    (i + 1)`` channels at level i unless ``levels`` says otherwise. What is not as in the paper, and why:

    - Pictures are kept in [-1, 1], the coarse one by tanh, the refined one by clamping.
    - The bottleneck's grid has a fixed size, so that pictures of any size can be made and trained on.
    - Stage II's blocks are residual, as those of stage I are: one network serves both.
    - The discriminator is the other systems', which judges patches, not the whole, and is told the poses besides; so
      are the heat maps, Gaussians instead of discs, and the L1 term's mask: body regions, a third of a picture,
      instead of a dilated skeleton (:func:`sdgan_lib.metrics.pose_mask`), a quarter. Generators are compared.
    - Learning rates fall within each stage where the recipe has them fall; the paper's stay.

    Where the authors' code departs from their paper, the paper is followed: there stage I learns from the plain L1
    term, and the discriminator sees single pictures, the source among the false ones.
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
