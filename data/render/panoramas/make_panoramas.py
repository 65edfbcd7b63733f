"""Makes the compact panoramas of this folder from the npm package ``@pmndrs/assets`` (``pip install OpenEXR``).

    python -m data.render.panoramas.make_panoramas FOLDER/package/hdri

Each panorama becomes a PNG of 512x256 with logarithmic 8-bit values (``DECODE`` in backgrounds.py),
white-balanced so that the light that falls on a person is nearly neutral, and an entry in ``panoramas.json``:
the light as 9 spherical harmonics of the irradiance per colour, the direction of the sun or brightest lamp,
and its strength.
"""

import base64
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import OpenEXR
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter

from ..backgrounds import FOLDER, harmonic_basis

NAMES = (
    "apartment",
    "bridge",
    "city",
    "dawn",
    "esplanade",
    "forest",
    "hall",
    "lab",
    "lobby",
    "park",
    "sunrise",
    "sunset",
    "venice",
    "warehouse",
    "workshop",
)
NEUTRAL = 0.8  # how much of the light's colour is balanced away


def read(path: Path) -> np.ndarray:
    """Linear light ``[H, W, 3]`` of one of the package's panoramas."""
    data = base64.b64decode(re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text()).group(1))
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(data)
        file.flush()
        channels = OpenEXR.File(file.name).channels()
    rgb = channels["RGB"].pixels if "RGB" in channels else np.stack([channels[c].pixels for c in "RGB"], -1)
    rgb = rgb.astype(np.float64)
    rgb = np.nan_to_num(np.maximum(rgb, 0), posinf=6e4)
    # The compression leaves black holes in the sun's disc: fill them with what is bright around them.
    bright = np.stack([maximum_filter(rgb[..., c], 7) for c in range(3)], -1)
    hole = (rgb.min(-1) < 0.05 * bright.mean(-1)) & (bright.mean(-1) > 25000 * np.median(rgb))
    rgb[hole] = bright[hole].mean(-1, keepdims=True)
    return rgb


def convert(path: Path) -> tuple[np.ndarray, dict]:
    """Bytes ``[H, W, 3]`` of a panorama and the entry of its light."""
    a = read(path)
    h, w = a.shape[:2]
    theta, phi = (np.arange(h) + 0.5) / h * np.pi, ((np.arange(w) + 0.5) / w - 0.5) * 2 * np.pi
    x, y = np.sin(theta)[:, None] * np.sin(phi), np.sin(theta)[:, None] * np.cos(phi)
    z = np.cos(theta)[:, None] * np.ones(w)
    solid = (np.sin(theta) * np.pi / h * 2 * np.pi / w)[:, None, None]
    a /= np.median(a.mean(-1)) / 0.25
    band = np.abs(z) < 0.75  # what a camera sees: balance this, and the light, towards grey
    seen = np.median(a[band], 0)
    light = (np.minimum(a, 4) * solid).sum((0, 1))
    tint = (seen / seen.mean()) ** 0.6 * (light / light.mean()) ** 0.4
    a /= tint**NEUTRAL
    bright = gaussian_filter(a.mean(-1) * (z > 0.12), h / 64)
    i = np.unravel_index(bright.argmax(), bright.shape)
    sun = np.array([x[i], y[i], z[i]])
    near = (x * sun[0] + y * sun[1] + z * sun[2]) > np.cos(0.14)
    strength = min((np.maximum(a - 2.5, 0) * solid * near[..., None]).sum((0, 1)).mean() / np.pi, 1.6)
    cosine = [np.pi] + [2.0944] * 3 + [0.7854] * 5
    sky = np.minimum(a, 4)
    harmonics = [
        (sky * b[..., None] * solid).sum((0, 1)) * c / np.pi
        for b, c in zip(harmonic_basis(x, y, z), cosine, strict=True)
    ]
    code = np.round(255 * np.log2(1 + 8 * np.minimum(a, 6)) / np.log2(49)).astype(np.uint8)
    return code, {
        "sun": sun.round(4).tolist(),
        "sun_strength": round(float(strength), 4),
        "harmonics": np.round(harmonics, 4).tolist(),
    }


def main() -> None:
    """Convert all panoramas of the folder that the command names."""
    table = {}
    for name in NAMES:
        code, table[name] = convert(Path(sys.argv[1]) / f"{name}.exr.js")
        Image.fromarray(code).save(FOLDER / f"{name}.png", optimize=True)
    text = json.dumps(table, indent=1)
    text = re.sub(r"\[\s+(-?[\d.]+),\s+(-?[\d.]+),\s+(-?[\d.]+)\s+\]", r"[\1, \2, \3]", text)
    (FOLDER / "panoramas.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
