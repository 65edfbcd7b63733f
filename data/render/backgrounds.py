"""Backgrounds and light: committed CC0 panoramas, and streets, walls and floors drawn by formula and lit by
them.
"""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from .raster import noise

FOLDER = Path(__file__).parent / "panoramas"
DECODE = (
    np.exp2(np.arange(256) / 255 * np.log2(49)).astype(np.float32) / 8 - 0.125
)  # byte -> linear light, 0..6
LIGHT_TINT = 0.35  # share of a panorama's own colour that its light keeps


@cache
def names() -> tuple[str, ...]:
    return tuple(sorted(json.loads((FOLDER / "panoramas.json").read_text())))


@dataclass(frozen=True)
class Panorama:
    """Linear picture [256,512,3], irradiance harmonics [9,3], direction [3] and strength of the sun."""

    picture: np.ndarray
    harmonics: np.ndarray
    sun: np.ndarray
    sun_strength: float


@lru_cache(maxsize=16)
def panorama(name: str) -> Panorama:
    table = json.loads((FOLDER / "panoramas.json").read_text())
    if name not in table:
        raise ValueError(f"unknown panorama {name!r}; known: {', '.join(sorted(table))}")
    meta = table[name]
    harmonics = np.array(meta["harmonics"])
    colour = harmonics[0] / harmonics[0].mean()
    return Panorama(
        DECODE[np.asarray(Image.open(FOLDER / f"{name}.png"))],
        harmonics / colour ** (1 - LIGHT_TINT),
        np.array(meta["sun"]),
        meta["sun_strength"],
    )


def look_up(picture: np.ndarray, directions: np.ndarray, yaw: float) -> np.ndarray:
    """Linear colours [n,3] of a panorama turned by `yaw` in directions [n,3]."""
    h, w = picture.shape[:2]
    u = (np.arctan2(directions[:, 0], directions[:, 1]) + yaw) / (2 * np.pi) + 0.5
    v = np.arccos(np.clip(directions[:, 2] / np.linalg.norm(directions, axis=1), -1, 1)) / np.pi
    at = np.stack([v * h - 0.5, np.mod(u, 1) * w - 0.5])
    return np.stack([map_coordinates(picture[..., c], at, order=1, mode="grid-wrap") for c in range(3)], -1)


