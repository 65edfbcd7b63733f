"""Presets: the compared systems, sized for a laptop and at the paper's width, and the timetable of a run."""

import math
from dataclasses import asdict, dataclass, field, replace

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.errors import UserError
from sdgan_lib.generators import GeneratorConfig
from sdgan_lib.losses import LossConfig
from sdgan_lib.systems import SYSTEMS

PAIRS = ("same-camera", "all")
"""Which pairs of the training split a recipe may take."""

FINE_TUNING_STEPS = 100
"""Steps of ``train --fine-tune`` unless it is told otherwise: a minute or two on a laptop."""


@dataclass(frozen=True)
class Recipe:
    """How a system is trained.

    Attributes:
        batch_size: pairs per step (of each process, where there are several).
        generator_rate, discriminator_rate: Adam's learning rates; both fall linearly to a fiftieth over the last
            ``decay_share`` of the budget, or of each stage of a staged system.
        betas: Adam's.
        decay_share: share of the budget, at its end, over which the rates fall.
        half_size: share of the budget, from its start, in which pictures are trained on at half their size, as long as
            the discriminators are not in and where the generator's depth allows it: a step costs well under half as
            much, and what goes where is learned all the same.
        adversarial_start: share of the budget after which the discriminators come in; before it the generator
            learns from the L1 term alone, which is faster and brings the colours to their places first.
        ema_decay: of the generator's moving average, the weights that evaluation uses.
        pairs: ``"same-camera"`` or ``"all"`` pairs of the training split.
        flip: mirror half of the pairs, at random (left and right joints change places).
        frozen: parts of the generator, by the names of their attributes, whose weights stay as they are.

    Raises:
        UserError: for a value with which nothing can be trained, by its name.
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
    frozen: tuple[str, ...] = ()

    def __post_init__(self):
        if self.batch_size < 1:
            raise UserError(f"batch_size must be 1 or more, not {self.batch_size}")
        for name in ("generator_rate", "discriminator_rate"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise UserError(f"{name} must be a number of 0 or more, not {getattr(self, name)}")
        for name in ("decay_share", "half_size", "adversarial_start", "ema_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is a share, from 0 to 1, not {getattr(self, name)}")
        if self.pairs not in PAIRS:
            raise UserError(f"pairs is one of {', '.join(PAIRS)}, not {self.pairs!r}")


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

    def settings(self) -> dict[str, object]:
        """Every field by its full name: ``{"generator.width": 16, ...}``."""
        return {f"{part}.{name}": v for part, values in asdict(self).items() for name, v in values.items()}

    def fine_tuned(self) -> "Preset":
        """The same generator, to learn one person from a dozen pictures within minutes (``train --fine-tune``).

        It starts from a trained generator. Discriminators, which start afresh, cost half as much again and change
        nothing (``fg_ssim`` 0.435 with them after 40 steps, 0.436 without). How it looks at a source and paints the
        place stays as it is: were that trained too, the person would gain as much, but get a halo.
        ``data/frames/README.md`` says what it reaches.
        """
        frozen = ("encoder", "background") if self.generator.composition else ("encoder",)
        return replace(
            self,
            losses=replace(self.losses, adversarial_weight=0.0),
            recipe=replace(
                self.recipe,
                batch_size=4,
                generator_rate=4e-4,
                decay_share=1.0,
                half_size=0.0,
                ema_decay=0.9,
                pairs="all",
                frozen=frozen,
            ),
        )


@dataclass(frozen=True)
class Stage:
    """What a preset says for one moment of a run.

    Attributes:
        generator_rate: learning rate of the generator.
        discriminator_rate: learning rate of the discriminators.
        adversarial: whether the discriminators are in.
        size: (height, width) in pixels of the pictures that are trained on.
    """

    generator_rate: float
    discriminator_rate: float
    adversarial: bool
    size: tuple[int, int]


def schedule(preset: Preset, progress: float, size: tuple[int, int]) -> Stage:
    """The timetable of a run, in shares of its budget, so that one recipe serves short and long runs.

    Args:
        preset: what is trained, and how.
        progress: share of the budget that is spent, 0 to 1.
        size: (height, width) of the data set's pictures.
    """
    recipe = preset.recipe
    start = recipe.adversarial_start if preset.losses.adversarial_weight else math.inf
    adversarial = progress >= start
    begin, end = 0.0, 1.0
    if SYSTEMS[preset.generator.system].staged:  # each stage is a training of its own
        begin, end = (start, 1.0) if adversarial else (0.0, min(start, 1.0))
    left = min(1.0, (end - progress) / max(recipe.decay_share * (end - begin), 1e-9))
    factor = 0.02 + 0.98 * left  # constant, then falling linearly to a fiftieth
    half = size[0] // 2, size[1] // 2
    small = progress < recipe.half_size and not adversarial and preset.generator.accepts(*half)
    return Stage(
        recipe.generator_rate * factor,
        recipe.discriminator_rate * factor,
        adversarial,
        half if small else (size[0], size[1]),
    )


def _laptop(system: str) -> Preset:
    return Preset(
        GeneratorConfig(system, width=16, depth=4, pose_ratio=0.5, norm="group", dropout=0.0),
        DiscriminatorConfig((16, 32, 64)),
        LossConfig(person_weight=3.0),
        Recipe(8, 1e-3, 4e-4, half_size=0.3, adversarial_start=0.5, pairs="same-camera"),
    )


def _composed(preset: Preset) -> Preset:
    """With our additions to the paper that pay within ten minutes: a person before a background, and more losses.

    What goes where is learned at half the size first; the discriminators, which cost a quarter of a step, only polish.
    """
    losses = replace(
        preset.losses,
        head_weight=4.0,
        feature_weight=30.0,
        ssim_weight=60.0,
        silhouette_weight=10.0,
        background_weight=0.5,
    )
    return replace(
        preset,
        generator=replace(preset.generator, composition=True),
        losses=losses,
        recipe=replace(preset.recipe, half_size=0.4, adversarial_start=0.85),
    )


def _large(preset: Preset) -> Preset:
    """For hours instead of minutes.

    It is wider where a picture is small, looks up the source, learns from all pairs, and its discriminators are in from
    the first step.
    """
    return replace(
        preset,
        generator=replace(preset.generator, levels=(16, 32, 96, 192, 256), lookup=True, blocks=1),
        discriminator=DiscriminatorConfig((32, 64, 128)),
        losses=replace(preset.losses, ssim_weight=30.0),
        recipe=replace(
            preset.recipe, batch_size=32, decay_share=0.6, half_size=0.0, adversarial_start=0.0, pairs="all"
        ),
    )


def _in_two_stages(preset: Preset) -> Preset:
    """PG2 at a laptop's width: the coarse stage has the greater share of the budget, as in its paper."""
    return replace(preset, recipe=replace(preset.recipe, adversarial_start=0.6))


