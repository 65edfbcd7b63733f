"""Discriminators: one per scale, each shown real pictures *of that scale* (paper, eq. 6)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from sdgan_lib._bfloat16 import Conv2d
from sdgan_lib.encoders import SLOPE
from sdgan_lib.inputs import Inputs, pyramid


@dataclass(frozen=True)
class DiscriminatorConfig:
    """``channels``: of each stride-2 layer; ``spectral_norm``: bound every layer's Lipschitz constant."""

    channels: tuple[int, ...] = (64, 128, 256)
    spectral_norm: bool = False


class PatchDiscriminator(nn.Module):
    """Says, patch by patch, whether a picture is real, given the source picture and both poses.

    Args of ``forward``: ``given`` ``[B, 3 + 18 + 18, H, W]`` (source picture, its heat maps, target heat maps) and the
    ``pictures`` in question, ``[n * B, 3, H, W]``, n for each given one. Output: logits ``[n * B, 1, H / 2**k,
    W / 2**k]`` with k = ``len(config.channels)``; positive means "real".
    """

    def __init__(self, config: DiscriminatorConfig, joints: int = 18):
        super().__init__()
        wrap = spectral_norm if config.spectral_norm else nn.Identity()
        layers: list[nn.Module] = []
        previous = 2 * (3 + joints)
        for i, width in enumerate(config.channels):
            normed = i > 0 and not config.spectral_norm
            layers.append(wrap(Conv2d(previous, width, 4, stride=2, padding=1, bias=not normed)))
            if normed:
                layers.append(nn.InstanceNorm2d(width, affine=True))
            layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            previous = width
        layers.append(wrap(nn.Conv2d(previous, 1, 3, padding=1)))
        self.layers = nn.Sequential(*layers)

    def forward(self, given: Tensor, pictures: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Logits; with a list ``features``, what each LeakyReLU gives is appended to it."""
        # The convolution of joined channels is the sum of the convolutions of its parts: what is given is
        # convolved once for all its pictures, and its 39 channels get no gradient that nobody asks for.
        first = self.layers[0]
        of_given, of_pictures = first.weight.split([given.shape[1], pictures.shape[1]], 1)
        told = F.conv2d(given, of_given, first.bias, first.stride, first.padding)
        seen = F.conv2d(pictures, of_pictures, None, first.stride, first.padding)
        x = (seen.unflatten(0, (-1, len(given))) + told).flatten(0, 1)
        for layer in self.layers[1:]:
            x = layer(x)
            if features is not None and isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return x


class MultiScaleDiscriminator(nn.Module):
    """One :class:`PatchDiscriminator` per scale; no weights are shared between scales.

    Args:
        config: of each of them.
        factors: down-scaling factor of each scale, in the order in which the generator returns its images
            (``judged_scales`` of the system's entry in :data:`sdgan_lib.systems.SYSTEMS`).
    """

    def __init__(self, config: DiscriminatorConfig, factors: tuple[int, ...]):
        super().__init__()
        self.factors = factors
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in factors)

    def reals(self, target_image: Tensor) -> list[Tensor]:
        """The real picture ``[B, 3, H, W]`` at every scale."""
        return pyramid(target_image, self.factors)

    def forward(
        self, images: list[Tensor], inputs: Inputs, features: list[Tensor] | None = None
    ) -> list[Tensor]:
        """Logits per scale for ``images`` (one ``[B, 3, H/f, W/f]`` per scale, matching ``factors``).

        ``images`` may hold a multiple of the inputs' batch (real and generated joined): the conditions repeat. To
        a list ``features`` the features of every layer of every scale are appended.
        """
        logits = []
        for factor, discriminator, image in zip(self.factors, self.scales, images, strict=True):
            given = inputs.condition(factor)
            if image.shape[-2:] != given.shape[-2:]:
                raise ValueError(
                    f"the discriminator of scale 1/{factor} judges pictures of {tuple(given.shape[-2:])} pixels, "
                    f"not {tuple(image.shape[-2:])}: down-scale the real pictures with reals()"
                )
            logits.append(discriminator(given, image, features))
        return logits
