"""Encoders: from pictures and heat maps to features, one stream or two (paper, section "two-stream encoder").

Level ``i`` of every encoder has the size of the picture divided by ``2**i``; level 0 keeps the full size.
"""

import itertools

import torch
from torch import Tensor, nn

from sdgan_lib._bfloat16 import Conv2d

SLOPE = 0.2  # of every LeakyReLU, as in Deformable GAN


NORMS = ("instance", "group")


def normalise(kind: str, channels: int) -> nn.Module:
    """The normalisation of ``[B, channels, h, w]`` features that ``kind`` names, with a learned scale and shift.

    ``"instance"`` (the paper's) sets every channel of every picture to mean 0 and variance 1: what a channel says
    by being high *everywhere*, the colour of a coat, say, is lost. ``"group"`` does so for eight channels together,
    so that their differences survive (Wu and He, 2018).
    """
    if kind not in NORMS:
        raise ValueError(f"norm is one of {NORMS}, not {kind!r}")
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.GroupNorm(max(1, channels // 8) if channels % 8 == 0 else 1, channels)


class Encoder(nn.Module):
    """One stream: a 3x3 convolution at full size, then 4x4 stride-2 convolutions, each halving the size.

    Args:
        in_channels: channels of the input (21 for image ⊕ heat maps, 18 for heat maps alone).
        channels: channels of level 0, 1, 2, …; ``len(channels) - 1`` is the number of halvings.
        norm: see :func:``normalise``.

    Input ``[B, in_channels, H, W]`` with H and W divisible by ``2 ** (len(channels) - 1)``.
    Output: a list with one ``[B, channels[i], H / 2**i, W / 2**i]`` per level.
    """

    def __init__(self, in_channels: int, channels: tuple[int, ...], norm: str = "instance"):
        super().__init__()
        self.first = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(SLOPE),
                Conv2d(a, b, 4, stride=2, padding=1, bias=False),
                normalise(norm, b),
            )
            for a, b in itertools.pairwise(channels)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.first(x)]
        for down in self.downs:
            features.append(down(features[-1]))
        return features


class OneStreamEncoder(nn.Module):
    """The baseline's encoder: image, source pose and target pose stacked into one input of 3 + 2·18 channels.

    Nothing tells it that the source pose belongs to the image and the target pose to a picture that does not
    exist yet: features of both poses meet at the same pixels although the body parts are elsewhere.
    """

    def __init__(self, channels: tuple[int, ...], norm: str = "instance", joints: int = 18):
        super().__init__()
        self.stream = Encoder(3 + 2 * joints, channels, norm)

    def forward(self, image: Tensor, source_heatmaps: Tensor, target_heatmaps: Tensor) -> list[Tensor]:
        return self.stream(torch.cat([image, source_heatmaps, target_heatmaps], 1))


class TwoStreamEncoder(nn.Module):
    """Appearance (image ⊕ its own heat maps) and target pose in two streams that share no weights.

    Returns two lists of features, appearance first. Appearance is aligned with the *source* pose and must be
    warped before it is joined with the pose features, which are aligned with the *target* pose.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        pose_channels: tuple[int, ...],
        norm: str = "instance",
        joints: int = 18,
    ):
        super().__init__()
        self.appearance = Encoder(3 + joints, channels, norm)
        self.pose = Encoder(joints, pose_channels, norm)

    def forward(
        self, image: Tensor, source_heatmaps: Tensor, target_heatmaps: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        return self.appearance(torch.cat([image, source_heatmaps], 1)), self.pose(target_heatmaps)
