"""Looks: what an identity's skin, hair and clothes are, drawn at random from palettes of everyday colours."""

from dataclasses import dataclass

import numpy as np

from .bodies import RACES

# Skin tones from light to dark (sRGB). Which of them an origin uses overlaps widely.
SKIN = np.array([(.86, .69, .60), (.83, .64, .53), (.77, .58, .46), (.70, .51, .39), (.62, .43, .32), (.53, .37, .28),
                 (.45, .31, .24)])
SKIN_RANGE = {"african": (4, 7), "asian": (1, 5), "caucasian": (0, 3)}
HAIR = {"black": (.09, .08, .08), "dark brown": (.16, .11, .08), "brown": (.27, .17, .11), "light brown": (.40, .27, .17),
        "blond": (.66, .52, .33), "red": (.45, .21, .11), "grey": (.52, .51, .50), "white": (.78, .77, .75)}
TOPS = {"white": (.90, .90, .89), "cream": (.88, .84, .74), "black": (.09, .09, .10), "charcoal": (.22, .23, .25),
        "grey": (.47, .48, .49), "light grey": (.68, .69, .70), "navy": (.12, .16, .29), "blue": (.17, .33, .61),
        "light blue": (.55, .70, .84), "red": (.68, .14, .15), "burgundy": (.40, .11, .17), "rust": (.68, .32, .15),
        "orange": (.85, .47, .16), "mustard": (.78, .61, .20), "yellow": (.90, .80, .35), "olive": (.36, .38, .20),
        "green": (.15, .42, .26), "sage": (.56, .66, .52), "teal": (.11, .44, .46), "pink": (.87, .58, .64),
        "rose": (.71, .40, .44), "purple": (.37, .22, .47), "lavender": (.66, .60, .78), "beige": (.76, .67, .54),
        "brown": (.38, .26, .18)}
TOP_WEIGHT = {"white": 3, "black": 3, "charcoal": 2, "grey": 2, "navy": 2, "light grey": 2, "blue": 2, "light blue": 1.5}
BOTTOMS = {"black": (.10, .10, .11), "charcoal": (.22, .23, .25), "grey": (.45, .46, .47), "navy": (.13, .16, .27),
           "khaki": (.62, .53, .39), "beige": (.77, .70, .58), "olive": (.34, .35, .22), "brown": (.34, .25, .18),
           "white": (.86, .86, .84), "burgundy": (.36, .13, .17), "slate": (.33, .40, .48)}
DENIM = ((.15, .20, .32), (.24, .33, .48), (.38, .49, .64), (.12, .13, .17))
BAGS = {"black": (.09, .09, .10), "charcoal": (.24, .25, .27), "brown": (.35, .23, .15), "tan": (.61, .44, .28),
        "navy": (.13, .17, .30), "olive": (.33, .35, .21), "grey": (.48, .48, .50), "burgundy": (.40, .13, .18),
        "red": (.62, .17, .16), "teal": (.15, .40, .43)}
SHOES = {"white": (.88, .88, .87), "black": (.08, .08, .08), "brown": (.31, .20, .13), "grey": (.42, .42, .44),
         "tan": (.58, .43, .28), "navy": (.13, .17, .28), "red": (.60, .16, .16)}
PATTERNS = ("plain", "plain", "plain", "stripes", "pinstripes", "check", "block", "print", "print", "logo", "camo",
            "dots", "yoke", "marl")


