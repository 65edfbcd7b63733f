"""Generators: U-Net baseline, Deformable GAN and the stacked deformable generator (paper, eq. 2-5)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sdgan_lib.encoders import NORMS, SLOPE, OneStreamEncoder, TwoStreamEncoder, normalise
from sdgan_lib.inputs import Generated, Inputs, downscale, make_inputs
from sdgan_lib.warping import REGIONS, deformable_skip, sample_regions

SYSTEMS = ("baseline", "deformable", "sdgan")
WARPED_LEVELS = 4  # the four finest encoder levels have deformable skips, as in Deformable GAN
SCALES = (4, 2, 1)  # down-scaling factors of the stacked generator's three pictures


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

    def __post_init__(self):
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
        skips = []
        for level in reversed(range(self.config.depth)):
            moved = appearance[level]
            if level < WARPED_LEVELS:
                moved = deformable_skip(moved, inputs.warps, aggregate=self.config.aggregate)
            skips.append(torch.cat([moved, pose[level]], 1))
        return torch.cat([appearance[-1], pose[-1]], 1), skips, pose[-1]

    def forward(self, inputs: Inputs) -> Generated:
        x, skips, _ = self.encode(inputs)
        for up, skip in zip(self.decoder, skips, strict=True):
            x = up(x, skip)
        return Generated([self.head(x, None, None)[0]], [])


class StackedGenerator(DeformableGenerator):
    """SDGAN: three decoders DC_0, DC_1, DC_2 give features at 1/4, 1/2 and 1 of the size, and at each G_i makes
    an image of that scale from them and the up-sampled pose code (paper, eq. 2-5).

    DC_0 is the decoder from the code up to 1/4 of the size; DC_1 and DC_2 double the size once each. All three
    use the deformable skips of their sizes.
    """

    def make_heads(self) -> None:
        config = self.config
        c, p = config.channels, config.pose_channels
        levels = [factor.bit_length() - 1 for factor in SCALES]  # 2, 1, 0
        self.pose_up = nn.ModuleList(PoseUpsampler(p[-1], p[i], config.depth - i) for i in levels)
        self.heads = nn.ModuleList(Head(c[i] + p[i], c[0], config.attention) for i in levels)

    def forward(self, inputs: Inputs) -> Generated:
        x, skips, code = self.encode(inputs)
        height = inputs.source_image.shape[-2]
        images, attention = [], []
        for up, skip in zip(self.decoder, skips, strict=True):
            x = up(x, skip)
            factor = height // x.shape[-2]
            if factor not in SCALES:
                continue
            i = len(images)
            candidates = masks = None
            if self.config.attention:
                candidates = sample_regions(downscale(inputs.source_image, factor), inputs.warps)
                masks = inputs.warps.at(*x.shape[-2:]).masks
                if self.config.background == "identity":  # behind the source person nothing is known
                    free = 1 - downscale(inputs.source_body, factor)
                    masks = torch.cat([masks[:, :-1], masks[:, -1:] * free], 1)
            image, maps = self.heads[i](torch.cat([x, self.pose_up[i](code)], 1), candidates, masks)
            images.append(image)
            if maps is not None:
                attention.append(maps)
        return Generated(images, attention)


def make_generator(config: GeneratorConfig) -> Generator:
    """The generator that ``config.system`` names, with fresh weights, laid out for pictures in channels_last."""
    kinds = {"baseline": BaselineGenerator, "deformable": DeformableGenerator, "sdgan": StackedGenerator}
    return kinds[config.system](config).to(memory_format=torch.channels_last)
