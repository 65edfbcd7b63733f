"""Generators: U-Net baseline, Deformable GAN and the stacked deformable generator (paper, eq. 2-5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice

import torch
from torch import Tensor, nn

from sdgan_lib._bfloat16 import ConvTranspose2d
from sdgan_lib.composition import BackgroundMaker, ComposingHead, ResidualBlock, SourceAttention
from sdgan_lib.encoders import NORMS, SLOPE, OneStreamEncoder, TwoStreamEncoder, normalise
from sdgan_lib.errors import UserError
from sdgan_lib.inputs import Generated, Inputs, downscale, make_inputs
from sdgan_lib.systems import SYSTEMS
from sdgan_lib.warping import REGIONS, deformable_skip, sample_regions

LOOKUP_LEVEL = 2  # the source is looked up at 1/4 of the size
WARPED_LEVELS = 4  # the four finest encoder levels have deformable skips, as in Deformable GAN
SCALES = SYSTEMS["sdgan"].scales  # down-scaling factors of the stacked generator's three pictures


@dataclass(frozen=True)
class GeneratorConfig:
    """Everything that decides a generator's shape.

    Attributes:
        system: a name of :data:`sdgan_lib.systems.SYSTEMS`.
        width: channels of the finest appearance level; level i has ``width * min(2**i, 8)`` (in PG2
            ``width * (i + 1)``).
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
        if self.levels is not None and len(self.levels) != self.depth + 1:
            raise UserError(f"levels needs depth + 1 = {self.depth + 1} numbers, not {len(self.levels)}")
        if self.system not in SYSTEMS:
            raise UserError(f"system is one of {', '.join(SYSTEMS)}, not {self.system!r}")
        stacked = SYSTEMS[self.system].generator == SYSTEMS["sdgan"].generator
        if (self.composition or self.lookup or self.blocks) and not stacked:
            raise UserError(f"composition, lookup and blocks are for the system sdgan, not {self.system}")
        if self.composition and not self.attention:
            raise UserError("composition mixes warped parts as attention does: it needs attention=True")
        if self.norm not in NORMS:
            raise UserError(f"norm is one of {NORMS}, not {self.norm!r}")
        if not WARPED_LEVELS - 1 <= self.depth <= 16:
            raise UserError(f"depth must be at least {WARPED_LEVELS - 1} and at most 16, not {self.depth}")
        if self.width < 1 or self.pose_channels[0] < 1:
            raise UserError(
                f"width and width * pose_ratio must be at least 1, not {self.width} and "
                f"{self.width * self.pose_ratio:g}"
            )

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

    def check_size(self, height: int, width: int) -> None:
        """Raise a :class:`UserError` with the remedy unless the generator :meth:`accepts` pictures of this size."""
        step = 2**self.depth
        if not self.accepts(height, width):
            raise UserError(
                f"a generator of depth {self.depth} needs a height and width divisible by {step} (and more than "
                f"{step}x{step} pixels), not {height}x{width}: resize the pictures or choose a smaller depth"
            )


class UpBlock(nn.Module):
    """Doubles the size by a transposed convolution, then joins the skip connections of the new size.

    ``[B, in_channels, h, w]`` and a skip ``[B, skip_channels, 2h, 2w]`` give ``[B, out_channels, 2h, 2w]``.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, norm: str, dropout: float):
        super().__init__()
        self.up = ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1)
        self.join = nn.Sequential(
            nn.Conv2d(out_channels + skip_channels, out_channels, 3, padding=1, bias=False),
            normalise(norm, out_channels),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.dropout(self.join(torch.cat([self.up(x), skip], 1)))


class Decoder(nn.ModuleList):
    """DC_i: up-blocks one after another, from coarse to fine; each takes the skip connections of its size."""

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        for up, skip in zip(self, skips, strict=True):
            x = up(x, skip)
        return x


class PoseUpsampler(nn.Module):
    """Up_i: brings the pose code ``h_b`` ``[B, channels, h, w]`` to ``[B, out, h * 2**steps, w * 2**steps]``.

    Every step doubles the size and halves the channels, down to ``out``.
    """

    def __init__(self, channels: int, out: int, steps: int):
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(steps):
            after = out if i == steps - 1 else max(out, channels // 2)
            layers += [
                ConvTranspose2d(channels, after, 4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
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
        """Mix the candidates.

        Args:
            logits: ``[B, 12, h, w]``, one map for each candidate.
            painted: ``[B, 3, h, w]``, the new paint.
            candidates: ``[B, 11, 3, h, w]``, the source picture moved by each region's map.
            masks: ``[B, 11, h, w]`` in [0, 1], where each region is.

        Returns:
            The picture ``[B, 3, h, w]`` and the shares of the candidates ``[B, 12, h, w]``.
        """
        prior = self.OUTSIDE * (1 - masks)
        prior = torch.cat([prior, torch.full_like(prior[:, :1], self.OUTSIDE / 2)], 1)
        attention = (logits + prior).softmax(1)
        keep, paint = attention.split([len(REGIONS), 1], 1)
        kept = (keep[:, None] * candidates.movedim(1, 2)).sum(2)  # in the order of memory
        return kept + paint * painted, attention


def _head(in_channels: int, channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, out_channels, 3, padding=1),
    )


class Head(nn.Module):
    """G_i without attention: paints the picture of its scale from features (eq. 3, 5).

    Features ``[B, in_channels, h, w]`` give a picture ``[B, 3, h, w]`` in [-1, 1].
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.layers = _head(in_channels, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features).tanh()


