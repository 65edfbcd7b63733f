"""Looks: an identity's skin, hair and clothes, drawn at random from palettes of everyday colours."""

from dataclasses import dataclass

import numpy as np

from .bodies import RACES
from .draws import draw

# Skin tones from light to dark (sRGB). Which of them an origin uses overlaps widely.
SKIN = np.array(
    [
        (0.86, 0.69, 0.60),
        (0.83, 0.64, 0.53),
        (0.77, 0.58, 0.46),
        (0.70, 0.51, 0.39),
        (0.62, 0.43, 0.32),
        (0.53, 0.37, 0.28),
        (0.45, 0.31, 0.24),
    ]
)
SKIN_RANGE = {"african": (4, 7), "asian": (1, 5), "caucasian": (0, 3)}
HAIR = {
    "black": (0.09, 0.08, 0.08),
    "dark brown": (0.16, 0.11, 0.08),
    "brown": (0.27, 0.17, 0.11),
    "light brown": (0.40, 0.27, 0.17),
    "blond": (0.66, 0.52, 0.33),
    "red": (0.45, 0.21, 0.11),
    "grey": (0.52, 0.51, 0.50),
    "white": (0.78, 0.77, 0.75),
}
TOPS = {
    "white": (0.90, 0.90, 0.89),
    "cream": (0.88, 0.84, 0.74),
    "black": (0.09, 0.09, 0.10),
    "charcoal": (0.22, 0.23, 0.25),
    "grey": (0.47, 0.48, 0.49),
    "light grey": (0.68, 0.69, 0.70),
    "navy": (0.12, 0.16, 0.29),
    "blue": (0.17, 0.33, 0.61),
    "light blue": (0.55, 0.70, 0.84),
    "red": (0.68, 0.14, 0.15),
    "burgundy": (0.40, 0.11, 0.17),
    "rust": (0.68, 0.32, 0.15),
    "orange": (0.85, 0.47, 0.16),
    "mustard": (0.78, 0.61, 0.20),
    "yellow": (0.90, 0.80, 0.35),
    "olive": (0.36, 0.38, 0.20),
    "green": (0.15, 0.42, 0.26),
    "sage": (0.56, 0.66, 0.52),
    "teal": (0.11, 0.44, 0.46),
    "pink": (0.87, 0.58, 0.64),
    "rose": (0.71, 0.40, 0.44),
    "purple": (0.37, 0.22, 0.47),
    "lavender": (0.66, 0.60, 0.78),
    "beige": (0.76, 0.67, 0.54),
    "brown": (0.38, 0.26, 0.18),
}
TOP_WEIGHT = {
    "white": 3,
    "black": 3,
    "charcoal": 2,
    "grey": 2,
    "navy": 2,
    "light grey": 2,
    "blue": 2,
    "light blue": 1.5,
}
BOTTOMS = {
    "black": (0.10, 0.10, 0.11),
    "charcoal": (0.22, 0.23, 0.25),
    "grey": (0.45, 0.46, 0.47),
    "navy": (0.13, 0.16, 0.27),
    "khaki": (0.62, 0.53, 0.39),
    "beige": (0.77, 0.70, 0.58),
    "olive": (0.34, 0.35, 0.22),
    "brown": (0.34, 0.25, 0.18),
    "white": (0.86, 0.86, 0.84),
    "burgundy": (0.36, 0.13, 0.17),
    "slate": (0.33, 0.40, 0.48),
}
DENIM = ((0.15, 0.20, 0.32), (0.24, 0.33, 0.48), (0.38, 0.49, 0.64), (0.12, 0.13, 0.17))
BAGS = {
    "black": (0.09, 0.09, 0.10),
    "charcoal": (0.24, 0.25, 0.27),
    "brown": (0.35, 0.23, 0.15),
    "tan": (0.61, 0.44, 0.28),
    "navy": (0.13, 0.17, 0.30),
    "olive": (0.33, 0.35, 0.21),
    "grey": (0.48, 0.48, 0.50),
    "burgundy": (0.40, 0.13, 0.18),
    "red": (0.62, 0.17, 0.16),
    "teal": (0.15, 0.40, 0.43),
}
SHOES = {
    "white": (0.88, 0.88, 0.87),
    "black": (0.08, 0.08, 0.08),
    "brown": (0.31, 0.20, 0.13),
    "grey": (0.42, 0.42, 0.44),
    "tan": (0.58, 0.43, 0.28),
    "navy": (0.13, 0.17, 0.28),
    "red": (0.60, 0.16, 0.16),
}
PATTERNS = (
    "plain",
    "plain",
    "plain",
    "stripes",
    "pinstripes",
    "check",
    "block",
    "print",
    "print",
    "logo",
    "camo",
    "dots",
    "yoke",
    "marl",
)
HAIR_COLOURS = {  # names may occur more than once: that is their weight
    "old": ("grey", "white", "grey"),
    "dark": ("black", "dark brown", "black", "brown"),
    "light": (
        "dark brown", "brown", "brown", "light brown", "light brown", "blond", "blond", "red", "black",
    ),
}  # fmt: skip
# By whether the body is female.
STYLES = {
    True: ("long", "long", "bob", "bun", "pony", "short"),
    False: ("short", "short", "short", "short", "crew", "crew", "bald", "bob"),
}
BOTTOM_KINDS = {
    True: ("trousers", "trousers", "jeans", "jeans", "shorts", "leggings", "skirt", "long skirt"),
    False: ("trousers", "trousers", "jeans", "jeans", "shorts", "shorts"),
}
SKIRTS = ("skirt", "long skirt")
JACKET_WEIGHT = {"black": 3, "navy": 3, "charcoal": 3, "olive": 2, "beige": 2, "white": 0.5}
JACKET_PATTERNS = ("plain",) * 6 + ("yoke", "block", "check", "marl")
SOLES = np.array([(0.86, 0.86, 0.84), (0.08, 0.08, 0.08), (0.30, 0.21, 0.14)])
# Value -> probability.
SLEEVES = {-0.05: 0.05, 0.3: 0.1, 0.45: 0.17, 0.6: 0.14, 0.75: 0.06, 1.4: 0.06, 1.9: 0.21, 1.94: 0.21}
JACKET_SLEEVES = {1.9: 0.46, 1.95: 0.46, -0.05: 0.08}
JACKET_HEMS = {0.05: 0.4, -0.08: 0.35, -0.3: 0.15, -0.7: 0.1}
SKIRT_PATTERNS = {"plain": 0.6, "stripes": 0.1, "dots": 0.1, "check": 0.1, "block": 0.1}
TROUSER_PATTERNS = {"plain": 0.8, "side stripe": 0.1, "camo": 0.05, "check": 0.05}
# Kind -> a number, or the range (low, high) or list of values that it is drawn from.
HAIR_THICKNESS = {"short": (0.012, 0.024), "crew": 0.006, "bald": 0.0, "bob": 0.022, "long": 0.018}
HAIR_LENGTH = {"long": (-1.0, -0.35), "bob": (-0.12, 0.22)}
BOTTOM_LENGTH = {"trousers": 1.96, "jeans": 1.95, "shorts": (0.5, 1.05), "leggings": [1.5, 1.9]}
LOOSENESS = {"trousers": (0.3, 1.2), "jeans": (0.0, 0.7), "shorts": (0.5, 1.4), "leggings": -0.3}