def irradiance(harmonics: np.ndarray, normals: np.ndarray, yaw: float) -> np.ndarray:
    """Diffuse light [n,3] on surfaces with unit normals [n,3] under a panorama turned by `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    x, y, z = normals[:, 0] * c + normals[:, 1] * s, -normals[:, 0] * s + normals[:, 1] * c, normals[:, 2]
    basis = np.stack(
        [
            0.2821 + 0 * x,
            0.4886 * y,
            0.4886 * z,
            0.4886 * x,
            1.0925 * x * y,
            1.0925 * y * z,
            0.3154 * (3 * z * z - 1),
            1.0925 * x * z,
            0.5463 * (x * x - y * y),
        ],
        1,
    )
    return np.maximum(basis @ harmonics, 0.05)


def hsv(h: float, s: float, v: float) -> np.ndarray:
    f = lambda n: v - v * s * max(0, min((n + h * 6) % 6, 4 - (n + h * 6) % 6, 1))  # noqa: E731
    return np.array([f(5), f(3), f(1)])


def street(
    rng: np.random.Generator, origin: np.ndarray, rays: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A place by formula: floor, wall behind and things before the wall, as sRGB albedo.

    Returns colours [n,3], the points hit [n,3], and which of them are floor [n].
    """
    u, seed = rng.uniform, int(rng.integers(1000))
    wall_at, wall_top = u(1.6, 6.5), float(rng.choice([2.4, 4.5, 20]))
    floor_kind = str(rng.choice(["tiles", "plain", "road", "grass", "tiles", "boards"]))
    wall_kind = str(rng.choice(["brick", "windows", "hedge", "shop", "fence", "plain", "panels", "posters"]))
    floor_colour, wall_colour = (
        hsv(u(0.05, 0.14), u(0, 0.2), u(0.35, 0.66)),
        hsv(rng.choice([0.03, 0.1, 0.6]), u(0.03, 0.32), u(0.4, 0.8)),
    )
    accent, slide, turn = hsv(rng.random(), u(0.3, 0.65), u(0.35, 0.65)), u(-6, 6), u(-0.8, 0.8)
    down = rays[:, 2] < -1e-3
    t_floor = np.where(down, -origin[2] / np.where(down, rays[:, 2], -1), 1e6)
    t_wall = np.where(rays[:, 1] > 1e-3, (wall_at - origin[1]) / np.maximum(rays[:, 1], 1e-3), 1e6)
    floor = t_floor < t_wall
    p = origin + rays * np.minimum(t_floor, t_wall)[:, None]
    q = p + np.array([slide, 0, 0])
    x, z = q[:, 0], p[:, 2]
    fine = noise(q, 40, seed) - 0.5
    colour = floor_colour * (1 + 0.35 * (noise(q, 3, seed, 4) - 0.5) + 0.2 * fine)[:, None]
    fx, fy = x * np.cos(turn) - q[:, 1] * np.sin(turn), x * np.sin(turn) + q[:, 1] * np.cos(turn)
    if floor_kind in ("tiles", "boards"):
        a, b = (float(rng.choice([0.3, 0.5, 0.9])),) * 2 if floor_kind == "tiles" else (0.14, 1.6)
        cell = np.sin(np.floor(fx / a) * 12.9 + np.floor(fy / b) * 78.2) * 0.09
        colour *= (1 + cell)[:, None]
        colour[(np.mod(fx / a, 1) < 0.06) | (np.mod(fy / b, 1) < 0.06 * a / b)] *= 0.72
    elif floor_kind == "grass":
        colour = (
            np.array([0.30, 0.39, 0.17]) * (0.85 + 0.8 * (noise(q, 3, seed, 4) - 0.5) + 0.6 * fine)[:, None]
            + 0.02
        )
    elif floor_kind == "road":
        line = np.mod(fx + 0.3, 3) < 0.14
        colour[line] = colour[line] * 0.3 + 0.55
    wall = wall_colour * (1 + 0.3 * (noise(q, 1.5, seed + 3, 3) - 0.5) + 0.1 * fine)[:, None]
    if wall_kind == "brick":
        row = np.floor(z / 0.16)
        column = x / 0.4 + 0.5 * np.mod(row, 2)
        wall = (
            np.array([0.55, 0.34, 0.27])
            * (wall_colour.mean() + 0.35)
            * (1 + 0.14 * np.sin(row * 7 + np.floor(column) * 13) + 0.2 * fine)[:, None]
        )
        joint = (np.mod(z / 0.16, 1) < 0.12) | (np.mod(column, 1) < 0.05)
        wall[joint] = wall[joint] * 0.5 + 0.28
    elif wall_kind in ("windows", "shop"):
        if wall_kind == "windows":
            pane = (np.mod(x / u(1.2, 2.4), 1) < 0.62) & (np.mod(z / 2.6 + 0.1, 1) > 0.35)
            wall[pane] = (
                np.array([0.20, 0.24, 0.28]) * (0.6 + 1.3 * noise(q, 0.7, seed + 9, 2)[pane])[:, None] + 0.04
            )
        else:
            pane = (z > 0.35) & (z < 2.4) & (np.mod(x / 2.2, 1) < 0.86)
            inside = np.stack([noise(q, 1.3, seed + 5 * c, 3) for c in range(3)], 1)
            inside = 0.6 * inside.mean(1, keepdims=True) + 0.4 * inside
            wall[pane] = (0.12 + 0.7 * inside**1.6)[pane]
            wall[(z > 2.4) & (z < 3)] = accent
    elif wall_kind == "hedge":
        wall = np.array([0.22, 0.32, 0.13]) * (0.3 + 1.5 * noise(q, 9, seed, 4))[:, None]
    elif wall_kind == "fence":
        slat = np.mod(x / 0.16, 1)
        wall = (
            np.array([0.50, 0.38, 0.26])
            * (0.9 + 0.25 * np.sin(np.floor(x / 0.16) * 5.1) + 0.3 * fine)[:, None]
        )
        wall[slat < 0.12] *= 0.45
        wall[np.abs(z - 1.9) < 0.08] *= 0.8
    elif wall_kind == "panels":
        wall[z < u(0.9, 1.4)] *= accent / accent.mean() * 0.85
        wall[np.mod(x / 1.2, 1) < 0.02] *= 0.7
    elif wall_kind == "posters":
        for _ in range(7):
            px, pz, pw, ph, c = (
                u(-4, 4),
                u(0.9, 1.9),
                u(0.2, 0.5),
                u(0.25, 0.6),
                hsv(rng.random(), u(0.2, 0.7), u(0.3, 0.9)),
            )
            inside = (np.abs(x - slide - px) < pw) & (np.abs(z - pz) < ph)
            wall[inside] = (c * (0.75 + 0.5 * noise(q, 5, seed + 7, 2)[:, None]))[inside]
    wall[z < 0.12] *= 0.6
    colour = np.where(floor[:, None], colour, wall)
    colour[~floor & (z > wall_top)] = [0.80, 0.86, 0.93]
    for _ in range(int(rng.integers(0, 4))):  # posts, bins, boards and bushes before the wall
        at_y, at_x = u(0.9, wall_at), u(-1.6, 1.6)
        half, tall = float(rng.choice([0.05, 0.12, 0.22, 0.8])), float(rng.choice([0.7, 1.0, 1.5, 3.5]))
        c = hsv(rng.random(), u(0, 0.5), u(0.15, 0.6))
        t = (at_y - origin[1]) / np.where(np.abs(rays[:, 1]) < 1e-3, 1e-3, rays[:, 1])
        hit = origin + rays * t[:, None]
        on = (
            (t > 0)
            & (t < np.minimum(t_floor, t_wall))
            & (hit[:, 2] < tall)
            & (hit[:, 2] > 0)
            & (np.abs(hit[:, 0] - at_x) < half * (1 - 0.2 * (hit[:, 2] / tall) ** 6))
        )
        colour[on] = (
            c * (0.75 + 0.5 * noise(hit, 2.5, seed + 2, 3)[on])[:, None] * (0.6 + 0.4 * hit[on, 2:] / tall)
        )
        floor = floor & ~on
    return np.clip(colour, 0.01, 0.97), p, floor
