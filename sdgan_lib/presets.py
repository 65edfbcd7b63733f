"""Presets: the three compared systems, sized for a laptop and at the paper's width."""

from dataclasses import dataclass, field, replace

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.generators import SYSTEMS, GeneratorConfig
from sdgan_lib.losses import LossConfig


@dataclass(frozen=True)
class Recipe:
    """How a system is trained.

    Attributes:
        batch_size: pairs per step.
        generator_rate, discriminator_rate: Adam's learning rates; both fall linearly to a fiftieth over the last
            ``decay_share`` of the budget.
        betas: Adam's.
        half_size: share of the budget, from its start, in which pictures are trained on at half their size, as long as
            the discriminators are not in and where the generator's depth allows it: a step costs well under half as
            much, and what goes where is learned all the same.
        adversarial_start: share of the budget after which the discriminators come in; before it the generator
            learns from the L1 term alone, which is faster and brings the colours to their places first.
        ema_decay: of the generator's moving average, the weights that evaluation uses.
        pairs: ``"same-camera"`` or ``"all"`` pairs of the training split.
        flip: mirror half of the pairs, at random (left and right joints change places).
    """

    batch_size: int = 8
    generator_rate: float = 2e-4
    discriminator_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    decay_share: float = 0.5
    half_size: float = 0.0
    adversarial_start: float = 0.0
    ema_decay: float = 0.999
    pairs: str = "all"
    flip: bool = True


@dataclass(frozen=True)
class Preset:
    """A system, its discriminators, its losses and its recipe."""

    generator: GeneratorConfig
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    recipe: Recipe = field(default_factory=Recipe)

    def with_width(self, width: int) -> "Preset":
        """The same system with another generator width; everything else stays."""
        return replace(self, generator=replace(self.generator, width=width))


def _laptop(system: str) -> Preset:
    return Preset(
        GeneratorConfig(system, width=16, depth=4, pose_ratio=0.5, norm="group", dropout=0.0),
        DiscriminatorConfig((16, 32, 64)),
        LossConfig(person_weight=3.0),
        Recipe(8, 1e-3, 4e-4, half_size=0.3, adversarial_start=0.5, pairs="same-camera"),
    )


def _paper(system: str) -> Preset:
    """At the paper's width. Its learning rate of 0.01 can't be meant for Adam: Deformable GAN's 2e-4 stands here,
    as in the authors' code, and so do its batch of 4 and its L1 weight of 100."""
    return Preset(GeneratorConfig(system), recipe=Recipe(4))


PRESETS: dict[str, Preset] = {s: _laptop(s) for s in SYSTEMS} | {f"{s}-paper": _paper(s) for s in SYSTEMS}
