"""Generators: U-Net baseline, Deformable GAN and the stacked deformable generator (paper, eq. 2-5)."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.composition import Background, BackgroundMaker, ComposingHead, ResidualBlock, SourceAttention
from sdgan_lib.encoders import NORMS, SLOPE, OneStreamEncoder, TwoStreamEncoder, normalise
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.warping import REGIONS, LimbWarps, body_mask, deformable_skip, limb_warps, sample_regions

SYSTEMS = ("baseline", "deformable", "sdgan")
WARPED_LEVELS = 4  # the four finest encoder levels have deformable skips, as in Deformable GAN
SCALES = (4, 2, 1)  # down-scaling factors of the stacked generator's three pictures


def downscale(images: Tensor, factor: int) -> Tensor:
    """Area-average ``images`` ``[B, C, H, W]`` down by a whole ``factor`` (1 returns them unchanged)."""
    return images if factor == 1 else F.avg_pool2d(images, factor)


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that decides a generator's shape.

    Attributes:
        system: ``"baseline"``, ``"deformable"`` or ``"sdgan"``.
        width: channels of the finest appearance level; level i has ``width * min(2**i, 8)``.
        depth: number of halvings; height and width of every picture must be divisible by ``2**depth``.
        pose_ratio: width of the pose stream as a share of the appearance stream's.
        aggregate: ``"max"`` or ``"average"`` over the warped regions.
        background: map of the background, ``"identity"`` (fixed camera) or ``"torso"`` (Deformable GAN's choice).
        attention: whether the stacked generator may keep warped body parts (see :class:`PartAttention`).
        norm: ``"instance"`` or ``"group"``, see :func:`sdgan_lib.encoders.normalise`.
        dropout: rate in the three innermost decoder blocks; it also plays the noise z.
        levels: channels of the appearance stream, level by level, in place of those that ``width`` gives (or None).
        composition: whether the stacked generator puts a person before a background (see
            :mod:`sdgan_lib.composition`); it needs ``attention``.
        lookup: whether the decoder looks up the source's appearance at 1/4 of the size
            (:class:`sdgan_lib.composition.SourceAttention`).
        blocks: residual blocks after each decoder block that ends at 1/8 or 1/4 of the size, where they cost little.
    """

    system: str = "sdgan"
    width: int = 64
    depth: int = 5
    pose_ratio: float = 1.0
    aggregate: str = "max"
    background: str = "identity"
    attention: bool = True
    norm: str = "instance"
    dropout: float = 0.5
    levels: tuple[int, ...] | None = None
    composition: bool = False
    lookup: bool = False
    blocks: int = 0

    def __post_init__(self):
        if self.levels is not None:
            object.__setattr__(self, "levels", tuple(self.levels))  # a list, when read from a checkpoint
            if len(self.levels) != self.depth + 1:
                raise ValueError(f"levels needs depth + 1 = {self.depth + 1} numbers, not {len(self.levels)}")
        if (self.composition or self.lookup or self.blocks) and self.system != "sdgan":
            raise ValueError(f"composition, lookup and blocks are for the system sdgan, not {self.system}")
        if self.composition and not self.attention:
            raise ValueError("composition mixes warped parts as attention does: it needs attention=True")
        if self.norm not in NORMS:
            raise ValueError(f"norm is one of {NORMS}, not {self.norm!r}")
        if self.system not in SYSTEMS:
            raise ValueError(f"system is one of {SYSTEMS}, not {self.system!r}")
        if self.depth < WARPED_LEVELS - 1:
            raise ValueError(f"depth must be at least {WARPED_LEVELS - 1}, not {self.depth}")
        if self.width < 1 or self.pose_channels[0] < 1:
            raise ValueError("width and width * pose_ratio must be at least 1")

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the appearance stream, level by level."""
        if self.levels is not None:
            return self.levels
        return tuple(self.width * min(2**i, 8) for i in range(self.depth + 1))

    @property
    def pose_channels(self) -> tuple[int, ...]:
        """Channels of the pose stream, level by level."""
        return tuple(int(c * self.pose_ratio) for c in self.channels)

    def accepts(self, height: int, width: int) -> bool:
        """Whether pictures of this size can be halved ``depth`` times and leave more than one pixel."""
        step = 2**self.depth
        return height % step == width % step == 0 and height * width > step * step

    def dropout_at(self, level: int) -> float:
        """Dropout rate of the decoder block that ends at ``level``: only the three innermost have any."""
        return self.dropout if level >= self.depth - 3 else 0.0

    @property
    def factors(self) -> tuple[int, ...]:
        """Down-scaling factor of each picture the system makes, coarsest first."""
        return SCALES if self.system == "sdgan" else (1,)


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
    background: Background | None = None
    """The source's place without the person; None without composition."""

    @property
    def image(self) -> Tensor:
        """The picture at full size."""
        return self.images[-1]