@dataclass
class Look:
    """What an identity looks like.

    Colours are sRGB in 0..1. Lengths along limbs: sleeves 0 shoulder, 1 elbow, 2 wrist; legs 0 hip, 1 knee, 2
    ankle. Heights on the trunk: 0 hip joint, 1 neck. Everything else that is a length is in metres.
    """

    skin: np.ndarray
    hair: np.ndarray
    style: str
    hair_thickness: float
    hair_length: float
    beard: bool
    cap: bool
    glasses: bool
    brow: float
    top: np.ndarray
    top2: np.ndarray
    top_pattern: str
    sleeve: float
    hem: float
    neckline: float
    tucked: bool
    fit: float
    folds: int
    jacket: np.ndarray | None
    jacket2: np.ndarray
    jacket_pattern: str
    jacket_sleeve: float
    jacket_hem: float
    jacket_open: float
    bottom_kind: str
    bottom: np.ndarray
    bottom_pattern: str
    bottom_length: float
    skirt_length: float
    looseness: float
    flare: float
    dress: bool
    shoe: np.ndarray
    sole: np.ndarray
    boots: bool
    sock: np.ndarray | None
    pack: bool
    shoulder_bag: bool
    hand_bag: bool
    bag: np.ndarray
    cap_colour: np.ndarray
    seed: int
    frequency: float

    @property
    def skirt(self) -> bool:
        """Whether a skirt or a dress is worn instead of trousers."""
        return self.bottom_kind in SKIRTS