class AttentionHead(nn.Module):
    """G_i with attention: paints, and chooses between the paint and the warped body parts (:class:`PartAttention`).

    Features ``[B, in_channels, h, w]``, candidates and masks as of :class:`PartAttention` give a picture
    ``[B, 3, h, w]`` in [-1, 1] and the attention ``[B, 12, h, w]``.
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.attend = PartAttention()
        self.layers = _head(in_channels, channels, 3 + len(REGIONS) + 1)

    def forward(self, features: Tensor, candidates: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        # Plane by plane, as the candidates lie in memory, while they are mixed.
        painted, logits = self.layers(features).contiguous().split([3, len(REGIONS) + 1], 1)
        image, attention = self.attend(logits, painted.tanh(), candidates, masks)
        return image.contiguous(memory_format=torch.channels_last), attention


class Generator(nn.Module):
    """Base of all systems: ``forward`` takes :class:`Inputs` and gives :class:`Generated`.

    A further system is a subclass with one picture per scale of its entry in :data:`sdgan_lib.systems.SYSTEMS`.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config

    def transfer(self, source_image: Tensor, source_pose: Tensor, target_pose: Tensor) -> Generated:
        """The person of ``source_image`` ``[B, 3, H, W]`` in ``target_pose`` ``[B, 18, 2]``.

        Raises:
            UserError: for pictures of a size that the generator's depth does not allow; nothing has been computed.
        """
        self.config.check_size(*source_image.shape[-2:])
        return self(make_inputs(source_image, source_pose, target_pose, self.config.background))


class BaselineGenerator(Generator):
    """One-stream U-Net with plain skip connections: what every deformable part is compared with."""

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        c = config.channels
        self.encoder = OneStreamEncoder(c, config.norm)
        self.decoder = Decoder(
            UpBlock(c[i + 1], c[i], c[i], config.norm, config.dropout_at(i))
            for i in reversed(range(config.depth))
        )
        self.head = Head(c[0], c[0])

    def forward(self, inputs: Inputs) -> Generated:
        self.config.check_size(*inputs.size)
        features = self.encoder(inputs.source_image, inputs.source_heatmaps, inputs.target_heatmaps)
        x = self.decoder(features[-1], features[-2::-1])
        return Generated([self.head(x)], [])


class TwoStreamGenerator(Generator):
    """Base of the deformable systems: two encoder streams, and appearance skips warped limb by limb."""

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        self.encoder = TwoStreamEncoder(config.channels, config.pose_channels, config.norm)

    def up_block(self, level: int) -> UpBlock:
        """The block that ends at ``level``; the innermost one begins at the code ``f_a ⊕ h_b``."""
        config, c, p = self.config, self.config.channels, self.config.pose_channels
        into = c[-1] + p[-1] if level == config.depth - 1 else c[level + 1]
        return UpBlock(into, c[level] + p[level], c[level], config.norm, config.dropout_at(level))

    def streams(self, inputs: Inputs) -> tuple[list[Tensor], list[Tensor]]:
        """Appearance and pose features, level by level, of pictures whose size the generator accepts."""
        self.config.check_size(*inputs.size)
        return self.encoder(inputs.source_image, inputs.source_heatmaps, inputs.target_heatmaps)

    def encode(self, inputs: Inputs) -> tuple[Tensor, list[Tensor], Tensor]:
        """Code to decode ``f_a ⊕ h_b``, the skips from coarse to fine, and the pose code ``h_b``."""
        appearance, pose = self.streams(inputs)
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


class DeformableGenerator(TwoStreamGenerator):
    """Two-stream U-Net whose appearance skips are warped limb by limb to the target pose (Deformable GAN)."""

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        self.decoder = Decoder(self.up_block(level) for level in reversed(range(config.depth)))
        self.head = Head(config.channels[0], config.channels[0])

    def forward(self, inputs: Inputs) -> Generated:
        code, skips, _ = self.encode(inputs)
        return Generated([self.head(self.decoder(code, skips))], [])


