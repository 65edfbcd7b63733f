"""Materials: the sRGB colour, gloss and fold strength of every visible fragment of a person, by formula."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .bodies import model
from .garments import Identity
from .looks import Look
from .raster import noise

Paint = tuple[np.ndarray, float, float]
"""Colours ``[n, 3]`` (sRGB), gloss and fold strength."""


@dataclass(frozen=True)
class Cloth:
    """What patterns are drawn on, for n fragments.

    ``points`` are places at rest ``[n, 3]``; ``height`` and ``across`` ``[n]`` are metres on the trunk (or along a
    sleeve); ``facing`` ``[n]`` is 1 on the chest, -1 on the back, 0 on sleeves.
    """

    points: np.ndarray
    height: np.ndarray
    across: np.ndarray
    facing: np.ndarray


@dataclass(frozen=True)
class Pattern:
    """Two colours ``[3]`` and what makes a pattern of them its own."""

    a: np.ndarray
    b: np.ndarray
    seed: int
    frequency: float


# ---- patterns: where the second colour is, bool [n] ...


def _stripes(p: Pattern, on: Cloth) -> np.ndarray:
    return np.mod(on.height * p.frequency * 10, 1) < 0.45


def _dots(p: Pattern, on: Cloth) -> np.ndarray:
    x, y = (np.mod(v * 17 * p.frequency, 1) - 0.5 for v in (on.across, on.height))
    return y**2 + x**2 < 0.09


def _block(p: Pattern, on: Cloth) -> np.ndarray:
    return on.height < 0.2 + 0.1 * np.sin(p.seed)


def _yoke(p: Pattern, on: Cloth) -> np.ndarray:
    return on.height > 0.34 + 0.05 * np.sin(p.seed)


def _logo(p: Pattern, on: Cloth) -> np.ndarray:
    return (on.facing > 0) & ((on.across - 0.06) ** 2 + (on.height - 0.36) ** 2 < 0.0012)


# ---- ... or all colours, [n, 3], from those of plain cloth


def _pinstripes(p: Pattern, on: Cloth, c: np.ndarray) -> np.ndarray:
    c[np.mod(on.across * p.frequency * 16 + 0.25, 1) < 0.3] = 0.55 * p.a + 0.45 * p.b
    return c


def _camo(p: Pattern, on: Cloth, c: np.ndarray) -> np.ndarray:
    q = noise(on.points, 13 * p.frequency, p.seed, 2)
    c[q > 0.55] = 0.5 * (p.a + p.b)
    c[q < 0.42] = 0.6 * p.a
    return c


def _marl(p: Pattern, on: Cloth, c: np.ndarray) -> np.ndarray:
    return c * (0.8 + 0.4 * noise(on.points, 150, p.seed))[:, None]


def _check(p: Pattern, on: Cloth, c: np.ndarray) -> np.ndarray:
    along, across = ((np.mod(v * p.frequency * 8, 1) < 0.35) * 0.45 for v in (on.height, on.across))
    share = (along + across)[:, None]
    return c * (1 - share) + p.b * share


def _print(p: Pattern, on: Cloth, c: np.ndarray) -> np.ndarray:
    """A square of five by five cells on chest or back."""
    rng = np.random.default_rng(p.seed)
    w, low = rng.uniform(0.07, 0.12), rng.uniform(0.14, 0.24)
    high, side = low + rng.uniform(0.1, 0.18), 1 if rng.random() < 0.75 else -1
    cells = np.where(rng.random((5, 5, 1)) < 0.4, 0.5 * (p.a + p.b), p.b)
    cells[rng.random((5, 5)) < 0.15] = np.clip(p.b * 1.4, 0, 0.95)
    inside = (on.facing * side > 0) & (np.abs(on.across) < w) & (on.height > low) & (on.height < high)
    iy = np.clip(((on.height - low) / (high - low) * 5).astype(int), 0, 4)
    ix = np.clip(((on.across + w) / (2 * w) * 5).astype(int), 0, 4)
    c[inside] = cells[iy, ix][inside]
    return c


TWO_COLOURS = {"stripes": _stripes, "dots": _dots, "block": _block, "yoke": _yoke, "logo": _logo}
MIXED = {"pinstripes": _pinstripes, "camo": _camo, "marl": _marl, "check": _check, "print": _print}


def pattern(kind: str, p: Pattern, on: Cloth) -> np.ndarray:
    """Colours ``[n, 3]`` of cloth; a ``kind`` that is in neither table is plain."""
    c = np.tile(p.a.astype(float), (len(on.points), 1))
    if kind in MIXED:
        return MIXED[kind](p, on, c)
    if kind in TWO_COLOURS:
        c[TWO_COLOURS[kind](p, on)] = p.b
    return c


@dataclass(frozen=True)
class _Fragments:
    """n fragments of a person: places at rest ``q`` ``[n, 3]`` and each of the ``ATTRIBUTES`` ``[n]``."""

    person: Identity
    q: np.ndarray
    arm: np.ndarray
    armt: np.ndarray
    legt: np.ndarray
    trunk: np.ndarray
    up: np.ndarray
    forward: np.ndarray
    head: np.ndarray

    @property
    def look(self) -> Look:
        return self.person.look

    @cached_property
    def on_arm(self) -> np.ndarray:
        return self.arm > 0.5

    @cached_property
    def on_head(self) -> np.ndarray:
        return self.head > 0.5

    @cached_property
    def grain(self) -> np.ndarray:
        return noise(self.q, 60, self.look.seed) - 0.5

    @cached_property
    def cloth(self) -> Cloth:
        """Cloth of the trunk and the sleeves."""
        height = np.where(self.on_arm, 0.45 - self.armt * 0.28, self.trunk * 0.5)
        facing = np.where(self.q[:, 1] < -0.01, 1, -1) * np.where(self.on_arm, 0, 1)
        return Cloth(self.q, height, self.q[:, 0] / self.person.scale, facing)

    @cached_property
    def leg_cloth(self) -> Cloth:
        """Cloth of the legs."""
        return replace(self.cloth, height=self.q[:, 2])

    def near_eyes(self, offset: tuple, radii: tuple) -> np.ndarray:
        """Distance ``[n]`` to the nearer of two ellipsoids (1 on them), ``offset`` from the eyes; metres."""
        k = self.person.scale
        to = [(self.q - e - np.array(offset) * k) / np.array(radii) for e in self.person.eyes]
        return np.minimum(*(np.linalg.norm(d, axis=1) for d in to))

    def eye_circles(self) -> np.ndarray:
        """Distance ``[n]`` to the nearer eye's middle, seen from the front; metres."""
        return np.minimum(*(np.linalg.norm((self.q - e)[:, [0, 2]], axis=1) for e in self.person.eyes))


