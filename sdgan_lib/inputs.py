"""What the networks are given and what a generator gives back: pictures, heat maps and limb warps of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from sdgan_lib.composition import Background
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.warping import LimbWarps, body_mask, limb_warps


def downscale(images: Tensor, factor: int) -> Tensor:
    """Area-average ``images`` ``[B, C, H, W]`` down by a whole ``factor`` (1 returns them unchanged)."""
    return images if factor == 1 else F.avg_pool2d(images, factor)


def pyramid(images: Tensor, factors: Sequence[int]) -> list[Tensor]:
    """``images`` ``[B, C, H, W]`` at each scale: one ``[B, C, H/f, W/f]`` per down-scaling factor ``f``."""
    return [downscale(images, factor) for factor in factors]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What every generator and discriminator is given; built once per batch by :func:`make_inputs`.

    What not every system reads (warps, body masks, conditions) is drawn when it is first asked for, and kept.

    Attributes:
        source_image: ``[B, 3, H, W]`` in [-1, 1].
        source_pose, target_pose: ``[B, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        source_heatmaps, target_heatmaps: ``[B, 18, H, W]`` in [0, 1].
        background: how the background moves, see :func:`sdgan_lib.warping.limb_warps`.
    """

    source_image: Tensor
    source_pose: Tensor
    target_pose: Tensor
    source_heatmaps: Tensor
    target_heatmaps: Tensor
    background: str = "identity"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures in pixels."""
        height, width = self.source_image.shape[-2:]
        return height, width

    @cached_property
    def warps(self) -> LimbWarps:
        """The limbs' affine maps and target masks."""
        return limb_warps(self.source_pose, self.target_pose, *self.size, background=self.background)

    @cached_property
    def source_body(self) -> Tensor:
        """``[B, 1, H, W]``, 1 on the body regions of the source pose."""
        return body_mask(self.source_pose, *self.size).to(self.source_image.dtype)

    @cached_property
    def target_body(self) -> Tensor:
        """``[B, 1, H, W]``, 1 on the body regions of the target pose."""
        return body_mask(self.target_pose, *self.size).to(self.source_image.dtype)

    @cached_property
    def _conditions(self) -> dict[int, Tensor]:
        return {}

    def condition(self, factor: int) -> Tensor:
        """Source picture, its heat maps and the target's, ``[B, 39, H/f, W/f]``: what a discriminator is told."""
        if factor not in self._conditions:
            if factor % 2:
                whole = torch.cat([self.source_image, self.source_heatmaps, self.target_heatmaps], 1)
                self._conditions[factor] = downscale(whole, factor)
            else:  # the average of four averages
                self._conditions[factor] = downscale(self.condition(factor // 2), 2)
        return self._conditions[factor]


def make_inputs(
    source_image: Tensor, source_pose: Tensor, target_pose: Tensor, background: str = "identity"
) -> Inputs:
    """Heat maps for a batch, computed on the device of the tensors; warps follow when they are asked for.

    Args:
        source_image: ``[B, 3, H, W]`` in [-1, 1].
        source_pose: ``[B, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        target_pose: the same.
        background: see :func:`sdgan_lib.warping.limb_warps`.
    """
    height, width = source_image.shape[-2:]
    dtype = source_image.dtype
    return Inputs(
        source_image.contiguous(memory_format=torch.channels_last),
        source_pose,
        target_pose,
        heatmaps(source_pose, height, width).to(dtype),
        heatmaps(target_pose, height, width).to(dtype),
        background,
    )


@dataclass(frozen=True, eq=False)
class Generated:
    """A generator's answer: pictures ``[B, 3, H/f, W/f]`` in [-1, 1], coarsest first, and attention maps.

    ``attention[i]`` is ``[B, 12, H/f, W/f]``, summing to 1 at every pixel: the share of each of the eleven warped
    regions, in the order of ``REGIONS``, then of the newly painted picture. Empty without attention.
    """

    images: list[Tensor]
    attention: list[Tensor]
    background: Background | None = None
    """The source's place without the person; None without composition."""

    @property
    def image(self) -> Tensor:
        """The picture at full size."""
        return self.images[-1]