class StackedGenerator(TwoStreamGenerator):
    """SDGAN: three stacked scales (paper, eq. 2-5).

    Decoders DC_0, DC_1, DC_2 give features at 1/4, 1/2 and 1 of the size, and at each G_i makes a picture of that
    scale from them and the up-sampled pose code.

    ``decoders[0]`` is DC_0, from the code up to 1/4 of the size; DC_1 and DC_2 double the size once each. All three
    use the deformable skips of their sizes. ``ups[i]`` is Up_i, ``heads[i]`` is G_i. Composition, lookup and residual
    blocks are additions of ours; the configuration can leave out each of them.

    The scales are those of its entry in :data:`sdgan_lib.systems.SYSTEMS`: ``sdgan-flat`` has one, so that one decoder
    leads up to the full size, and one head makes the only picture.
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__(config)
        c, p = config.channels, config.pose_channels
        self.scales = SYSTEMS[config.system].scales
        levels = [factor.bit_length() - 1 for factor in self.scales]  # 2, 1, 0: where each decoder ends
        begins = [config.depth, *levels[:-1]]
        self.decoders = nn.ModuleList(
            Decoder(self.up_block(level) for level in reversed(range(end, begin)))
            for begin, end in zip(begins, levels, strict=True)
        )
        self.ups = nn.ModuleList(PoseUpsampler(p[-1], p[level], config.depth - level) for level in levels)
        kind = ComposingHead if config.composition else AttentionHead if config.attention else Head
        self.heads = nn.ModuleList(kind(c[level] + p[level], c[0]) for level in levels)
        self.background = BackgroundMaker(c, config.norm) if config.composition else None
        self.lookup = SourceAttention(c[LOOKUP_LEVEL], c[LOOKUP_LEVEL]) if config.lookup else None
        blocks = {
            str(level): nn.Sequential(*(ResidualBlock(c[level], config.norm) for _ in range(config.blocks)))
            for level in (3, 2)
            if config.blocks and level < config.depth
        }
        self.blocks = nn.ModuleDict(blocks)

    def candidates(self, inputs: Inputs, factor: int) -> tuple[Tensor, Tensor]:
        """What the attention may keep at scale 1/factor, and where.

        These are the source picture moved by each region's map ``[B, 11, 3, h, w]``, and where each region is
        ``[B, 11, h, w]``, in [0, 1]. Of a background that stays in place, only what the source person does not hide is
        known.
        """
        moved = sample_regions(downscale(inputs.source_image, factor), inputs.warps)
        masks = inputs.warps.at(*moved.shape[-2:]).masks
        if self.config.background == "identity" and not self.config.composition:
            free = 1 - downscale(inputs.source_body, factor)
            masks = torch.cat([masks[:, :-1], masks[:, -1:] * free], 1)
        return moved, masks

    def forward(self, inputs: Inputs) -> Generated:
        appearance, pose = self.streams(inputs)
        skips, pose_code = self.join_skips(appearance, pose, inputs), pose[-1]
        features = torch.cat([appearance[-1], pose_code], 1)
        behind = None if self.background is None else self.background(inputs.source_image, appearance)
        levels = reversed(range(self.config.depth))
        left = zip(levels, skips, strict=True)
        images, attention = [], []
        for factor, DC, Up, G in zip(self.scales, self.decoders, self.ups, self.heads, strict=True):
            for up, (level, skip) in zip(DC, islice(left, len(DC)), strict=True):
                features = up(features, skip)
                if str(level) in self.blocks:
                    features = self.blocks[str(level)](features)
                if self.lookup is not None and level == LOOKUP_LEVEL:
                    joints = inputs.source_heatmaps, inputs.target_heatmaps
                    maps = (downscale(h, 2**level) for h in joints)
                    features = self.lookup(features, appearance[level], *maps)
            joined = torch.cat([features, Up(pose_code)], 1)
            if behind is not None:
                place, known = downscale(behind.picture, factor), downscale(behind.known, factor)
                image, shares, logits = G(joined, *self.candidates(inputs, factor), place, known)
                attention.append(shares)
                behind.target_logits.append(logits)
            elif self.config.attention:
                image, shares = G(joined, *self.candidates(inputs, factor))
                attention.append(shares)
            else:
                image = G(joined)
            images.append(image)
        return Generated(images, attention, behind)


def make_generator(config: GeneratorConfig) -> Generator:
    """The generator that ``config.system`` names, with fresh weights, laid out for pictures in channels_last."""
    module, _, name = SYSTEMS[config.system].generator.partition(":")
    return getattr(import_module(module), name)(config).to(memory_format=torch.channels_last)