def _paper(system: str) -> Preset:
    """At the paper's width, and as near to its text as can be.

    Its learning rate of 0.01 can't be meant for Adam: Deformable GAN's 2e-4 stands here, as in the authors' code, and
    so do its batch of 4 and its L1 weight of 100.
    """
    return Preset(GeneratorConfig(system), recipe=Recipe(4))


def _pg2_paper() -> Preset:
    """At the width of PG2's published code, and by the recipe of its paper for Market-1501.

    Batches of 16 and a constant rate of 2e-5, for 22,000 steps of the coarse stage and 14,000 of the refinement: train
    it with ``--steps 36000``. The published code's L1 weight of 10 stands here, the mask counts once more.
    """
    return Preset(
        GeneratorConfig("pg2", width=128, depth=4, dropout=0.0),
        losses=LossConfig(l1_weight=10.0, person_weight=1.0),
        recipe=Recipe(16, 2e-5, 2e-5, decay_share=0.0, adversarial_start=22 / 36),
    )


_SDGAN = _composed(_laptop("sdgan"))
_FLAT = _composed(_laptop("sdgan-flat"))
PRESETS: dict[str, Preset] = (
    {system: _laptop(system) for system in SYSTEMS}
    | {"sdgan": _SDGAN, "sdgan-flat": _FLAT, "sdgan-large": _large(_SDGAN)}
    | {f"{system}-paper": _paper(system) for system in SYSTEMS}
    | {"pg2": _in_two_stages(_laptop("pg2")), "pg2-paper": _pg2_paper()}
)
"""What ``train --system`` can name: every system at a laptop's width, and at the paper's (``…-paper``).

``sdgan`` has our additions switched on, as they are in ``sdgan-large``, which the shipped generator was trained by, and
in ``sdgan-flat``; ``sdgan-paper`` has none of them.
"""
