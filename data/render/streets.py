"""Streets: places drawn by formula, a floor, a wall behind it and things before the wall."""

from dataclasses import dataclass

import numpy as np

from .draws import colour, draw
from .raster import noise

SKY = (0.80, 0.86, 0.93)


@dataclass(frozen=True)
class _Surface:
    """A floor or a wall where n rays hit it, as its formulas read it.

    ``points`` are metres ``[n, 3]``, shifted along the wall by ``slide``; ``base`` is the colour ``[3]``, ``plain`` the
    same with stains ``[n, 3]``, ``fine`` a fine noise ``[n]`` about 0. ``turn`` (radians) turns a floor's pattern,
    ``accent`` is a second colour ``[3]``.
    """

    points: np.ndarray
    base: np.ndarray
    plain: np.ndarray
    fine: np.ndarray
    seed: int
    slide: float
    turn: float
    accent: np.ndarray

    @property
    def x(self) -> np.ndarray:
        return self.points[:, 0]

    @property
    def z(self) -> np.ndarray:
        return self.points[:, 2]

    def noise(self, frequency: float, seed: int, octaves: int) -> np.ndarray:
        """Value noise ``[n]``; ``seed`` tells the noises of one surface apart."""
        return noise(self.points, frequency, self.seed + seed, octaves)


# ---- floors: colours [n, 3] of a surface


