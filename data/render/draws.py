"""Random numbers and colours from tables: a table says what is possible, these functions draw from it."""

import colorsys

import numpy as np

Spread = float | tuple[float, float] | list[float]
"""A number as it is, a range (low, high), or a list of values."""


def draw(rng: np.random.Generator, spread: Spread) -> float:
    """One number of a spread; a number as it is costs no random number."""
    if isinstance(spread, tuple):
        return rng.uniform(*spread)
    return rng.choice(spread).item() if isinstance(spread, list) else spread


def colour(rng: np.random.Generator, hue: Spread, saturation: Spread, value: Spread) -> np.ndarray:
    """An sRGB colour ``[3]`` in 0..1 from spreads of its hue, saturation and value, each 0..1."""
    return np.array(colorsys.hsv_to_rgb(draw(rng, hue), draw(rng, saturation), draw(rng, value)))
