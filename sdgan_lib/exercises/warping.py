"""Checks of the exercises of notebook 03_affine_limb_warping."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sdgan_lib.exercises._verdict import Mistakes, Open, Wrong, compare, exercise
from sdgan_lib.pose import LEFT_RIGHT, to_grid
from sdgan_lib.warping import (
    LimbWarps,
    _fit,
    limb_warps,
    warp_image,
    warp_regions,
)

FAULTS = ("direction", "source mask", "height and width", "left and right", "zero-filled maximum")
"""The faults that a picture of ``mystery_pictures`` may show, in the words that a diagnosis uses."""

_FAULT_OF = {
    "A": "height and width",
    "B": "zero-filled maximum",
    "C": "left and right",
    "D": "direction",
    "E": "source mask",
}
_LOOK_AT = {
    "height and width": "Nothing is mirrored and every colour is right, yet each limb lands in a wrong place: the "
    "sideways moves are too short, the up-and-down moves too long, and turned limbs are sheared",
    "zero-filled maximum": "Every edge is where it belongs. Look at the colours: nothing is darker than middle grey",
    "left and right": "The limbs lie on the target's skeleton, and each has the colour of the other side",
    "direction": "The target's outline is filled, but the limb that turned by some angle came from a place turned "
    "by the same angle the other way: the bones do not lie on the target's skeleton",
    "source mask": "The outline that is filled is the source's: the person still stands in the old pose",
}


@exercise
def check_pixels(my_pixels: Callable[[Tensor, int, int], Tensor]) -> str:
    """``my_pixels(grid, height, width)``: grid coordinates ``[..., 2]`` back to pixels ``[..., 2]``, (x, y) both."""
    generator = torch.Generator().manual_seed(3)
    for height, width in ((128, 64), (32, 48)):
        size = torch.tensor([width, height])
        share = 1.4 * torch.rand(5, 8, 2, generator=generator) - 0.2  # in the picture and beside it
        expected = share * size
        grid = to_grid(expected, height, width)
        mistakes = [
            (
                "Height and width are exchanged: the first number is x and goes with the width. On a square picture "
                "nobody would notice.",
                ((grid + 1) * size.flip(0) - 1) / 2,
            ),
            (
                "This is the formula of `align_corners=True`, where -1 and 1 are the centres of the outer pixels. Here "
                "they are the outer edges of the picture, at -0.5 and size - 0.5.",
                (grid + 1) / 2 * (size - 1),
            ),
            (
                "Half a pixel is missing: g = -1 is the left edge of the first pixel, at x = -0.5, not its centre.",
                (grid + 1) / 2 * size,
            ),
            (
                "The half pixel goes the wrong way: the left edge lies before the first centre, at x = -0.5.",
                (grid + 1) / 2 * size + 0.5,
            ),
        ]
        compare(my_pixels(grid.clone(), height, width), expected, mistakes, what="my_pixels(grid)", atol=1e-3)
    return "your formula undoes `to_grid` for every height and width, inside the picture and outside."


@exercise
def check_weighted_fit(my_weighted_fit: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """``my_weighted_fit(target_points, source_points, weights)``: ``[N, 2]``, ``[N, 2]``, ``[N]`` to ``[2, 3]``."""
    generator = torch.Generator().manual_seed(5)
    for count in (4, 7):
        target, source = 60 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
        weights = 0.1 + torch.rand(count, generator=generator, dtype=torch.float64)
        found = my_weighted_fit(target.clone(), source.clone(), weights.clone())
        expected, _ = _fit(target, source, weights)
        mistakes = [
            (
                "A map is wanted that leads from the target to the source: for each target pixel, where to fetch. "
                "Yours leads from the source to the target.",
                _least_squares(_with_ones(source), target, weights),
            ),
            (
                "Yours is the map transposed, [3, 2]: `lstsq` and `solve` give one column per answer, the map has one "
                "row for x and one for y.",
                expected.T,
            ),
            (
                "The weights have no effect: this is the fit in which all points count the same.",
                _least_squares(_with_ones(target), source, torch.ones_like(weights)),
            ),
            (
                "Each point counts with its weight squared: least squares squares whatever you multiply a row by. "
                "Multiply by the square root of the weight.",
                _least_squares(_with_ones(target), source, weights**2),
            ),
            *_shift_missing(_least_squares(target, source, weights)),
        ]
        compare(found, expected, mistakes, what="my_weighted_fit(...)")
    return "a point that you trust more pulls harder; with weights 0 and 1 the same code leaves out missing joints."


def _with_ones(points: Tensor) -> Tensor:
    return torch.cat([points, torch.ones_like(points[:, :1])], dim=1)


def _least_squares(rows: Tensor, images: Tensor, weights: Tensor) -> Tensor:
    """The map ``[2, k]`` that takes rows ``[N, k]`` to images ``[N, 2]``: rows times the roots of the weights."""
    root = weights.sqrt()[:, None]
    return torch.linalg.lstsq(rows * root, images * root).solution.T


def _shift_missing(linear: Tensor) -> Mistakes:
    message = (
        "There is no shift: your map takes (0, 0) to (0, 0). Give every point a third number, 1; its weight in the "
        "solution is the shift."
    )
    return [(message, linear), (message, torch.cat([linear, linear.new_zeros(2, 1)], dim=1))]


def _people(count: int, generator: torch.Generator, spread: float = 3.0) -> Tensor:
    """Standing people ``[count, 18, 2]`` for a 128 x 64 picture, every joint moved at random."""
    x = (32, 32, 24, 20, 18, 40, 44, 46, 27, 26, 26, 37, 38, 38, 30, 34, 28, 36)
    y = (18, 30, 30, 46, 60, 30, 46, 60, 66, 88, 108, 66, 88, 108, 16, 16, 17, 17)
    standing = torch.tensor([x, y], dtype=torch.float64).T
    return standing + spread * torch.randn(count, 18, 2, generator=generator, dtype=torch.float64)


@exercise
def check_map_at(my_map_at: Callable[[Tensor, tuple[int, int], tuple[int, int]], Tensor]) -> str:
    """``my_map_at(affine, size, level)``: the map ``[2, 3]`` for features of size ``level``, both (h, w).

    ``affine`` is the map of a picture of ``size``.
    """
    generator = torch.Generator().manual_seed(7)
    for level in ((32, 32), (24, 64), (32, 16)):
        warps = limb_warps(_people(1, generator), _people(1, generator), 128, 64)
        affine, expected = warps.maps[0, 8], warps.at(*level).maps[0, 8]
        found = my_map_at(affine.clone(), (128, 64), level)
        scale = torch.tensor([64 / level[1], 128 / level[0]], dtype=torch.float64)
        mistakes = _map_mistakes(affine, expected, scale)
        compare(found, expected, mistakes, what=f"my_map_at for a level of {level[0]} x {level[1]}")
    return "one fit at full size serves every level of the encoder, whatever the two scales are."


def _rescaled(maps: Tensor, scale: Tensor) -> Tensor:
    """Maps ``[..., 2, 3]`` in pixels that are ``scale`` ``[2]`` (x, y) times as large; centres stay centres."""
    linear, shift = maps[..., :2], maps[..., 2]
    corner = (scale - 1) / 2
    shift = (shift + linear @ corner - corner) / scale
    return torch.cat([linear * scale / scale[:, None], shift[..., None]], dim=-1)


def _map_mistakes(affine: Tensor, expected: Tensor, scale: Tensor) -> Mistakes:
    linear, rows = affine[:, :2], scale[:, None]
    small_shift, right_shift = affine[:, 2:] / rows, expected[:, 2:]
    unequal = (
        "Where a feature pixel is not square, the linear part changes too: it says how many pixels of x or y go out "
        "for each pixel of x or y that goes in."
    )
    one_scale = "One scale for both axes is not enough: x goes with the widths, y with the heights."
    return [
        (
            "Half a pixel is missing: centres are related by x = (u + 0.5) * scale - 0.5, where the map starts and "
            "where it ends.",
            torch.cat([linear * scale / rows, small_shift], dim=1),
        ),
        (
            "You divided the shift and left the rest. Centres are related by x = (u + 0.5) * scale - 0.5: put this "
            "in for both ends of the map, then collect the terms.",
            torch.cat([linear, small_shift], dim=1),
        ),
        (
            "You divided all six numbers. The linear part is a ratio, pixels out for pixels in: with equal scales "
            "it does not change at all.",
            affine / rows,
        ),
        (f"{unequal} Yours is the picture's.", torch.cat([linear, right_shift], dim=1)),
        (
            f"{unequal} Multiply the columns (what goes in) and divide the rows (what comes out); you have it the "
            "other way round.",
            torch.cat([linear * rows / scale, right_shift], dim=1),
        ),
        (one_scale, _rescaled(affine, scale[[1, 1]])),
        (one_scale, _rescaled(affine, scale[[0, 0]])),
        (
            "Your scales of x and y are exchanged: `size` and `level` are (height, width), points are (x, y).",
            _rescaled(affine, scale.flip(0)),
        ),
    ]


def mystery_pictures(image: Tensor, source_pose: Tensor, target_pose: Tensor) -> dict[str, Tensor]:
    """Five wrong warps of one picture ``[1, 3, H, W]``, one fault each: letter -> picture ``[3, H, W]``."""
    size = image.shape[-2:]
    warps = limb_warps(source_pose, target_pose, *size)
    made = {
        "direction": dataclasses.replace(warps, maps=limb_warps(target_pose, source_pose, *size).maps),
        "source mask": dataclasses.replace(warps, masks=limb_warps(target_pose, source_pose, *size).masks),
        "height and width": _exchanged(warps),
        "left and right": limb_warps(source_pose[:, list(LEFT_RIGHT)], target_pose, *size),
    }
    pictures = {name: warp_image(image, faulty) for name, faulty in made.items()}
    pictures["zero-filled maximum"] = warp_regions(image, warps).amax(1)
    return {letter: pictures[name][0] for letter, name in _FAULT_OF.items()}


def _exchanged(warps: LimbWarps) -> LimbWarps:
    """The warps as they act when grid coordinates are made and read with height and width exchanged."""
    height, width = warps.size
    stretch = warps.maps.new_tensor([height / width, width / height])
    return dataclasses.replace(warps, maps=_rescaled(warps.maps, stretch))


@exercise(function=False)
def check_warp_faults(my_faults: Mapping[str, str | None]) -> str:
    """``my_faults``: letter of a picture -> one of ``FAULTS``; each fault is the cause of one picture."""
    if not isinstance(my_faults, Mapping):
        raise Wrong(f"a dict is wanted, from letters to faults, not a {type(my_faults).__name__}.")
    unknown = [repr(key) for key in my_faults if key not in _FAULT_OF]
    if unknown:
        raise Wrong(f"there is no picture {unknown[0]}; the pictures are {', '.join(_FAULT_OF)}.")
    open_ones = [letter for letter in _FAULT_OF if my_faults.get(letter) is None]
    if len(open_ones) == len(_FAULT_OF):
        raise Open
    if open_ones:
        raise Wrong(f"no diagnosis yet for {', '.join(open_ones)}.")
    for letter, fault in my_faults.items():
        if fault not in FAULTS:
            raise Wrong(f"{letter}: {fault!r} is not one of the faults; they are {', '.join(FAULTS)}.")
    for letter, fault in _FAULT_OF.items():
        said = my_faults[letter]
        if said != fault:
            raise Wrong(f'{letter} is not "{said}". {_LOOK_AT[fault]} (in {letter}).')
    return "five faults, five signatures. You will know them when you see them in your own training run."