def _pick(
    rng: np.random.Generator, palette: dict, weight: dict | None = None, jitter: float = 0.025
) -> np.ndarray:
    """A colour of ``palette``, a little changed; names that ``weight`` leaves out weigh 1."""
    names = list(palette)
    p = np.array([(weight or {}).get(n, 1.0) for n in names])
    colour = np.array(palette[names[rng.choice(len(names), p=p / p.sum())]])
    return np.clip(colour * rng.uniform(0.9, 1.08) + rng.normal(0, jitter, 3), 0.04, 0.95)


def _contrast(rng: np.random.Generator, palette: dict, other: np.ndarray) -> np.ndarray:
    """A second colour that can be told from the first."""
    picks = [_pick(rng, palette) for _ in range(4)]
    return max(picks, key=lambda c: np.abs(c - other).sum() * rng.uniform(0.7, 1))


def _chance(rng: np.random.Generator, table: dict):
    """One key of a table from values to probabilities."""
    return rng.choice(list(table), p=list(table.values())).item()


def _drawn(rng: np.random.Generator, table: dict, kind: str, default: float) -> float:
    """The number of ``kind`` in a table of numbers, ranges and lists.

    Every entry is drawn, wanted or not: what follows in the stream of random numbers does not depend on ``kind``.
    """
    return {k: draw(rng, spread) for k, spread in table.items()}.get(kind, default)


