"""What every network is given: pictures, heat maps and limb warps of a batch of pairs."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.warping import LimbWarps, body_mask, limb_warps


def downscale(images: Tensor, factor: int) -> Tensor:
    """Area-average ``images`` ``[B, C, H, W]`` down by a whole ``factor`` (1 returns them unchanged)."""
    return images if factor == 1 else F.avg_pool2d(images, factor)


@dataclass(frozen=True)
class Inputs:
    """What every generator and discriminator is given; built once per batch by :func:`make_inputs`.

    Attributes:
        source_image: ``[B, 3, H, W]`` in [-1, 1].
        source_pose, target_pose: ``[B, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        source_heatmaps, target_heatmaps: ``[B, 18, H, W]`` in [0, 1].
        warps: the limbs' affine maps and target masks.
    """

    source_image: Tensor
    source_pose: Tensor
    target_pose: Tensor
    source_heatmaps: Tensor
    target_heatmaps: Tensor
    warps: LimbWarps
    _cache: dict = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def source_body(self) -> Tensor:
        """``[B, 1, H, W]``, 1 on the body regions of the source pose."""
        return body_mask(self.source_pose, *self.source_image.shape[-2:]).to(self.source_image.dtype)

    @cached_property
    def target_body(self) -> Tensor:
        """``[B, 1, H, W]``, 1 on the body regions of the target pose."""
        return body_mask(self.target_pose, *self.source_image.shape[-2:]).to(self.source_image.dtype)

    def condition(self, factor: int) -> Tensor:
        """Source image, its heat maps and the target's, ``[B, 39, H/f, W/f]``: what a discriminator is told."""
        if factor not in self._cache:
            if factor % 2:
                whole = torch.cat([self.source_image, self.source_heatmaps, self.target_heatmaps], 1)
                self._cache[factor] = downscale(whole, factor)
            else:  # the average of four averages
                self._cache[factor] = downscale(self.condition(factor // 2), 2)
        return self._cache[factor]


def make_inputs(
    source_image: Tensor, source_pose: Tensor, target_pose: Tensor, background: str = "identity"
) -> Inputs:
    """Heat maps and limb warps for a batch, computed on the device of the tensors.

    Args:
        source_image: ``[B, 3, H, W]`` in [-1, 1].
        source_pose, target_pose: ``[B, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        background: see :class:`GeneratorConfig`.
    """
    height, width = source_image.shape[-2:]
    dtype = source_image.dtype
    return Inputs(
        source_image.contiguous(memory_format=torch.channels_last),
        source_pose,
        target_pose,
        heatmaps(source_pose, height, width).to(dtype),
        heatmaps(target_pose, height, width).to(dtype),
        limb_warps(source_pose, target_pose, height, width, background=background),
    )


@dataclass(frozen=True)
class Generated:
    """A generator's answer: pictures ``[B, 3, H/f, W/f]`` in [-1, 1], coarsest first, and attention maps.

    ``attention[i]`` is ``[B, 12, H/f, W/f]``, summing to 1 at every pixel: the share of each of the eleven warped
    regions, in the order of ``REGIONS``, then of the newly painted picture. Empty without attention.
    """

    images: list[Tensor]
    attention: list[Tensor]

    @property
    def image(self) -> Tensor:
        """The picture at full size."""
        return self.images[-1]
