"""Looks: what an identity's skin, hair and clothes are, drawn at random from palettes of everyday colours."""

from dataclasses import dataclass

import numpy as np

from .bodies import RACES

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


def _pick(
    rng: np.random.Generator, palette: dict, weight: dict | None = None, jitter: float = 0.025
) -> np.ndarray:
    names = list(palette)
    p = np.array([(weight or {}).get(n, 1.0) for n in names])
    colour = np.array(palette[names[rng.choice(len(names), p=p / p.sum())]])
    return np.clip(colour * rng.uniform(0.9, 1.08) + rng.normal(0, jitter, 3), 0.04, 0.95)


def _contrast(rng: np.random.Generator, palette: dict, other: np.ndarray) -> np.ndarray:
    """A second colour that can be told from the first."""
    picks = [_pick(rng, palette) for _ in range(4)]
    return max(picks, key=lambda c: np.abs(c - other).sum() * rng.uniform(0.7, 1))


@dataclass
class Look:
    """Colours are sRGB in 0..1. Lengths along limbs: sleeves 0 shoulder, 1 elbow, 2 wrist; legs 0 hip, 1
    knee, 2 ankle; heights on the trunk: 0 hip joint, 1 neck.
    """

    female: bool
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
        return self.bottom_kind in ("skirt", "long skirt")


def random_look(rng: np.random.Generator, phenotype: dict[str, float]) -> Look:
    """A random look for a body: origin, age and gender of the phenotype shape the skin, the hair and the
    clothes.
    """
    r, u = rng, rng.uniform
    female, grown = phenotype["gender"] > 0.5, phenotype["age"] > 0.62
    share = np.array([phenotype[k] for k in RACES]) ** 2
    share /= share.sum()
    tone = sum(w * u(*SKIN_RANGE[k]) for w, k in zip(share, RACES, strict=True))
    low = min(int(tone), len(SKIN) - 2)
    skin = SKIN[low] + (SKIN[low + 1] - SKIN[low]) * min(tone - low, 1)
    old = phenotype["age"] > 0.88
    colours = (
        ["grey", "white", "grey"]
        if old and r.random() < 0.7
        else ["black", "dark brown", "black", "brown"]
        if share[2] < 0.5
        else ["dark brown", "brown", "brown", "light brown", "light brown", "blond", "blond", "red", "black"]
    )
    hair = np.clip(np.array(HAIR[str(r.choice(colours))]) * u(0.9, 1.15), 0, 1)
    style = str(
        r.choice(
            ["long", "long", "bob", "bun", "pony", "short"]
            if female
            else ["short", "short", "short", "short", "crew", "crew", "bald", "bob"]
        )
    )
    top = _pick(r, TOPS, TOP_WEIGHT)
    kind = str(
        r.choice(
            ["trousers", "trousers", "jeans", "jeans", "shorts", "leggings", "skirt", "long skirt"]
            if female
            else ["trousers", "trousers", "jeans", "jeans", "shorts", "shorts"]
        )
    )
    denim = kind == "jeans" or (kind == "shorts" and r.random() < 0.3)
    bottom = (
        np.array(DENIM[r.integers(len(DENIM))]) * u(0.9, 1.1)
        if denim
        else _pick(r, BOTTOMS, {"black": 2, "navy": 2})
    )
    jacket = (
        _pick(r, TOPS, {"black": 3, "navy": 3, "charcoal": 3, "olive": 2, "beige": 2, "white": 0.5})
        if r.random() < 0.33
        else None
    )
    dress = kind in ("skirt", "long skirt") and r.random() < 0.5
    bags = r.random()
    return Look(
        female=female,
        skin=np.clip(skin * u(0.97, 1.03), 0, 0.96),
        hair=hair,
        style=style,
        hair_thickness={
            "short": u(0.012, 0.024),
            "crew": 0.006,
            "bald": 0.0,
            "bob": 0.022,
            "long": 0.018,
        }.get(style, 0.013),
        hair_length={"long": u(-1.0, -0.35), "bob": u(-0.12, 0.22)}.get(style, 9.0),
        beard=not female and grown and r.random() < 0.3,
        cap=r.random() < 0.1,
        glasses=r.random() < 0.15,
        brow=u(0.6, 1),
        top=top,
        top2=_contrast(r, TOPS, top),
        top_pattern=str(r.choice(PATTERNS)),
        sleeve=float(
            r.choice(
                [-0.05, 0.3, 0.45, 0.6, 0.75, 1.4, 1.9, 1.94],
                p=[0.05, 0.1, 0.17, 0.14, 0.06, 0.06, 0.21, 0.21],
            )
        ),
        hem=u(-0.12, 0.14),
        neckline=float(r.choice([0, 0, 0.08, 0.15])),
        tucked=r.random() < 0.25,
        fit=u(0.006, 0.026),
        folds=int(r.integers(6, 26)),
        jacket=jacket,
        jacket2=_contrast(r, TOPS, top),
        jacket_pattern=str(r.choice(["plain"] * 6 + ["yoke", "block", "check", "marl"])),
        jacket_sleeve=float(r.choice([1.9, 1.95, -0.05], p=[0.46, 0.46, 0.08])),
        jacket_hem=float(r.choice([0.05, -0.08, -0.3, -0.7], p=[0.4, 0.35, 0.15, 0.1])),
        jacket_open=float(r.choice([0, 0.02, 0.05, 0.08])),
        bottom_kind=kind,
        bottom=bottom,
        bottom_pattern="denim"
        if denim
        else str(r.choice(["plain", "stripes", "dots", "check", "block"], p=[0.6, 0.1, 0.1, 0.1, 0.1]))
        if kind in ("skirt", "long skirt")
        else str(r.choice(["plain", "side stripe", "camo", "check"], p=[0.8, 0.1, 0.05, 0.05])),
        bottom_length={
            "trousers": 1.96,
            "jeans": 1.95,
            "shorts": u(0.5, 1.05),
            "leggings": float(r.choice([1.5, 1.9])),
        }.get(kind, -0.1),
        skirt_length=u(0.55, 1.1) if kind == "skirt" else u(1.2, 1.7),
        looseness={
            "trousers": u(0.3, 1.2),
            "jeans": u(0.0, 0.7),
            "shorts": u(0.5, 1.4),
            "leggings": -0.3,
        }.get(kind, 0.3),
        flare=float(r.choice([0, 0, 0, 0.35])),
        dress=dress,
        shoe=_pick(r, SHOES, {"white": 3, "black": 3}),
        sole=np.array([(0.86, 0.86, 0.84), (0.08, 0.08, 0.08), (0.30, 0.21, 0.14)][r.integers(3)]),
        boots=r.random() < 0.12,
        sock=np.ones(3) * float(r.choice([0.1, 0.45, 0.85])) if r.random() < 0.5 else None,
        pack=bags < 0.2,
        shoulder_bag=0.2 <= bags < 0.36,
        hand_bag=0.36 <= bags < 0.5,
        bag=_pick(r, BAGS, {"black": 2.5}),
        cap_colour=_pick(r, TOPS, {"black": 2, "navy": 2}),
        seed=int(r.integers(1000)),
        frequency=u(0.6, 1.5),
    )