def _skin_tone(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    """A skin tone between the neighbours in ``SKIN`` that the shares of the origins point to."""
    tone = sum(w * rng.uniform(*SKIN_RANGE[k]) for w, k in zip(share, RACES, strict=True))
    low = min(int(tone), len(SKIN) - 2)
    return SKIN[low] + (SKIN[low + 1] - SKIN[low]) * min(tone - low, 1)


def _hair_colour(rng: np.random.Generator, share: np.ndarray, age: float) -> np.ndarray:
    if age > 0.88 and rng.random() < 0.7:
        names = HAIR_COLOURS["old"]
    else:
        names = HAIR_COLOURS["dark" if share[2] < 0.5 else "light"]
    return np.clip(np.array(HAIR[str(rng.choice(names))]) * rng.uniform(0.9, 1.15), 0, 1)


def _bottom_colour(rng: np.random.Generator, denim: bool) -> np.ndarray:
    if denim:
        return np.array(DENIM[rng.integers(len(DENIM))]) * rng.uniform(0.9, 1.1)
    return _pick(rng, BOTTOMS, {"black": 2, "navy": 2})


def _head(rng: np.random.Generator, style: str, bearded: bool) -> dict:
    """The fields of the head but for its colours."""
    return {
        "hair_thickness": _drawn(rng, HAIR_THICKNESS, style, 0.013),
        "hair_length": _drawn(rng, HAIR_LENGTH, style, 9.0),
        "beard": bearded and rng.random() < 0.3,
        "cap": rng.random() < 0.1,
        "glasses": rng.random() < 0.15,
        "brow": rng.uniform(0.6, 1),
    }


def _top(rng: np.random.Generator, colour: np.ndarray) -> dict:
    """The fields of the top and of how loosely all cloth hangs."""
    return {
        "top": colour,
        "top2": _contrast(rng, TOPS, colour),
        "top_pattern": str(rng.choice(PATTERNS)),
        "sleeve": _chance(rng, SLEEVES),
        "hem": rng.uniform(-0.12, 0.14),
        "neckline": rng.choice([0, 0, 0.08, 0.15]).item(),
        "tucked": rng.random() < 0.25,
        "fit": rng.uniform(0.006, 0.026),
        "folds": int(rng.integers(6, 26)),
    }


def _jacket(rng: np.random.Generator, colour: np.ndarray | None, top: np.ndarray) -> dict:
    """The fields of the jacket, drawn also where there is none (``colour`` is ``None``)."""
    return {
        "jacket": colour,
        "jacket2": _contrast(rng, TOPS, top),
        "jacket_pattern": str(rng.choice(JACKET_PATTERNS)),
        "jacket_sleeve": _chance(rng, JACKET_SLEEVES),
        "jacket_hem": _chance(rng, JACKET_HEMS),
        "jacket_open": rng.choice([0, 0.02, 0.05, 0.08]).item(),
    }


def _bottom(rng: np.random.Generator, kind: str, colour: np.ndarray, denim: bool, dress: bool) -> dict:
    """The fields of trousers, skirt or dress."""
    patterns = SKIRT_PATTERNS if kind in SKIRTS else TROUSER_PATTERNS
    return {
        "bottom_kind": kind,
        "bottom": colour,
        "bottom_pattern": "denim" if denim else _chance(rng, patterns),
        "bottom_length": _drawn(rng, BOTTOM_LENGTH, kind, -0.1),
        "skirt_length": rng.uniform(0.55, 1.1) if kind == "skirt" else rng.uniform(1.2, 1.7),
        "looseness": _drawn(rng, LOOSENESS, kind, 0.3),
        "flare": rng.choice([0, 0, 0, 0.35]).item(),
        "dress": dress,
    }


def _shoes(rng: np.random.Generator) -> dict:
    return {
        "shoe": _pick(rng, SHOES, {"white": 3, "black": 3}),
        "sole": SOLES[rng.integers(3)],
        "boots": rng.random() < 0.12,
        "sock": np.ones(3) * rng.choice([0.1, 0.45, 0.85]) if rng.random() < 0.5 else None,
    }


def _bags(rng: np.random.Generator, share: float) -> dict:
    """The fields of what is carried: ``share``, uniform in 0..1, says whether a bag is and which."""
    return {
        "pack": share < 0.2,
        "shoulder_bag": 0.2 <= share < 0.36,
        "hand_bag": 0.36 <= share < 0.5,
        "bag": _pick(rng, BAGS, {"black": 2.5}),
    }


def random_look(rng: np.random.Generator, phenotype: dict[str, float]) -> Look:
    """A random look for a body: origin, age and gender shape the skin, the hair and the clothes.

    The order of the draws is part of the data set: another order gives other people.

    Args:
        rng: source of the random numbers.
        phenotype: as ``bodies.random_phenotype`` draws it.
    """
    female, grown = phenotype["gender"] > 0.5, phenotype["age"] > 0.62
    share = np.array([phenotype[k] for k in RACES]) ** 2
    share /= share.sum()
    skin, hair = _skin_tone(rng, share), _hair_colour(rng, share, phenotype["age"])
    style = str(rng.choice(STYLES[female]))
    top = _pick(rng, TOPS, TOP_WEIGHT)
    kind = str(rng.choice(BOTTOM_KINDS[female]))
    denim = kind == "jeans" or (kind == "shorts" and rng.random() < 0.3)
    bottom = _bottom_colour(rng, denim)
    jacket = _pick(rng, TOPS, JACKET_WEIGHT) if rng.random() < 0.33 else None
    dress = kind in SKIRTS and rng.random() < 0.5
    bags = rng.random()
    return Look(
        skin=np.clip(skin * rng.uniform(0.97, 1.03), 0, 0.96),
        hair=hair,
        style=style,
        **_head(rng, style, bearded=not female and grown),
        **_top(rng, top),
        **_jacket(rng, jacket, top),
        **_bottom(rng, kind, bottom, denim, dress),
        **_shoes(rng),
        **_bags(rng, bags),
        cap_colour=_pick(rng, TOPS, {"black": 2, "navy": 2}),
        seed=int(rng.integers(1000)),
        frequency=rng.uniform(0.6, 1.5),
    )
