"""Composition: a person before a background.

What moves with the pose and what stays are made apart. The source person is found (a predicted silhouette) and taken
out of the source picture, the shadow too; the hole is filled by a pyramid of averages and painted over; a predicted
target silhouette puts the person before that background, at every scale. The paper has none of this: it is our answer
to the ghost that a generator leaves where the source person stood.

Where a data set has masks of the person they supervise both silhouettes; where it has none (Market-1501), the drawn
body regions do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib._bfloat16 import Conv2d
from sdgan_lib.encoders import SLOPE, normalise
from sdgan_lib.warping import BACKGROUND, REGIONS

SHADOW_MARGIN = 2
"""How far beyond the found person's outline the background is taken out, in pixels at full size."""
RECALL = 1.0
"""Added to the source silhouette's logits before the person is taken out: a pixel of the person that is missed spoils
the fill around it, one too many costs little."""
RIM = 3
"""How far beyond a person's outline their surroundings may still be touched by them, in pixels at full size."""
OUTSIDE = -4.0
"""Initial logit of a region outside its mask, as in :class:`sdgan_lib.generators.PartAttention`."""


def widen(mask: Tensor, pixels: int) -> Tensor:
    """A mask ``[B, 1, H, W]`` in [0, 1] that reaches ``pixels`` further in every direction (a square's dilation)."""
    side = 2 * pixels + 1
    rows = F.max_pool2d(mask.contiguous(), (1, side), stride=1, padding=(0, pixels))
    return F.max_pool2d(rows, (side, 1), stride=1, padding=(pixels, 0))


def push_pull_fill(pictures: Tensor, known: Tensor) -> Tensor:
    """Fill what is unknown of pictures from what is known around it, by a pyramid of averages (push-pull).

    On the way up ("push") every level holds the mean of what is known of each pixel's four parts; on the way down
    ("pull") a pixel of which something is known keeps its own mean, any other takes the coarser level's, interpolated.
    Differentiable in both arguments. It is the trivial answer that a learned background has to beat.

    Args:
        pictures: ``[B, C, H, W]``; what they hold where nothing is known does not count.
        known: ``[B, 1, H, W]`` in [0, 1], how much of a pixel is known.

    Returns:
        ``[B, C, H, W]``: the picture itself where ``known`` is 1; zeros for a picture of which nothing is known.
    """
    levels = []
    colour, weight = pictures * known, known
    while True:
        levels.append((colour, weight))
        height, width = weight.shape[-2:]
        if height % 2 or width % 2:
            break
        colour = F.avg_pool2d(colour, 2)
        weight = F.avg_pool2d(weight, 2)
        # A coarse pixel is known as soon as one of its four parts is: means count in full from there on.
        scale = weight.mul(4).clamp(max=1.0) / weight.clamp_min(1e-6)
        colour, weight = colour * scale, weight * scale
    everywhere = colour.sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-6)
    filled = colour + (1 - weight) * everywhere
    for colour, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, scale_factor=2.0, mode="bilinear", align_corners=False)
        filled = colour + (1 - weight) * coarse
    return filled


