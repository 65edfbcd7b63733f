"""Materials: the sRGB colour, gloss and fold strength of every visible fragment of a person, by formula."""

import numpy as np

from .bodies import model
from .garments import Identity
from .raster import noise


def pattern(
    kind: str,
    a: np.ndarray,
    b: np.ndarray,
    points: np.ndarray,
    height: np.ndarray,
    across: np.ndarray,
    facing: np.ndarray,
    seed: int,
    frequency: float,
) -> np.ndarray:
    """Cloth of colours a and b. `height` and `across` are metres on the trunk (or along a sleeve); `facing`
    +1 chest, -1 back.
    """
    c = np.tile(a.astype(float), (len(points), 1))
    on = None
    if kind == "stripes":
        on = np.mod(height * frequency * 10, 1) < 0.45
    elif kind == "pinstripes":
        on = np.mod(across * frequency * 16 + 0.25, 1) < 0.3
        b = 0.55 * a + 0.45 * b
    elif kind == "dots":
        on = (np.mod(height * 17 * frequency, 1) - 0.5) ** 2 + (
            np.mod(across * 17 * frequency, 1) - 0.5
        ) ** 2 < 0.09
    elif kind == "block":
        on = height < 0.2 + 0.1 * np.sin(seed)
    elif kind == "yoke":
        on = height > 0.34 + 0.05 * np.sin(seed)
    elif kind == "camo":
        q = noise(points, 13 * frequency, seed, 2)
        c[q > 0.55] = 0.5 * (a + b)
        c[q < 0.42] = 0.6 * a
    elif kind == "marl":
        c = c * (0.8 + 0.4 * noise(points, 150, seed))[:, None]
    elif kind == "check":
        s = (np.mod(height * frequency * 8, 1) < 0.35) * 0.45 + (
            np.mod(across * frequency * 8, 1) < 0.35
        ) * 0.45
        c = c * (1 - s[:, None]) + b * s[:, None]
    elif kind == "print":
        rng = np.random.default_rng(seed)
        w, low = rng.uniform(0.07, 0.12), rng.uniform(0.14, 0.24)
        high, side = low + rng.uniform(0.1, 0.18), 1 if rng.random() < 0.75 else -1
        cells = np.where(rng.random((5, 5, 1)) < 0.4, 0.5 * (a + b), b)
        cells[rng.random((5, 5)) < 0.15] = np.clip(b * 1.4, 0, 0.95)
        inside = (facing * side > 0) & (np.abs(across) < w) & (height > low) & (height < high)
        iy = np.clip(((height - low) / (high - low) * 5).astype(int), 0, 4)
        ix = np.clip(((across + w) / (2 * w) * 5).astype(int), 0, 4)
        c[inside] = cells[iy, ix][inside]
    elif kind == "logo":
        on = (facing > 0) & ((across - 0.06) ** 2 + (height - 0.36) ** 2 < 0.0012)
    if on is not None:
        c[on] = b
    return c


def _face(
    person: Identity, q: np.ndarray, up: np.ndarray, forward: np.ndarray, head: np.ndarray, c: np.ndarray
) -> np.ndarray:
    """Brows, eye sockets, cheeks, lips, stubble and glasses on the skin colours c of points q at rest."""
    look, k = person.look, person.scale
    face = head & (forward > 0.05)
    eyes = person.eyes
    cheek = np.exp(-(((np.abs(q[:, 0]) - 0.04 * k) / 0.022) ** 2 + ((up - 0.42) / 0.1) ** 2)) * face
    c = c * (1 - np.outer(cheek, [0, 0.12, 0.12]))

    def near(offset: tuple, radii: tuple) -> np.ndarray:
        d = [np.linalg.norm((q - e - np.array(offset) * k) / np.array(radii), axis=1) for e in eyes]
        return np.minimum(*d)

    socket = near((0, 0, 0), (0.02 * k, 0.04, 0.013 * k))
    c = c * (1 - 0.28 * np.clip(1.3 - socket, 0, 1) * face)[:, None]
    lashes = (near((0, -0.01, 0.004), (0.016 * k, 0.03, 0.0042 * k)) < 1) & face
    c[lashes] = c[lashes] * 0.35
    brow = (near((0, -0.015, 0.021), (0.019 * k, 0.03, 0.0055 * k)) < 1) & face
    c[brow] = c[brow] * (1 - look.brow * 0.75) + np.minimum(look.hair, 0.4) * look.brow * 0.6
    under = np.exp(-(((q[:, 0]) / (0.016 * k)) ** 2 + ((up - 0.335) / 0.022) ** 2)) * face * (forward > 0.3)
    c = c * (1 - 0.22 * under)[:, None]  # shade under the nose
    lip = (
        (np.abs(q[:, 0]) < 0.025 * k)
        & face
        & (forward > 0.3)
        & (
            np.abs(q[:, 2] - person.chin - 0.225 * person.head_height)
            < 0.009 * k * (1.2 - np.abs(q[:, 0]) / (0.03 * k))
        )
    )
    c[lip] = c[lip] * [0.82, 0.55, 0.55]
    if look.beard:
        thick = np.clip((0.37 - up) / 0.06, 0, 1) * np.clip((forward + 0.02) / 0.08, 0, 1) * head * ~lip
        thick = (thick * (0.35 + 0.5 * noise(q, 70, look.seed + 2)))[:, None]
        c = c * (1 - thick) + np.minimum(look.hair, 0.45) * 0.8 * thick
    if look.style in ("crew", "short", "bald"):
        scalp = head & (up > 0.57 + 0.68 * forward)
        c[scalp] = c[scalp] * (0.9 if look.style == "bald" else 0.5) + look.hair * (
            0.05 if look.style == "bald" else 0.45
        )
    if look.glasses:
        d = np.minimum(*[np.linalg.norm((q - e)[:, [0, 2]], axis=1) for e in eyes])
        c[face & (np.abs(d - 0.02 * k) < 0.0024 * k)] *= 0.35
    return c