# ---- the face: each takes skin colours [n, 3] and returns them changed


def _eyes_and_brows(f: _Fragments, face: np.ndarray, c: np.ndarray) -> np.ndarray:
    k, look = f.person.scale, f.look
    socket = f.near_eyes((0, 0, 0), (0.02 * k, 0.04, 0.013 * k))
    c = c * (1 - 0.28 * np.clip(1.3 - socket, 0, 1) * face)[:, None]
    lashes = (f.near_eyes((0, -0.01, 0.004), (0.016 * k, 0.03, 0.0042 * k)) < 1) & face
    c[lashes] = c[lashes] * 0.35
    brow = (f.near_eyes((0, -0.015, 0.021), (0.019 * k, 0.03, 0.0055 * k)) < 1) & face
    c[brow] = c[brow] * (1 - look.brow * 0.75) + np.minimum(look.hair, 0.4) * look.brow * 0.6
    return c


def _lips(f: _Fragments, face: np.ndarray) -> np.ndarray:
    """Where the lips are, bool ``[n]``."""
    k, person = f.person.scale, f.person
    aside = np.abs(f.q[:, 0])
    above = np.abs(f.q[:, 2] - person.chin - 0.225 * person.head_height)
    return (aside < 0.025 * k) & face & (f.forward > 0.3) & (above < 0.009 * k * (1.2 - aside / (0.03 * k)))