def _plain(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    return s.plain


def _laid(s: _Surface, long: float, wide: float) -> np.ndarray:
    """Tiles or boards with joints between them."""
    x, y = s.points[:, 0], s.points[:, 1]
    x, y = x * np.cos(s.turn) - y * np.sin(s.turn), x * np.sin(s.turn) + y * np.cos(s.turn)
    shade = np.sin(np.floor(x / long) * 12.9 + np.floor(y / wide) * 78.2) * 0.09
    c = s.plain * (1 + shade)[:, None]
    c[(np.mod(x / long, 1) < 0.06) | (np.mod(y / wide, 1) < 0.06 * long / wide)] *= 0.72
    return c


def _tiles(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    size = draw(rng, [0.3, 0.5, 0.9])
    return _laid(s, size, size)


def _boards(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    return _laid(s, 0.14, 1.6)


def _grass(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    tufts = 0.85 + 0.8 * (s.noise(3, 0, 4) - 0.5) + 0.6 * s.fine
    return np.array([0.30, 0.39, 0.17]) * tufts[:, None] + 0.02


def _road(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    c = s.plain.copy()
    across = s.x * np.cos(s.turn) - s.points[:, 1] * np.sin(s.turn)
    line = np.mod(across + 0.3, 3) < 0.14
    c[line] = c[line] * 0.3 + 0.55
    return c


# ---- walls: colours [n, 3] of a surface


def _brick(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(s.z / 0.16)
    column = s.x / 0.4 + 0.5 * np.mod(row, 2)
    shade = 1 + 0.14 * np.sin(row * 7 + np.floor(column) * 13) + 0.2 * s.fine
    c = np.array([0.55, 0.34, 0.27]) * (s.base.mean() + 0.35) * shade[:, None]
    joint = (np.mod(s.z / 0.16, 1) < 0.12) | (np.mod(column, 1) < 0.05)
    c[joint] = c[joint] * 0.5 + 0.28
    return c


def _windows(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    c = s.plain.copy()
    pane = (np.mod(s.x / rng.uniform(1.2, 2.4), 1) < 0.62) & (np.mod(s.z / 2.6 + 0.1, 1) > 0.35)
    c[pane] = np.array([0.20, 0.24, 0.28]) * (0.6 + 1.3 * s.noise(0.7, 9, 2)[pane])[:, None] + 0.04
    return c


def _shop(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    c = s.plain.copy()
    pane = (s.z > 0.35) & (s.z < 2.4) & (np.mod(s.x / 2.2, 1) < 0.86)
    inside = np.stack([s.noise(1.3, 5 * channel, 3) for channel in range(3)], 1)
    inside = 0.6 * inside.mean(1, keepdims=True) + 0.4 * inside
    c[pane] = (0.12 + 0.7 * inside**1.6)[pane]
    c[(s.z > 2.4) & (s.z < 3)] = s.accent
    return c


def _hedge(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    return np.array([0.22, 0.32, 0.13]) * (0.3 + 1.5 * s.noise(9, 0, 4))[:, None]


def _fence(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    shade = 0.9 + 0.25 * np.sin(np.floor(s.x / 0.16) * 5.1) + 0.3 * s.fine
    c = np.array([0.50, 0.38, 0.26]) * shade[:, None]
    c[np.mod(s.x / 0.16, 1) < 0.12] *= 0.45
    c[np.abs(s.z - 1.9) < 0.08] *= 0.8
    return c


def _panels(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    c = s.plain.copy()
    c[s.z < rng.uniform(0.9, 1.4)] *= s.accent / s.accent.mean() * 0.85
    c[np.mod(s.x / 1.2, 1) < 0.02] *= 0.7
    return c


def _posters(s: _Surface, rng: np.random.Generator) -> np.ndarray:
    c, u = s.plain.copy(), rng.uniform
    for _ in range(7):
        at_x, at_z, half_wide, half_high = u(-4, 4), u(0.9, 1.9), u(0.2, 0.5), u(0.25, 0.6)
        paper = colour(rng, (0, 1), (0.2, 0.7), (0.3, 0.9))
        inside = (np.abs(s.x - s.slide - at_x) < half_wide) & (np.abs(s.z - at_z) < half_high)
        c[inside] = (paper * (0.75 + 0.5 * s.noise(5, 7, 2)[:, None]))[inside]
    return c


FLOORS = {"tiles": _tiles, "plain": _plain, "road": _road, "grass": _grass, "boards": _boards}
WALLS = {
    "brick": _brick,
    "windows": _windows,
    "hedge": _hedge,
    "shop": _shop,
    "fence": _fence,
    "plain": _plain,
    "panels": _panels,
    "posters": _posters,
}
FLOOR_KINDS = ("tiles", "plain", "road", "grass", "tiles", "boards")  # as drawn: tiles twice as often


def _things(
    rng: np.random.Generator, origin: np.ndarray, rays: np.ndarray, far: np.ndarray, wall_at: float, seed: int
):
    """Up to three posts, bins, boards and bushes before the wall, the later before the earlier.

    Yields:
        which of the n rays hit a thing, bool ``[n]``, and the colours there, ``[hits, 3]``.
    """
    for _ in range(int(rng.integers(0, 4))):
        at_y, at_x = rng.uniform(0.9, wall_at), rng.uniform(-1.6, 1.6)
        half, tall = draw(rng, [0.05, 0.12, 0.22, 0.8]), draw(rng, [0.7, 1.0, 1.5, 3.5])
        paint = colour(rng, (0, 1), (0, 0.5), (0.15, 0.6))
        t = (at_y - origin[1]) / np.where(np.abs(rays[:, 1]) < 1e-3, 1e-3, rays[:, 1])
        hit = origin + rays * t[:, None]
        x, z = hit[:, 0], hit[:, 2]
        on = (t > 0) & (t < far) & (z < tall) & (z > 0)
        on &= np.abs(x - at_x) < half * (1 - 0.2 * (z / tall) ** 6)
        shade = 0.75 + 0.5 * noise(hit, 2.5, seed + 2, 3)[on]
        yield on, paint * shade[:, None] * (0.6 + 0.4 * hit[on, 2:] / tall)


def street(
    rng: np.random.Generator, origin: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random place by formula: floor, wall behind and things before the wall.

    Args:
        rng: source of the random numbers; the order of the draws is part of the data set.
        origin: where the camera stands, ``[3]``, metres.
        rays: unit directions ``[n, 3]``, one per sample of the picture.

    Returns:
        the sRGB albedo ``[n, 3]`` in 0..1, the points on floor or wall ``[n, 3]``, and which rays show floor, bool
        ``[n]``.
    """
    u, seed = rng.uniform, int(rng.integers(1000))
    wall_at, wall_top = u(1.6, 6.5), draw(rng, [2.4, 4.5, 20])
    floor_kind, wall_kind = str(rng.choice(FLOOR_KINDS)), str(rng.choice(list(WALLS)))
    floor_colour = colour(rng, (0.05, 0.14), (0, 0.2), (0.35, 0.66))
    wall_colour = colour(rng, [0.03, 0.1, 0.6], (0.03, 0.32), (0.4, 0.8))
    accent, slide, turn = colour(rng, (0, 1), (0.3, 0.65), (0.35, 0.65)), u(-6, 6), u(-0.8, 0.8)

    down = rays[:, 2] < -1e-3
    t_floor = np.where(down, -origin[2] / np.where(down, rays[:, 2], -1), 1e6)
    t_wall = np.where(rays[:, 1] > 1e-3, (wall_at - origin[1]) / np.maximum(rays[:, 1], 1e-3), 1e6)
    far = np.minimum(t_floor, t_wall)
    floor = t_floor < t_wall
    points = origin + rays * far[:, None]
    shifted = points + np.array([slide, 0, 0])
    fine = noise(shifted, 40, seed) - 0.5

    def surface(base: np.ndarray, stains: np.ndarray, grain: float) -> _Surface:
        plain = base * (1 + stains + grain * fine)[:, None]
        return _Surface(shifted, base, plain, fine, seed, slide, turn, accent)

    ground = surface(floor_colour, 0.35 * (noise(shifted, 3, seed, 4) - 0.5), 0.2)
    behind = surface(wall_colour, 0.3 * (noise(shifted, 1.5, seed + 3, 3) - 0.5), 0.1)
    ground, wall = FLOORS[floor_kind](ground, rng), WALLS[wall_kind](behind, rng)
    wall[points[:, 2] < 0.12] *= 0.6
    albedo = np.where(floor[:, None], ground, wall)
    albedo[~floor & (points[:, 2] > wall_top)] = SKY
    for on, paint in _things(rng, origin, rays, far, wall_at, seed):
        albedo[on] = paint
        floor = floor & ~on
    return np.clip(albedo, 0.01, 0.97), points, floor
