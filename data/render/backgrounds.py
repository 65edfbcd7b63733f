"""Backgrounds and light: the committed CC0 panoramas."""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from .raster import spin

FOLDER = Path(__file__).parent / "panoramas"
DECODE = np.exp2(np.arange(256) / 255 * np.log2(49)).astype(np.float32) / 8 - 0.125
"""Byte of a panorama's picture -> linear light, 0..6."""
LIGHT_TINT = 0.35
"""Share of a panorama's own colour that its light keeps."""


@cache
def _table() -> dict[str, dict]:
    """Name -> light of a panorama, as ``make_panoramas.py`` wrote it."""
    return json.loads((FOLDER / "panoramas.json").read_text())


def names() -> list[str]:
    """The panoramas there are, in alphabetical order."""
    return sorted(_table())


@dataclass(frozen=True)
class Panorama:
    """A place and its light.

    ``picture`` is linear light ``[256, 512, 3]``, ``harmonics`` the irradiance ``[9, 3]``, ``sun`` the unit direction
    ``[3]`` of the sun or the brightest lamp.
    """

    picture: np.ndarray
    harmonics: np.ndarray
    sun: np.ndarray
    sun_strength: float


@lru_cache(maxsize=16)
def panorama(name: str) -> Panorama:
    """The panorama of that name.

    Raises:
        ValueError: for a name that is none of :func:`names`.
    """
    if name not in _table():
        raise ValueError(f"unknown panorama {name!r}; known: {', '.join(names())}")
    meta = _table()[name]
    harmonics = np.array(meta["harmonics"])
    colour = harmonics[0] / harmonics[0].mean()
    return Panorama(
        DECODE[np.asarray(Image.open(FOLDER / f"{name}.png"))],
        harmonics / colour ** (1 - LIGHT_TINT),
        np.array(meta["sun"]),
        meta["sun_strength"],
    )


def look_up(picture: np.ndarray, directions: np.ndarray, yaw: float) -> np.ndarray:
    """Linear colours ``[n, 3]`` of a panorama, turned by ``yaw`` radians, in directions ``[n, 3]`` of any length."""
    h, w = picture.shape[:2]
    u = (np.arctan2(directions[:, 0], directions[:, 1]) + yaw) / (2 * np.pi) + 0.5
    v = np.arccos(np.clip(directions[:, 2] / np.linalg.norm(directions, axis=1), -1, 1)) / np.pi
    at = np.stack([v * h - 0.5, np.mod(u, 1) * w - 0.5])
    return np.stack([map_coordinates(picture[..., c], at, order=1, mode="grid-wrap") for c in range(3)], -1)


def harmonic_basis(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
    """The nine real spherical harmonics of degree 0 to 2 in unit directions (Ramamoorthi and Hanrahan 2001, eq. 3)."""
    return [
        0.2821 + 0 * x,
        0.4886 * y,
        0.4886 * z,
        0.4886 * x,
        1.0925 * x * y,
        1.0925 * y * z,
        0.3154 * (3 * z * z - 1),
        1.0925 * x * z,
        0.5463 * (x * x - y * y),
    ]


def irradiance(harmonics: np.ndarray, normals: np.ndarray, yaw: float) -> np.ndarray:
    """Diffuse light on surfaces under a panorama.

    Args:
        harmonics: the panorama's irradiance, ``[9, 3]``.
        normals: unit normals ``[n, 3]``.
        yaw: by how much the panorama is turned, radians.

    Returns:
        linear light ``[n, 3]``, at least 0.05.
    """
    return np.maximum(np.stack(harmonic_basis(*(normals @ spin(yaw)).T), 1) @ harmonics, 0.05)