def _beard(f: _Fragments, lip: np.ndarray, c: np.ndarray) -> np.ndarray:
    thick = np.clip((0.37 - f.up) / 0.06, 0, 1) * np.clip((f.forward + 0.02) / 0.08, 0, 1) * f.on_head * ~lip
    thick = (thick * (0.35 + 0.5 * noise(f.q, 70, f.look.seed + 2)))[:, None]
    return c * (1 - thick) + np.minimum(f.look.hair, 0.45) * 0.8 * thick


def _stubble(f: _Fragments, c: np.ndarray) -> np.ndarray:
    """Cropped hair that shows as colour on the scalp."""
    skin, hair = (0.9, 0.05) if f.look.style == "bald" else (0.5, 0.45)
    scalp = f.on_head & (f.up > 0.57 + 0.68 * f.forward)
    c[scalp] = c[scalp] * skin + f.look.hair * hair
    return c


def _face(f: _Fragments, c: np.ndarray) -> np.ndarray:
    """Cheeks, eyes, nose, lips, beard, cropped hair and glasses on skin colours ``[n, 3]``."""
    look, k, q = f.look, f.person.scale, f.q
    face = f.on_head & (f.forward > 0.05)
    cheek = np.exp(-(((np.abs(q[:, 0]) - 0.04 * k) / 0.022) ** 2 + ((f.up - 0.42) / 0.1) ** 2)) * face
    c = _eyes_and_brows(f, face, c * (1 - np.outer(cheek, [0, 0.12, 0.12])))
    under_nose = (
        np.exp(-((q[:, 0] / (0.016 * k)) ** 2 + ((f.up - 0.335) / 0.022) ** 2)) * face * (f.forward > 0.3)
    )
    c = c * (1 - 0.22 * under_nose)[:, None]
    lip = _lips(f, face)
    c[lip] = c[lip] * [0.82, 0.55, 0.55]
    if look.beard:
        c = _beard(f, lip, c)
    if look.style in ("crew", "short", "bald"):
        c = _stubble(f, c)
    if look.glasses:
        c[face & (np.abs(f.eye_circles() - 0.02 * k) < 0.0024 * k)] *= 0.35
    return c


# ---- the parts


def _body(f: _Fragments) -> Paint:
    c = f.look.skin * (1 + 0.05 * f.grain + 0.06 * (noise(f.q, 12, f.look.seed + 5) - 0.5))[:, None]
    c = _face(f, c)
    if f.look.sock is not None:
        c[(f.legt > 1.72) & (f.head < 0.5)] = f.look.sock
    return c, 0.10, 0.0


def _eye(f: _Fragments) -> Paint:
    e = np.where(f.q[:, :1] > 0, f.person.eyes[1], f.person.eyes[0])
    iris = np.linalg.norm((f.q - e)[:, [0, 2]], axis=1) < 0.0068 * f.person.scale
    return np.where(iris[:, None], [0.08, 0.06, 0.05], [0.62, 0.59, 0.57]), 0.02, 0.0


def _hair(f: _Fragments) -> Paint:
    strand = noise(f.q * [1, 1, 0.25], 55, f.look.seed, 2)
    return f.look.hair * (0.5 + strand)[:, None], 0.05, 0.5


def _straps(f: _Fragments, c: np.ndarray) -> np.ndarray:
    """The straps of a backpack or a shoulder bag on cloth colours ``[n, 3]``."""
    height, across, facing = f.cloth.height, f.cloth.across, f.cloth.facing
    if f.look.pack:
        on = (f.arm < 0.6) & (np.abs(np.abs(across) - 0.095) < 0.02) & (height > 0.17) & (facing > 0)
        c[on] = f.look.bag * 0.85
    elif f.look.shoulder_bag:
        c[(np.abs(across * 0.75 + height - 0.28) < 0.02) & (f.arm < 0.5)] = f.look.bag * 0.85
    return c


