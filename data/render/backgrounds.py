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
