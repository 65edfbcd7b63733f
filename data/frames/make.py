"""Stand-ins for somebody's own photos of one person: ``python -m data.frames.make`` writes those in ``0253``.

The course has no photographs of people. These are a held-out drawn person's pictures, whom no generator was trained
on, with another camera's look: enlarged, then contrast, colour cast, blur, noise and JPEG, all drawn from the seed.
They show whether fine-tuning helps with a person and a look that were never seen; what real cloth, faces and light
would add, they cannot show. ``--identity 0288`` makes others.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from sdgan_lib.errors import UserError
from sdgan_lib.images import decode, opened, write_picture

HERE = Path(__file__).parent
PEOPLE = HERE.parent / "people/people-dataset/test"
IDENTITY, COUNT = "0253", 16
"""Whose pictures lie here, and how many of the 20."""

SCALE = 2
"""How many times as large as the embedded pictures they are, across and down."""


class Look(NamedTuple):
    """What one camera does to its pictures.

    Attributes:
        exponent: of the tones, 0 to 1.
        contrast: what they are multiplied by, about the middle.
        gains: what red, green and blue are multiplied by, ``[3]``.
        blur: sigma in pixels.
        noise: standard deviation, in levels of 0 to 255.
        quality: of the JPEG.
    """

    exponent: float
    contrast: float
    gains: np.ndarray
    blur: float
    noise: float
    quality: int


def look_of(identity: str, seed: int) -> Look:
    """The look of all pictures of one identity."""
    draw = np.random.default_rng([int(identity), seed])
    return Look(
        exponent=draw.uniform(0.75, 1.35),
        contrast=draw.uniform(0.7, 0.9),
        gains=draw.uniform(0.82, 1.12, 3),
        blur=draw.uniform(0.6, 1.2),
        noise=draw.uniform(4, 9),
        quality=int(draw.integers(70, 86)),
    )


def taken(picture: Image.Image, look: Look, draw: np.random.Generator) -> Image.Image:
    """A picture as a camera with this look would have taken it, a little brighter or darker from one to the next."""
    size = picture.width * SCALE, picture.height * SCALE
    large = picture.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(look.blur))
    tones = (np.asarray(large) / 255) ** look.exponent * look.gains * draw.uniform(0.93, 1.07)
    tones = 255 * (0.5 + look.contrast * (tones - 0.5)) + draw.normal(0, look.noise, tones.shape)
    return Image.fromarray(tones.round().clip(0, 255).astype(np.uint8))


def make(identity: str, out: Path, count: int = COUNT, seed: int = 0) -> list[Path]:
    """Write the first ``count`` pictures of a held-out identity, ``0251`` to ``0300``, with another look.

    Every second comes after the others, so that few pictures show all four places. Returns the files written.
    """
    paths = sorted(PEOPLE.glob(f"{identity}_*.jpg"))
    if not paths:
        raise UserError(f"{identity}: nobody of {PEOPLE} is called so. Remedy: choose one of 0251 to 0300.")
    look, written = look_of(identity, seed), []
    for number, path in enumerate((paths[::2] + paths[1::2])[:count], start=1):
        with opened(path) as file:
            picture = taken(decode(file), look, np.random.default_rng([int(identity), seed, number]))
        written.append(out / f"{number:02}.jpg")
        write_picture(written[-1], picture, quality=look.quality, subsampling=0)
    return written


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m data.frames.make", description=__doc__.splitlines()[0])
    parser.add_argument("--identity", default=IDENTITY, help="0251 to 0300")
    parser.add_argument("--out", type=Path, help="folder for the pictures, else one beside this program")
    parser.add_argument("--count", type=int, default=COUNT, help="how many, at most 20")
    parser.add_argument("--seed", type=int, default=0, help="of look and noise")
    options = parser.parse_args()
    out = options.out or HERE / options.identity
    try:
        written = make(options.identity, out, options.count, options.seed)
    except UserError as error:
        sys.exit(f"data.frames.make: {error}")
    print(f"{len(written)} pictures in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