def _top(f: _Fragments) -> Paint:
    look = f.look
    c = pattern(look.top_pattern, Pattern(look.top, look.top2, look.seed, look.frequency), f.cloth)
    if look.neckline == 0:
        c[(f.trunk > 0.955) & ~f.on_arm] *= 0.8
    if look.sleeve > 1:
        c[f.on_arm & (f.armt > look.sleeve - 0.1)] *= 0.85
    return _straps(f, c), 0.0, 1.0


def _jacket(f: _Fragments) -> Paint:
    look, on = f.look, f.cloth
    c = pattern(look.jacket_pattern, Pattern(look.jacket, look.jacket2, look.seed + 3, look.frequency), on)
    front, aside = on.facing > 0, np.abs(on.across)
    c[front & (aside < 0.008 + look.jacket_open * 1.15)] *= 0.65
    c[front & (np.abs(aside - 0.09) < 0.045) & (np.abs(f.trunk - 0.22) < 0.015)] *= 0.65  # pockets
    return _straps(f, c), 0.0, 1.2


def _bottom(f: _Fragments) -> Paint:
    look, seed = f.look, f.look.seed
    c = pattern(look.bottom_pattern, Pattern(look.bottom, look.top2, seed + 7, look.frequency), f.leg_cloth)
    if look.bottom_pattern == "denim":
        worn = 1 + np.exp(-(((f.legt - 0.5) / 0.4) ** 2)) * 0.3 * (f.cloth.facing > 0)
        c = c * worn[:, None] * (1 + 0.15 * (noise(f.q, 160, seed) - 0.5))[:, None]
    elif look.bottom_pattern == "side stripe":
        hip, knee = (f.person.heads[model().bone(b)] for b in ("upperleg01.L", "lowerleg01.L"))
        outer = np.abs(hip[0] + f.legt * (knee[0] - hip[0])) + 0.045 * f.person.scale
        c[(np.abs(f.q[:, 0]) > outer) & (np.abs(f.q[:, 1] - knee[1]) < 0.022)] = 0.88
    c[(f.trunk > 0.2) & (f.trunk < 0.26)] *= 0.5  # waistband
    return c, 0.0, 0.3 if look.bottom_kind == "leggings" else 1.0


def _skirt(f: _Fragments) -> Paint:
    look = f.look
    kind, colour = look.bottom_pattern, look.bottom
    if look.dress:
        kind, colour = look.top_pattern if look.top_pattern in DRESS_PATTERNS else "plain", look.top
    return pattern(kind, Pattern(colour, look.top2, look.seed, look.frequency), f.leg_cloth), 0.0, 1.0


def _shoe(f: _Fragments) -> Paint:
    sole = f.q[:, 2] < 0.022 * f.person.scale
    return np.where(sole[:, None], f.look.sole, f.look.shoe * (1 + 0.12 * f.grain)[:, None]), 0.08, 0.0


def _cap(f: _Fragments) -> Paint:
    return np.tile(f.look.cap_colour, (len(f.q), 1)), 0.0, 0.3


def _bag(f: _Fragments) -> Paint:
    return f.look.bag * (1 + 0.12 * f.grain)[:, None], 0.02, 0.5


DRESS_PATTERNS = ("stripes", "pinstripes", "check", "dots", "camo", "marl")
"""Patterns of a top that go on down a dress; of any other the skirt of the dress is plain."""
PAINTERS = {
    "body": _body,
    "eye": _eye,
    "hair": _hair,
    "top": _top,
    "jacket": _jacket,
    "bottom": _bottom,
    "skirt": _skirt,
    "shoe": _shoe,
    "cap": _cap,
    "bag": _bag,
}


def paint(person: Identity, name: str, q: np.ndarray, a: np.ndarray) -> Paint:
    """Colours, gloss and fold strength of fragments of the part ``name``.

    Args:
        person: whose part it is.
        name: one of ``PAINTERS``.
        q: the fragments' places at rest, ``[n, 3]``.
        a: their ``ATTRIBUTES``, ``[n, 7]``.
    """
    return PAINTERS[name](_Fragments(person, q, *a.T))