def paint(person: Identity, name: str, q: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Colours [n,3] (sRGB), gloss and fold strength of fragments of the part `name`.

    `q` [n,3] are the fragments' places at rest, `a` [n,7] their ATTRIBUTES.
    """
    look, k, s = person.look, person.scale, person.look.seed
    arm, armt, legt, trunk, up, forward, head = a.T
    on_arm = arm > 0.5
    height = np.where(on_arm, 0.45 - armt * 0.28, trunk * 0.5)
    across = q[:, 0] / k
    facing = np.where(q[:, 1] < -0.01, 1, -1) * np.where(on_arm, 0, 1)
    grain = noise(q, 60, s) - 0.5
    if name == "body":
        c = look.skin * (1 + 0.05 * grain + 0.06 * (noise(q, 12, s + 5) - 0.5))[:, None]
        c = _face(person, q, up, forward, head > 0.5, c)
        if look.sock is not None:
            c[(legt > 1.72) & (head < 0.5)] = look.sock
        return c, 0.10, 0.0
    if name == "eye":
        e = np.where((q[:, :1] > 0), person.eyes[1], person.eyes[0])
        iris = np.linalg.norm((q - e)[:, [0, 2]], axis=1) < 0.0068 * k
        return np.where(iris[:, None], [0.08, 0.06, 0.05], [0.62, 0.59, 0.57]), 0.02, 0.0
    if name == "hair":
        strand = noise(q * [1, 1, 0.25], 55, s, 2)
        return look.hair * (0.5 + strand)[:, None], 0.05, 0.5
    if name == "top":
        c = pattern(look.top_pattern, look.top, look.top2, q, height, across, facing, s, look.frequency)
        if look.neckline == 0:
            c[(trunk > 0.955) & ~on_arm] *= 0.8
        if look.sleeve > 1:
            c[on_arm & (armt > look.sleeve - 0.1)] *= 0.85
        return _straps(person, c, q, arm, height, across, facing), 0.0, 1.0
    if name == "jacket":
        c = pattern(
            look.jacket_pattern, look.jacket, look.jacket2, q, height, across, facing, s + 3, look.frequency
        )
        c[(facing > 0) & (np.abs(across) < 0.008 + look.jacket_open * 1.15)] *= 0.65
        c[(facing > 0) & (np.abs(np.abs(across) - 0.09) < 0.045) & (np.abs(trunk - 0.22) < 0.015)] *= 0.65
        return _straps(person, c, q, arm, height, across, facing), 0.0, 1.2
    if name == "bottom":
        c = pattern(
            look.bottom_pattern, look.bottom, look.top2, q, q[:, 2], across, facing, s + 7, look.frequency
        )
        if look.bottom_pattern == "denim":
            c = (
                c
                * (1 + np.exp(-(((legt - 0.5) / 0.4) ** 2)) * 0.3 * (facing > 0))[:, None]
                * (1 + 0.15 * (noise(q, 160, s) - 0.5))[:, None]
            )
        elif look.bottom_pattern == "side stripe":
            hip, knee = (person.heads[model().bone(b)] for b in ("upperleg01.L", "lowerleg01.L"))
            outer = np.abs(hip[0] + legt * (knee[0] - hip[0])) + 0.045 * k
            c[(np.abs(q[:, 0]) > outer) & (np.abs(q[:, 1] - knee[1]) < 0.022)] = 0.88
        c[(trunk > 0.2) & (trunk < 0.26)] *= 0.5
        return c, 0.0, 0.3 if look.bottom_kind == "leggings" else 1.0
    if name == "skirt":
        own = (
            look.top_pattern
            if look.top_pattern in ("stripes", "pinstripes", "check", "dots", "camo", "marl")
            else "plain"
        )
        kind, colour = (own, look.top) if look.dress else (look.bottom_pattern, look.bottom)
        return pattern(kind, colour, look.top2, q, q[:, 2], across, facing, s, look.frequency), 0.0, 1.0
    if name == "shoe":
        return (
            np.where((q[:, 2] < 0.022 * k)[:, None], look.sole, look.shoe * (1 + 0.12 * grain)[:, None]),
            0.08,
            0.0,
        )
    if name == "cap":
        return np.tile(look.cap_colour, (len(q), 1)), 0.0, 0.3
    return look.bag * (1 + 0.12 * grain)[:, None], 0.02, 0.5


def _straps(person: Identity, c: np.ndarray, q: np.ndarray, arm, height, across, facing) -> np.ndarray:
    look = person.look
    if look.pack:
        c[(arm < 0.6) & (np.abs(np.abs(across) - 0.095) < 0.02) & (height > 0.17) & (facing > 0)] = (
            look.bag * 0.85
        )
    elif look.shoulder_bag:
        c[(np.abs(across * 0.75 + height - 0.28) < 0.02) & (arm < 0.5)] = look.bag * 0.85
    return c