class UpBlock(nn.Module):
    """Doubles the size by a transposed convolution, then joins the skip connections of the new size.

    ``[B, in_channels, h, w]`` and a skip ``[B, skip_channels, 2h, 2w]`` give ``[B, out_channels, 2h, 2w]``.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, norm: str, dropout: float):
        super().__init__()
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.join = nn.Sequential(
            nn.Conv2d(out_channels + skip_channels, out_channels, 3, padding=1, bias=False),
            normalise(norm, out_channels),
            nn.LeakyReLU(SLOPE),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.dropout(self.join(torch.cat([self.up(x), skip], 1)))


class PoseUpsampler(nn.Module):
    """Up_i: brings the pose code ``h_b`` ``[B, channels, h, w]`` to ``[B, out, h * 2**steps, w * 2**steps]``.

    Every step doubles the size and halves the channels, down to ``out``.
    """

    def __init__(self, channels: int, out: int, steps: int):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(steps):
            after = out if i == steps - 1 else max(out, channels // 2)
            layers += [nn.ConvTranspose2d(channels, after, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            channels = after
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(code)


class PartAttention(nn.Module):
    """Chooses, pixel by pixel, between keeping a warped body part and painting anew.

    The paper lists "an attention module to improve the pose fidelity and retain body parts" and does not describe
    it. Ours: the source picture, moved by each of the eleven region maps, and the newly painted picture are twelve
    candidates; a softmax over twelve maps mixes them. Before anything is learned the maps prefer, inside a
    region's target mask, that region, and where the background was hidden by the source person, new paint; so the
    generator starts from the warped source and learns to mend it.
    """

    OUTSIDE = -4.0  # initial logit of a region outside its mask: e^-4 of its weight inside

    def forward(
        self, logits: Tensor, painted: Tensor, candidates: Tensor, masks: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Args: logits ``[B, 12, h, w]``, painted ``[B, 3, h, w]``, candidates ``[B, 11, 3, h, w]``,
        masks ``[B, 11, h, w]`` in [0, 1]. Returns the picture and the attention ``[B, 12, h, w]``."""
        prior = self.OUTSIDE * (1 - masks)
        prior = torch.cat([prior, torch.full_like(prior[:, :1], self.OUTSIDE / 2)], 1)
        attention = (logits + prior).softmax(1)
        keep, paint = attention.split([len(REGIONS), 1], 1)
        kept = (keep[:, None] * candidates.movedim(1, 2)).sum(2)  # in the order of memory
        return kept + paint * painted, attention


