"""The registry of systems: which generators there are, what pictures they make, and which of these are judged.

It imports nothing, so that the command line can list the systems before PyTorch is loaded. A further system is a
generator class and one entry here; presets, command line, discriminators and losses read the rest from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    """One system.

    Attributes:
        generator: where its class is, as ``"module:class"``; see :class:`sdgan_lib.generators.Generator`.
        scales: down-scaling factor of each picture that it makes, in the order in which it makes them; the last one is
            its answer. Each has an L1 term against the real picture of its scale.
        judged: which of these pictures have a discriminator of their own, as places in ``scales``.
        staged: whether the pictures are learned one after the other: those that are not judged until the
            discriminators come in (``Recipe.adversarial_start``), and from then on, while what makes them stands
            still, those that are. Else all are learned together.
    """

    generator: str
    scales: tuple[int, ...]
    judged: tuple[int, ...]
    staged: bool = False

    def __post_init__(self):
        if self.scales[-1:] != (1,) or not all(0 <= i < len(self.scales) for i in self.judged):
            raise ValueError(
                f"the last picture must have full size (scale 1), and only pictures that are made can be judged; got "
                f"scales {self.scales}, judged {self.judged}"
            )
        if self.staged and not 0 < len(set(self.judged)) < len(self.scales):
            raise ValueError(
                f"a staged system needs pictures of both kinds, judged ones and others; got scales {self.scales}, "
                f"judged {self.judged}"
            )

    @property
    def judged_scales(self) -> tuple[int, ...]:
        """Down-scaling factor of each discriminator's pictures."""
        return tuple(self.scales[i] for i in self.judged)


SYSTEMS: dict[str, System] = {
    "baseline": System("sdgan_lib.generators:BaselineGenerator", scales=(1,), judged=(0,)),
    "pg2": System("sdgan_lib.pg2:PG2Generator", scales=(1, 1), judged=(1,), staged=True),
    "deformable": System("sdgan_lib.generators:DeformableGenerator", scales=(1,), judged=(0,)),
    "sdgan": System("sdgan_lib.generators:StackedGenerator", scales=(4, 2, 1), judged=(0, 1, 2)),
    "sdgan-flat": System("sdgan_lib.generators:StackedGenerator", scales=(1,), judged=(0,)),
}
"""The compared systems by name; ``sdgan-flat`` is SDGAN without stacking, to tell what stacking brings."""