class SourceSilhouette(nn.Module):
    """Where the source person is, and what else belongs to them (the shadow), from the appearance features.

    A small decoder from level 3 (1/8 of the size) to the full size, joined at each level by the encoder's features.

    Args:
        channels: of the appearance stream, level by level, four at least.

    Output: logits ``[B, 2, H, W]``: of the person's pixels, and of those that the background is to lose besides.
    """

    WIDTHS = (8, 8, 16, 32)

    def __init__(self, channels: tuple[int, ...]):
        super().__init__()
        self.start = nn.Conv2d(channels[3], self.WIDTHS[3], 3, padding=1)
        self.steps = nn.ModuleList(
            nn.Conv2d(self.WIDTHS[i + 1] + channels[i], self.WIDTHS[i], 3, padding=1) for i in (2, 1, 0)
        )
        self.last = nn.Conv2d(self.WIDTHS[0], 2, 3, padding=1)
        with torch.no_grad():
            self.last.bias.copy_(torch.tensor([-1.0, -4.0]))  # most of a picture is no person, and no shadow

    def forward(self, appearance: list[Tensor]) -> Tensor:
        x = F.leaky_relu_(self.start(F.leaky_relu(appearance[3], SLOPE)), SLOPE)
        for step, features in zip(self.steps, reversed(appearance[:3]), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.leaky_relu_(step(torch.cat([x, F.leaky_relu(features, SLOPE)], 1)), SLOPE)
        return self.last(x)


class BackgroundPainter(nn.Module):
    """Paints over a filled background, at half its size, where it was not known: a small U-Net.

    ``filled`` ``[B, 3, H, W]`` and ``known`` ``[B, 1, H, W]`` give the background ``[B, 3, H, W]`` in [-1, 1]; what is
    known stays as it is.
    """

    WIDTHS = (16, 32, 64, 64)

    def __init__(self, norm: str):
        super().__init__()
        w = self.WIDTHS
        self.first = nn.Conv2d(4, w[0], 3, padding=1)
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(SLOPE),
                Conv2d(w[i], w[i + 1], 4, stride=2, padding=1, bias=False),
                normalise(norm, w[i + 1]),
            )
            for i in range(3)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(SLOPE, inplace=True),
                nn.Conv2d(w[i + 1] + w[i], w[i], 3, padding=1, bias=False),
                normalise(norm, w[i]),
            )
            for i in (2, 1, 0)
        )
        self.last = nn.Conv2d(w[0], 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)  # it starts as the plain fill
        nn.init.zeros_(self.last.bias)

    def forward(self, filled: Tensor, known: Tensor) -> Tensor:
        features = [self.first(F.avg_pool2d(torch.cat([filled, known], 1), 2))]
        for down in self.downs:
            features.append(down(features[-1]))
        x = features[-1]
        for up, skip in zip(self.ups, reversed(features[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([x, skip], 1))
        change = self.last(F.leaky_relu_(x, SLOPE))
        change = F.interpolate(change, size=filled.shape[-2:], mode="bilinear", align_corners=False)
        return (filled + (1 - known) * change).clamp(-1, 1)


@dataclass(frozen=True)
class Background:
    """The source's place without the person.

    Attributes:
        logits: ``[B, 2, H, W]``, see :class:`SourceSilhouette`.
        known: ``[B, 1, H, W]`` in [0, 1]: what is left of the source picture when the person is taken out.
        filled: ``[B, 3, H, W]``: the rest filled by :func:`push_pull_fill`.
        picture: ``[B, 3, H, W]`` in [-1, 1]: painted over.
        target_logits: one ``[B, 1, h, w]`` per scale: logits of the target silhouette.
    """

    logits: Tensor
    known: Tensor
    filled: Tensor
    picture: Tensor
    target_logits: list[Tensor] = field(default_factory=list)


class BackgroundMaker(nn.Module):
    """From the source picture and its appearance features to its place without the person."""

    def __init__(self, channels: tuple[int, ...], norm: str):
        super().__init__()
        self.silhouette = SourceSilhouette(channels)
        self.painter = BackgroundPainter(norm)

    def forward(self, source_image: Tensor, appearance: list[Tensor]) -> Background:
        logits = self.silhouette(appearance).float()
        person, shadow = (logits + RECALL).sigmoid().split(1, 1)
        known = 1 - torch.maximum(widen(person, SHADOW_MARGIN), shadow)
        filled = push_pull_fill(source_image.float(), known)
        return Background(logits, known, filled, self.painter(filled, known))


class ComposingHead(nn.Module):
    """G_i with a composition: the person from warped parts and new paint, before a background, by a silhouette.

    Inside the person a softmax mixes eleven candidates: the source picture moved by the ten body regions' maps, and
    new paint. Before anything is learned a region is preferred inside its target mask, and the silhouette is the union
    of these masks. Nothing but the background is seen beside the person: a head that might shade it besides (the target
    person's shadow falls on it) was tried in two forms, and painted halos and spots where pairs of two cameras, of
    which the background can't be compared, had let it.
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels + 4, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels, 3 + len(REGIONS) + 1, 3, padding=1),
        )

    def forward(
        self, features: Tensor, candidates: Tensor, masks: Tensor, background: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mix the picture of one scale.

        Args:
            features: ``[B, in_channels, h, w]``.
            candidates: the source moved by each region's map, ``[B, 11, 3, h, w]``; the background's is not used.
            masks: ``[B, 11, h, w]`` in [0, 1].
            background: ``[B, 3, h, w]``, and ``known`` ``[B, 1, h, w]``: how much of it the source shows.

        Returns:
            The picture ``[B, 3, h, w]``, the attention ``[B, 12, h, w]`` (as of ``PartAttention``: the regions, the
            background among them, then the paint) and the logits ``[B, 1, h, w]`` of the target silhouette.
        """
        out = self.layers(torch.cat([features, background, known], 1)).contiguous()
        painted, logits, outline = out.float().split([3, len(REGIONS), 1], 1)
        regions = masks[:, :BACKGROUND]
        prior = torch.cat([OUTSIDE * (1 - regions), torch.full_like(regions[:, :1], OUTSIDE / 2)], 1)
        share = (logits + prior).softmax(1)
        outline = outline + OUTSIDE * (masks[:, BACKGROUND:] - 0.5)
        alpha = outline.sigmoid()
        keep, paint = (alpha * share).split([BACKGROUND, 1], 1)
        kept = (keep[:, None] * candidates[:, :BACKGROUND].movedim(1, 2)).sum(2)
        image = kept + paint * painted.tanh() + (1 - alpha) * background
        return image, torch.cat([keep, 1 - alpha, paint], 1), outline


class SourceAttention(nn.Module):
    """Looks up the source's appearance wherever it may be, from features aligned with the target pose.

    Affine maps carry what moves rigidly; heads that turn, hands and crossed legs are found, or not found, by what they
    look like and by which joints they are near. Queries come from the decoder's features and the target's heat maps,
    keys from the source's appearance features and the source's heat maps; values are the appearance features. The
    paper names an attention module and does not describe it. Cost and memory grow with the square of the pixels, so it
    stands at 1/4 of the size.

    Args:
        channels: of the decoder's features.
        source_channels: of the appearance features of the same size.
        heads: number of attention heads.
        size: channels of each head.
    """

    def __init__(self, channels: int, source_channels: int, heads: int = 4, size: int = 24, joints: int = 18):
        super().__init__()
        self.heads = heads
        self.query = nn.Conv2d(channels + joints, heads * size, 1)
        self.key = nn.Conv2d(source_channels + joints, heads * size, 1)
        self.value = nn.Conv2d(source_channels, heads * size, 1)
        self.out = nn.Conv2d(heads * size, channels, 1)
        nn.init.zeros_(self.out.weight)  # it starts as if it were not there
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, source: Tensor, source_heatmaps: Tensor, target_heatmaps: Tensor) -> Tensor:
        """Features ``x`` ``[B, channels, h, w]`` with what was looked up added to them; heat maps of the same size."""

        def rows(maps: Tensor) -> Tensor:
            return maps.flatten(2).unflatten(1, (self.heads, -1)).mT.contiguous()

        query = rows(self.query(torch.cat([x, target_heatmaps], 1)))
        key, value = rows(self.key(torch.cat([source, source_heatmaps], 1))), rows(self.value(source))
        found = F.scaled_dot_product_attention(query, key, value).mT.flatten(1, 2).unflatten(2, x.shape[-2:])
        return x + self.out(found.contiguous(memory_format=torch.channels_last))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an unchanged path: ``[B, channels, h, w]`` to the same shape."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalise(norm, channels),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            normalise(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


# Losses


@dataclass(frozen=True)
class Truth:
    """What a batch of pairs says about its persons and places.

    Attributes:
        source_person, target_person: ``[B, 1, H, W]``, 1 on the person: the data set's masks, or else the drawn body
            regions.
        same_camera: ``[B, 1, 1, 1]``, 1 where one camera took both pictures.
        comparable: ``[B, 1, H, W]``, 1 where the target's pixel can be known from the source: everywhere if one camera
            took both, else on the person.
    """

    source_person: Tensor
    target_person: Tensor
    same_camera: Tensor
    comparable: Tensor


def make_truth(batch: Mapping, source_body: Tensor | None = None, target_body: Tensor | None = None) -> Truth:
    """The :class:`Truth` of a batch of the loader; the bodies are ``[B, 1, H, W]``, for batches without masks.

    A batch that does not say which camera took its pictures is taken to be of one camera.
    """
    source = batch.get("source_mask", source_body).float()
    target = batch.get("target_mask", target_body).float()
    same = torch.as_tensor(batch.get("same_camera", True), device=target.device).to(target.dtype)
    same = same.expand(len(target)).view(-1, 1, 1, 1)
    return Truth(source, target, same, torch.maximum(same, target))


def silhouette_loss(background: Background, truth: Truth) -> Tensor:
    """Cross-entropy of the source silhouette and of the target silhouette of every scale against the persons."""
    total = F.binary_cross_entropy_with_logits(background.logits[:, :1], truth.source_person)
    for logits in background.target_logits:
        person = F.adaptive_avg_pool2d(truth.target_person, logits.shape[-2:])
        total = total + F.binary_cross_entropy_with_logits(logits, person)
    return total


def background_loss(background: Background, truth: Truth, target_image: Tensor) -> Tensor:
    """Mean absolute difference between the background and the target picture where the target shows its place.

    These are the pixels off the target person and its rim, in pairs of one camera. What the source person hid counts
    four times: it is there that the fill has to be mended. (A shadow that was left in shows here, too.)
    """
    shown = truth.same_camera * (1 - widen(truth.target_person, RIM))
    weight = shown * (1 + 3 * widen(truth.source_person, RIM))
    return ((background.picture - target_image).abs() * weight).mean()