def _pick(rng: np.random.Generator, palette: dict, weight: dict | None = None, jitter: float = 0.025) -> np.ndarray:
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
    """Colours are sRGB in 0..1. Lengths along limbs: sleeves 0 shoulder, 1 elbow, 2 wrist; legs 0 hip, 1 knee, 2 ankle;
    heights on the trunk: 0 hip joint, 1 neck."""

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
    """A random look for a body: origin, age and gender of the phenotype shape the skin, the hair and the clothes."""
    r, u = rng, rng.uniform
    female, grown = phenotype["gender"] > 0.5, phenotype["age"] > 0.62
    share = np.array([phenotype[k] for k in RACES]) ** 2
    share /= share.sum()
    tone = sum(w * u(*SKIN_RANGE[k]) for w, k in zip(share, RACES, strict=True))
    low = min(int(tone), len(SKIN) - 2)
    skin = SKIN[low] + (SKIN[low + 1] - SKIN[low]) * min(tone - low, 1)
    old = phenotype["age"] > 0.88
    colours = (["grey", "white", "grey"] if old and r.random() < 0.7 else
               ["black", "dark brown", "black", "brown"] if share[2] < 0.5 else
               ["dark brown", "brown", "brown", "light brown", "light brown", "blond", "blond", "red", "black"])
    hair = np.clip(np.array(HAIR[str(r.choice(colours))]) * u(0.9, 1.15), 0, 1)
    style = str(r.choice(["long", "long", "bob", "bun", "pony", "short"] if female else
                         ["short", "short", "short", "short", "crew", "crew", "bald", "bob"]))
    top = _pick(r, TOPS, TOP_WEIGHT)
    kind = str(r.choice(["trousers", "trousers", "jeans", "jeans", "shorts", "leggings", "skirt", "long skirt"] if female
                        else ["trousers", "trousers", "jeans", "jeans", "shorts", "shorts"]))
    denim = kind == "jeans" or (kind == "shorts" and r.random() < 0.3)
    bottom = np.array(DENIM[r.integers(len(DENIM))]) * u(0.9, 1.1) if denim else _pick(r, BOTTOMS, {"black": 2, "navy": 2})
    jacket = _pick(r, TOPS, {"black": 3, "navy": 3, "charcoal": 3, "olive": 2, "beige": 2, "white": 0.5}) if r.random() < .33 else None
    dress = kind in ("skirt", "long skirt") and r.random() < 0.5
    bags = r.random()
    return Look(
        female=female, skin=np.clip(skin * u(0.97, 1.03), 0, 0.96), hair=hair, style=style,
        hair_thickness={"short": u(0.012, 0.024), "crew": 0.006, "bald": 0.0, "bob": 0.022, "long": 0.018}.get(style, 0.013),
        hair_length={"long": u(-1.0, -0.35), "bob": u(-0.12, 0.22)}.get(style, 9.0),
        beard=not female and grown and r.random() < 0.3, cap=r.random() < 0.1, glasses=r.random() < 0.15, brow=u(0.6, 1),
        top=top, top2=_contrast(r, TOPS, top), top_pattern=str(r.choice(PATTERNS)),
        sleeve=float(r.choice([-.05, .3, .45, .6, .75, 1.4, 1.9, 1.94], p=[.05, .1, .17, .14, .06, .06, .21, .21])),
        hem=u(-0.12, 0.14), neckline=float(r.choice([0, 0, 0.08, 0.15])), tucked=r.random() < 0.25,
        fit=u(0.006, 0.026), folds=int(r.integers(6, 26)),
        jacket=jacket, jacket2=_contrast(r, TOPS, top), jacket_pattern=str(r.choice(["plain"] * 6 + ["yoke", "block", "check", "marl"])),
        jacket_sleeve=float(r.choice([1.9, 1.95, -0.05], p=[.46, .46, .08])),
        jacket_hem=float(r.choice([0.05, -0.08, -0.3, -0.7], p=[.4, .35, .15, .1])),
        jacket_open=float(r.choice([0, 0.02, 0.05, 0.08])),
        bottom_kind=kind, bottom=bottom,
        bottom_pattern="denim" if denim else str(r.choice(["plain", "stripes", "dots", "check", "block"], p=[.6, .1, .1, .1, .1]))
        if kind in ("skirt", "long skirt") else str(r.choice(["plain", "side stripe", "camo", "check"], p=[.8, .1, .05, .05])),
        bottom_length={"trousers": 1.96, "jeans": 1.95, "shorts": u(0.5, 1.05), "leggings": float(r.choice([1.5, 1.9]))}.get(kind, -0.1),
        skirt_length=u(0.55, 1.1) if kind == "skirt" else u(1.2, 1.7),
        looseness={"trousers": u(0.3, 1.2), "jeans": u(0.0, 0.7), "shorts": u(0.5, 1.4), "leggings": -0.3}.get(kind, 0.3),
        flare=float(r.choice([0, 0, 0, 0.35])), dress=dress,
        shoe=_pick(r, SHOES, {"white": 3, "black": 3}), sole=np.array([(.86, .86, .84), (.08, .08, .08), (.30, .21, .14)][r.integers(3)]),
        boots=r.random() < 0.12, sock=np.ones(3) * float(r.choice([0.1, 0.45, 0.85])) if r.random() < 0.5 else None,
        pack=bags < 0.2, shoulder_bag=0.2 <= bags < 0.36, hand_bag=0.36 <= bags < 0.5, bag=_pick(r, BAGS, {"black": 2.5}),
        cap_colour=_pick(r, TOPS, {"black": 2, "navy": 2}), seed=int(r.integers(1000)), frequency=u(0.6, 1.5))