class Head(nn.Module):
    """G_i: joins decoder features and the up-sampled pose code and makes the image of its scale (eq. 3, 5)."""

    def __init__(self, in_channels: int, channels: int, attention: bool):
        super().__init__()
        self.attend = PartAttention() if attention else None
        extra = len(REGIONS) + 1 if attention else 0
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, 3 + extra, 3, padding=1),
        )

    def forward(self, features: Tensor, candidates: Tensor | None, masks: Tensor | None):
        out = self.layers(features)
        if self.attend is None:
            return out.tanh(), None
        # Plane by plane, as the candidates lie in memory, while they are mixed.
        painted, logits = out.contiguous().split([3, len(REGIONS) + 1], 1)
        image, attention = self.attend(logits, painted.tanh(), candidates, masks)
        return image.contiguous(memory_format=torch.channels_last), attention


class Generator(nn.Module):
    """Base of the three systems: checks the size, and offers :meth:`transfer` from plain tensors."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config

    def check_size(self, image: Tensor) -> None:
        height, width = image.shape[-2:]
        step = 2**self.config.depth
        if not self.config.accepts(height, width):
            raise ValueError(
                f"a generator of depth {self.config.depth} needs a height and width divisible by {step} (and more "
                f"than {step}x{step} pixels), not {height}x{width}: resize the pictures or choose a smaller depth"
            )

    def transfer(self, source_image: Tensor, source_pose: Tensor, target_pose: Tensor) -> Generated:
        """The person of ``source_image`` ``[B, 3, H, W]`` in ``target_pose`` ``[B, 18, 2]``."""
        return self(make_inputs(source_image, source_pose, target_pose, self.config.background))


class BaselineGenerator(Generator):
    """One-stream U-Net with plain skip connections: what every deformable part is compared with."""

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        c = config.channels
        self.encoder = OneStreamEncoder(c, config.norm)
        self.decoder = nn.ModuleList(
            UpBlock(c[i + 1], c[i], c[i], config.norm, config.dropout_at(i))
            for i in reversed(range(config.depth))
        )
        self.head = Head(c[0], c[0], attention=False)

    def forward(self, inputs: Inputs) -> Generated:
        self.check_size(inputs.source_image)
        features = self.encoder(inputs.source_image, inputs.source_heatmaps, inputs.target_heatmaps)
        x = features[-1]
        for up, skip in zip(self.decoder, reversed(features[:-1]), strict=True):
            x = up(x, skip)
        return Generated([self.head(x, None, None)[0]], [])


class DeformableGenerator(Generator):
    """Two-stream U-Net whose appearance skips are warped limb by limb to the target pose (Deformable GAN)."""

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        c, p = config.channels, config.pose_channels
        self.encoder = TwoStreamEncoder(c, p, config.norm)
        self.decoder = nn.ModuleList(
            UpBlock(
                c[-1] + p[-1] if i == config.depth - 1 else c[i + 1],
                c[i] + p[i],
                c[i],
                config.norm,
                config.dropout_at(i),
            )
            for i in reversed(range(config.depth))
        )
        self.make_heads()

    def make_heads(self) -> None:
        self.head = Head(self.config.channels[0], self.config.channels[0], attention=False)

    def encode(self, inputs: Inputs) -> tuple[Tensor, list[Tensor], Tensor]:
        """Code to decode ``f_a ⊕ h_b``, the skips from coarse to fine, and the pose code ``h_b``."""
        self.check_size(inputs.source_image)
        appearance, pose = self.encoder(inputs.source_image, inputs.source_heatmaps, inputs.target_heatmaps)
        return torch.cat([appearance[-1], pose[-1]], 1), self.join_skips(appearance, pose, inputs), pose[-1]

    def join_skips(self, appearance: list[Tensor], pose: list[Tensor], inputs: Inputs) -> list[Tensor]:
        """Skips from coarse to fine: warped appearance features ⊕ pose features of each level."""
        skips = []
        for level in reversed(range(self.config.depth)):
            moved = appearance[level]
            if level < WARPED_LEVELS:
                moved = deformable_skip(moved, inputs.warps, aggregate=self.config.aggregate)
            skips.append(torch.cat([moved, pose[level]], 1))
        return skips

    def forward(self, inputs: Inputs) -> Generated:
        x, skips, _ = self.encode(inputs)
        for up, skip in zip(self.decoder, skips, strict=True):
            x = up(x, skip)
        return Generated([self.head(x, None, None)[0]], [])


class StackedGenerator(DeformableGenerator):
    """SDGAN: three decoders DC_0, DC_1, DC_2 give features at 1/4, 1/2 and 1 of the size, and at each G_i makes
    an image of that scale from them and the up-sampled pose code (paper, eq. 2-5).

    DC_0 is the decoder from the code up to 1/4 of the size; DC_1 and DC_2 double the size once each. All three
    use the deformable skips of their sizes. Composition, lookup and residual blocks are additions of ours, each of
    which the configuration can leave out.
    """

    def make_heads(self) -> None:
        config = self.config
        c, p = config.channels, config.pose_channels
        levels = [factor.bit_length() - 1 for factor in SCALES]  # 2, 1, 0
        self.pose_up = nn.ModuleList(PoseUpsampler(p[-1], p[i], config.depth - i) for i in levels)
        if config.composition:
            self.heads = nn.ModuleList(ComposingHead(c[i] + p[i], c[0]) for i in levels)
            self.background = BackgroundMaker(c, config.norm)
        else:
            self.heads = nn.ModuleList(Head(c[i] + p[i], c[0], config.attention) for i in levels)
        if config.lookup:
            self.lookup = SourceAttention(c[levels[0]], c[levels[0]])
        if config.blocks:
            self.blocks = nn.ModuleDict(
                {
                    str(i): nn.Sequential(*(ResidualBlock(c[i], config.norm) for _ in range(config.blocks)))
                    for i in (2, 3)
                    if i < config.depth
                }
            )

    def forward(self, inputs: Inputs) -> Generated:
        config = self.config
        self.check_size(inputs.source_image)
        appearance, pose = self.encoder(inputs.source_image, inputs.source_heatmaps, inputs.target_heatmaps)
        skips, code = self.join_skips(appearance, pose, inputs), pose[-1]
        behind = self.background(inputs.source_image, appearance) if config.composition else None
        x = torch.cat([appearance[-1], code], 1)
        images, attention = [], []
        for level, up, skip in zip(reversed(range(config.depth)), self.decoder, skips, strict=True):
            x = up(x, skip)
            if config.blocks and str(level) in self.blocks:
                x = self.blocks[str(level)](x)
            factor = 2**level
            if factor not in SCALES:
                continue
            i = len(images)
            if config.lookup and i == 0:
                maps = (downscale(h, factor) for h in (inputs.source_heatmaps, inputs.target_heatmaps))
                x = self.lookup(x, appearance[level], *maps)
            features = torch.cat([x, self.pose_up[i](code)], 1)
            candidates = masks = None
            if config.attention:
                candidates = sample_regions(downscale(inputs.source_image, factor), inputs.warps)
                masks = inputs.warps.at(*x.shape[-2:]).masks
            if behind is not None:
                place, known = downscale(behind.picture, factor), downscale(behind.known, factor)
                image, maps, logits = self.heads[i](features, candidates, masks, place, known)
                behind.target_logits.append(logits)
            else:
                if config.attention and config.background == "identity":  # behind the person nothing is known
                    free = 1 - downscale(inputs.source_body, factor)
                    masks = torch.cat([masks[:, :-1], masks[:, -1:] * free], 1)
                image, maps = self.heads[i](features, candidates, masks)
            images.append(image)
            if maps is not None:
                attention.append(maps)
        return Generated(images, attention, behind)


def make_generator(config: GeneratorConfig) -> Generator:
    """The generator that ``config.system`` names, with fresh weights, laid out for pictures in channels_last."""
    kinds = {"baseline": BaselineGenerator, "deformable": DeformableGenerator, "sdgan": StackedGenerator}
    return kinds[config.system](config).to(memory_format=torch.channels_last)
