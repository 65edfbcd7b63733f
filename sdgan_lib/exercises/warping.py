"""Checks of the exercises of notebook 03_affine_limb_warping.

The library makes all regions' maps and masks at once. Its pieces for one limb, written plainly, are here too: the
notebook goes on with them where the learner's own do not pass yet.
"""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from sdgan_lib.exercises._verdict import Mistakes, Open, Wrong, compare, exercise
from sdgan_lib.pose import LEFT_RIGHT, LIMBS, body_size, to_grid
from sdgan_lib.warping import (
    BEFORE,
    BEYOND,
    HALF_WIDTH,
    LimbWarps,
    _fit,
    _in_rectangle,
    _limb_corners,
    deformable_skip,
    limb_warps,
    sample_regions,
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


# One limb's pieces, written plainly


def apply_affine(affine: Tensor, points: Tensor) -> Tensor:
    """Where the map ``[2, 3]`` takes points ``[..., 2]`` (x, y)."""
    return points @ affine[:, :2].T + affine[:, 2]


def limb_corners(first: Tensor, second: Tensor, half_width: float, beyond: float) -> Tensor:
    """Corners ``[4, 2]`` of the rectangle round the bone from ``first`` to ``second`` ``[2]``.

    ``beyond`` is a share of the length of the bone that begins ``BEFORE`` its first joint.
    """
    first = first + BEFORE * (first - second)
    return _corners(first, _ahead(first, second, beyond), half_width)


def _ahead(first: Tensor, second: Tensor, share: float) -> Tensor:
    """The point beyond ``second`` by a share of the distance from ``first``."""
    return second + share * (second - first)


def _corners(first: Tensor, second: Tensor, half_width: float) -> Tensor:
    across = half_width * _turned(second - first) / (second - first).norm()
    return torch.stack([first + across, first - across, second - across, second + across])


def _turned(vector: Tensor) -> Tensor:
    return torch.stack([-vector[1], vector[0]])


def fit_affine(points: Tensor, images: Tensor) -> Tensor:
    """The affine map ``[2, 3]`` from ``points`` to ``images`` ``[N, 2]`` with the least sum of squared misses."""
    return _least_squares(_with_ones(points), images, torch.ones_like(points[:, 0]))


def rectangle_mask(corners: Tensor, height: int, width: int) -> Tensor:
    """Which pixels lie in the rectangle with these corners ``[4, 2]``: bool ``[height, width]``."""
    along, across = _shares(corners, _pixels(height, width).to(corners))
    return (along.abs() <= 0.5) & (across.abs() <= 0.5)


def _pixels(height: int, width: int) -> Tensor:
    """Every pixel's (x, y), ``[height, width, 2]``."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], dim=-1).double()


def _shares(corners: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """How far points lie from the rectangle's middle, along and across, as shares of its length and width."""
    axes = corners[2] - corners[1], corners[0] - corners[1]
    along, across = ((points - corners.mean(0)) @ axis / axis.square().sum() for axis in axes)
    return along, across


def merge_by_maximum(sampled: Tensor, covering: Tensor) -> Tensor:
    """Regions ``[B, 11, C, h, w]`` merged: the largest value of those that ``covering`` ``[B, 11, h, w]`` names."""
    return sampled.masked_fill(~covering[:, :, None], -torch.inf).amax(dim=1)


def rescale_map(affine: Tensor, size: tuple[int, int], level: tuple[int, int]) -> Tensor:
    """The map ``[2, 3]`` of a picture of ``size`` for features of size ``level``, both (h, w)."""
    return _rescaled(affine, affine.new_tensor([size[1] / level[1], size[0] / level[0]]))


def shift_with_sizes_exchanged(shift: Tensor, height: int, width: int) -> Tensor:
    """What becomes of a shift ``[2]`` (x, y) in pixels when height and width are exchanged in the grid."""
    return shift * shift.new_tensor([width / height, height / width])


# The checks


@exercise
def check_grid(my_grid: Callable[[Tensor, int, int], Tensor]) -> str:
    """``my_grid(points, height, width)``: pixels ``[..., 2]`` (x, y) as grid coordinates ``[..., 2]``."""
    generator = torch.Generator().manual_seed(2)
    for height, width in ((128, 64), (32, 48)):
        size = torch.tensor([width, height])
        points = (
            1.4 * torch.rand(5, 8, 2, generator=generator).double() - 0.2
        ) * size  # in the picture, beside it
        expected, given = to_grid(points, height, width), points.clone()
        mistakes = [
            (
                "Height and width are exchanged: the first number of a point is x and goes with the width. On a "
                "square picture nobody would notice.",
                to_grid(points, width, height),
            ),
            (
                "This is the formula of `align_corners=True`: it puts -1 and 1 on the *centres* of the outer pixels, "
                "0 and size - 1. Wanted are the outer edges, -0.5 and size - 0.5.",
                2 * points / (size - 1) - 1,
            ),
            (
                "Half a pixel is missing: you give -1 for x = 0, the centre of the first pixel. Its left edge, "
                "x = -0.5, must become -1.",
                2 * points / size - 1,
            ),
            (
                "The half pixel goes the wrong way: put x = -0.5 in, -1 must come out.",
                (2 * points - 1) / size - 1,
            ),
            (
                "Yours runs from 0 to 1 across the picture; grid coordinates run from -1 to 1.",
                (expected + 1) / 2,
            ),
            (
                "x and y are divided by the same size. x goes with the width, y with the height.",
                (2 * points + 1) / width - 1,
            ),
            (
                "The result has (y, x). `grid_sample` wants (x, y), as the points are given.",
                expected.flip(-1),
            ),
        ]
        found = my_grid(given, height, width)
        compare(found, expected, mistakes, what="my_grid(points)")
        _same_type(found, points)
        _unchanged(given, points, "points")
    return "edges become -1 and 1 for every height and width. Pictures below are fetched with your formula."


def _same_type(found: Tensor, given: Tensor) -> None:
    if found.dtype != given.dtype:
        raise Wrong(
            f"the numbers are right, but you made {found.dtype} of {given.dtype}, and later cells cannot mix the two. "
            "Give new tensors the type of what you were given: `.to(points)`."
        )


def _unchanged(given: Tensor, before: Tensor, what: str) -> None:
    if not torch.equal(given, before):
        raise Wrong(
            f"the result is right, but you changed the {what} that you were given: whoever uses them next gets other "
            "numbers. `a += b` changes `a` itself; write `a = a + b`."
        )


@exercise
def check_apply(my_apply: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``my_apply(affine, points)``: where the map ``[2, 3]`` takes points ``[..., 2]``."""
    generator = torch.Generator().manual_seed(4)
    affine = torch.rand(1, 2, 3, generator=generator, dtype=torch.float64) + 0.3
    identity = torch.eye(2, 3, dtype=torch.float64)[None]
    # PyTorch's own: affine_grid applies a map to the grid coordinates of every pixel.
    points, expected = (F.affine_grid(a, [1, 1, 4, 5], align_corners=False)[0] for a in (identity, affine))
    affine = affine[0]
    for shape in ((20, 2), (4, 5, 2)):
        given, images = points.reshape(shape), expected.reshape(shape)
        found = my_apply(affine.clone(), given.clone())
        compare(found, images, _apply_mistakes(affine, given, images), what=f"my_apply for points {shape}")
        _same_type(found, points)
    return "one point, a list, or one for every pixel: each place is where the map says."


def _apply_mistakes(affine: Tensor, points: Tensor, expected: Tensor) -> Mistakes:
    linear, shift = affine[:, :2], affine[:, 2]
    return [
        (
            "The linear part is transposed: x must become a·x + b·y, and yours is a·x + c·y. Points are rows here, "
            "and a row times a matrix goes down its columns.",
            points @ linear + shift,
        ),
        ("There is no shift: the last column of the map is added at the end.", points @ linear.T),
        (
            "You shift first and multiply then. The last column is added to the result, not to the point.",
            (points + shift) @ linear.T,
        ),
        ("x and y of the result are exchanged: the first row of the map gives x.", expected.flip(-1)),
        (
            "The points have become columns. Keep the last dimension for (x, y): the result has the shape of `points`.",
            expected.movedim(-1, 0),
        ),
    ]


@exercise
def check_corners(my_corners: Callable[[Tensor, Tensor, float, float], Tensor]) -> str:
    """``my_corners(first, second, half_width, beyond)``: joints ``[2]`` and two numbers to corners ``[4, 2]``."""
    generator = torch.Generator().manual_seed(6)
    people = _people(2, generator, spread=6.0)
    for person, all_corners in zip(people, _limb_corners(people), strict=True):
        half_width = HALF_WIDTH * body_size(person).item()
        for (name, joints), expected in zip(LIMBS.items(), all_corners, strict=True):
            first, second = person[list(joints)]
            beyond = BEYOND[name.split("_", 1)[1]][0]
            given = first.clone(), second.clone()
            found = my_corners(*given, half_width, beyond)
            mistakes = _corner_mistakes(first, second, half_width, beyond)
            compare(found, expected, mistakes, what=f"the corners of a {name.replace('_', ' ')}")
            _same_type(found, first)
            _unchanged(torch.stack(given), torch.stack([first, second]), "joints")
    return "the rectangles of all eight limbs of two random people are the library's."


def _corner_mistakes(first: Tensor, second: Tensor, half_width: float, beyond: float) -> Mistakes:
    start = first + BEFORE * (first - second)
    inner = first - BEFORE * (first - second)
    end = _ahead(start, second, beyond)
    far = _ahead(first, second, beyond)
    outwards = (
        "The rectangle is longer than the bone: `first` moves away from `second`, `second` from `first`."
    )
    right = _corners(start, end, half_width)
    along = (end - start) / (end - start).norm()
    flipped = half_width * along.flip(0)
    level = half_width * first.new_tensor([1, 0])
    return [
        (
            "The rectangle begins at the first joint. It must begin BEFORE limb lengths earlier: an elbow is round.",
            _corners(first, _ahead(first, second, beyond), half_width),
        ),
        (
            "The rectangle ends at the second joint: `beyond` is not used.",
            _corners(start, second, half_width),
        ),
        (
            "`beyond` is counted from the first joint. Move the beginning first; then the length runs from the moved "
            "beginning to the second joint.",
            _corners(start, _ahead(first, second, beyond), half_width),
        ),
        (
            f"Both ends are moved inwards. {outwards}",
            _corners(inner, _ahead(inner, second, -beyond), half_width),
        ),
        (
            f"The beginning is moved inwards. {outwards}",
            _corners(inner, _ahead(inner, second, beyond), half_width),
        ),
        (
            f"The end is moved inwards. {outwards}",
            _corners(start, _ahead(start, second, -beyond), half_width),
        ),
        (
            "The end is moved by 0.1 limb lengths, as the beginning is. It must be moved by `beyond`.",
            _corners(start, _ahead(start, second, BEFORE), half_width),
        ),
        (
            "You moved `second` first, and `first` by a share of the new length. Begin with `first`.",
            _corners(_ahead(far, first, BEFORE), far, half_width),
        ),
        ("`half_width` has no effect: the step to the side is one pixel long.", _corners(start, end, 1.0)),
        (
            "The rectangle is half as wide as it should be: `half_width` lies on *each* side of the bone.",
            _corners(start, end, half_width / 2),
        ),
        ("The rectangle is twice too wide: `half_width` on each side.", _corners(start, end, 2 * half_width)),
        (
            "The vector across the bone is as long as the bone, times half the width. Divide it by its length first.",
            _corners(start, end, half_width * (end - start).norm().item()),
        ),
        (
            "Your corners jump from side to side, like a bow tie: after the second comes the one on the *same* side. "
            "See the numbers in the picture.",
            right[[0, 1, 3, 2]],
        ),
        (
            "You turned the other way: (x, y) becomes (-y, x), so that corner 0 is `first` plus that.",
            right[[1, 0, 3, 2]],
        ),
        (
            "The four corners are right, and another one comes first. See the numbers in the picture.",
            right[[3, 0, 1, 2]],
        ),
        (
            "(y, x) is not at a right angle to (x, y). (-y, x) is: their product x·(-y) + y·x is 0.",
            torch.stack([start + flipped, start - flipped, end - flipped, end + flipped]),
        ),
        (
            "The width is added to x, so the rectangle does not turn with the bone. Its short sides stand at a right "
            "angle to the bone.",
            torch.stack([start + level, start - level, end - level, end + level]),
        ),
    ]


@exercise
def check_affine(my_affine: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``my_affine(points, images)``: the map ``[2, 3]`` from the first ``[N, 2]`` to the second."""
    generator = torch.Generator().manual_seed(8)
    for count in (4, 3, 7):
        points, images = 60 * torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
        ones = torch.ones(count, dtype=torch.float64)
        expected, _ = _fit(points, images, ones)
        product = _with_ones(points).T @ images
        mistakes = [
            (
                "Yours leads from `images` to `points`. P is made of what goes in, `points`, Q of what must come out.",
                fit_affine(images, points),
            ),
            (
                "Yours is K, with three rows and two columns. The map [2, 3] is K transposed: one row for x, one "
                "for y.",
                expected.T,
            ),
            (
                "The shift stands in the first column: put the 1 behind x and y, not before them.",
                expected.roll(1, dims=1),
            ),
            (
                "Yours is PᵀQ, the right side of the equations. Solve PᵀP K = PᵀQ for K: `torch.linalg.solve`.",
                product.T,
            ),
            ("Yours is PᵀQ, the right side of the equations. Solve PᵀP K = PᵀQ for K.", product),
            (
                "This map hits the first three points and ignores the others. Every point must count.",
                fit_affine(points[:3], images[:3]),
            ),
            *_shift_missing(_least_squares(points, images, ones)),
        ]
        found = my_affine(points.clone(), images.clone())
        compare(found, expected, mistakes, what=f"the fit to {count} points")
        _same_type(found, points)
    return "the smallest sum of squares, from 3 points or more. The limbs below move by your fit."


@exercise
def check_mask(my_mask: Callable[[Tensor, int, int], Tensor]) -> str:
    """``my_mask(corners, height, width)``: which pixels lie in the rectangle with corners ``[4, 2]``: ``[h, w]``."""
    generator = torch.Generator().manual_seed(9)
    for height, width in ((48, 30), (20, 41)):
        middle = torch.tensor([width, height], dtype=torch.float64) * 0.45
        step = torch.rand(2, generator=generator, dtype=torch.float64) * 0.15 * middle + 0.3 * middle
        half_width = 0.6 * step.norm()
        first, second = middle - step, middle + step
        x, y = torch.arange(width, dtype=torch.float64), torch.arange(height, dtype=torch.float64)[:, None]
        expected = _in_rectangle(first, second, half_width, x, y)
        corners = _corners(first, second, half_width)
        mistakes = _mask_mistakes(corners, expected, height, width)
        compare(
            my_mask(corners.clone(), height, width), expected, mistakes, what=f"the mask [{height}, {width}]"
        )
    return "pixel for pixel the library's, for turned rectangles on tall and wide pictures."


def _mask_mistakes(corners: Tensor, expected: Tensor, height: int, width: int) -> Mistakes:
    points = _pixels(height, width)
    signed = _shares(corners, points)
    along, across = (share.abs() for share in signed)
    from_corners = [_shares(corners, points - corner + corners.mean(0)) for corner in corners]
    corner_masks = [(a.abs() <= 0.5) & (b.abs() <= 0.5) for a, b in from_corners]
    sides = [(corners[2] - corners[1]).norm(), (corners[0] - corners[1]).norm()]
    low, high = corners.amin(0), corners.amax(0)
    half = [share.abs() for share in _shares(corners, points + 0.5)]
    return [
        (
            'The mask has shape [width, height]. Rows come first: `indexing="ij"` with y before x.',
            expected.T,
        ),
        (
            "x and y are exchanged: the first number of a corner is x, and x is the *column* of a pixel.",
            rectangle_mask(corners.flip(-1), height, width),
        ),
        (
            "This is the upright box round the four corners. Measure along the rectangle's own sides, not along "
            "x and y.",
            ((points >= low) & (points <= high)).all(-1),
        ),
        ("Only the length is tested: your mask is a strip without sides.", along <= 0.5),
        ("Only the width is tested: your mask is a strip without ends.", across <= 0.5),
        (
            "Twice too long and too wide: from the middle to the end is *half* the length.",
            (along <= 1) & (across <= 1),
        ),
        (
            "The product of the offset with a side is a distance *times the side's length*. Divide by that length, "
            "or compare with half its square.",
            (along * sides[0] <= 0.5) & (across * sides[1] <= 0.5),
        ),
        *(
            ("You measure from a corner. The distances are meant from the rectangle's middle.", from_corner)
            for from_corner in corner_masks
        ),
        (
            "One direction only: left of the middle the product is negative, and every negative number is small. Take "
            "the absolute value.",
            (signed[0] <= 0.5) & (signed[1] <= 0.5),
        ),
        (
            "Half a pixel off: pixel centres are whole numbers, so pixel (0, 0) lies at (0, 0), not at (½, ½).",
            (half[0] <= 0.5) & (half[1] <= 0.5),
        ),
        ("Inside and outside are exchanged: 1 is where the region may paint.", ~expected),
    ]


@exercise
def check_merge(my_merge: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``my_merge(sampled, covering)``: ``[B, 11, C, h, w]`` and bool ``[B, 11, h, w]`` to ``[B, C, h, w]``."""
    generator = torch.Generator().manual_seed(10)
    warps = limb_warps(_people(2, generator), _people(2, generator), 128, 64).at(32, 16)
    features = torch.randn(2, 5, 32, 16, generator=generator)
    sampled, covering = sample_regions(features, warps), warps.covering
    given = sampled.clone(), covering.clone()
    found = my_merge(*given)
    if isinstance(found, tuple) and hasattr(found, "values"):
        raise Wrong("`max(dim=1)` gives values *and* indices. Take `.values`, or use `amax(dim=1)`.")
    where = covering[:, :, None]
    mistakes = [
        (
            "The zeros win: a region that does not cover the pixel counts as 0, and 0 beats every negative value. "
            "What may never win a maximum? Fill with that.",
            (sampled * where).amax(1),
        ),
        (
            "Regions that do not cover the pixel take part: `covering` has no effect.",
            sampled.amax(1),
        ),
        (
            "The fill is not low enough: features go below -1. Fill with a number that nothing is below.",
            torch.where(where, sampled, -1.0).amax(1),
        ),
        (
            "You took the maximum over the channels. The regions are dimension 1.",
            sampled.masked_fill(~where, -torch.inf).amax(2),
        ),
        (
            "Filled the wrong way round: what covers the pixel was filled, and the others were left.",
            sampled.masked_fill(where, -torch.inf).amax(1),
        ),
        (
            "Everything is NaN: 0 times infinity is no number. Choose with `torch.where` or `masked_fill`; do not "
            "multiply by infinity.",
            torch.full_like(features, torch.nan),
        ),
        ("This is the smallest value, not the largest.", sampled.masked_fill(~where, torch.inf).amin(1)),
        ("This is the sum over the regions that cover; wanted is the largest.", (sampled * where).sum(1)),
        (
            "This is the mean over the regions that cover; wanted is the largest.",
            (sampled * where).sum(1) / where.sum(1),
        ),
    ]
    compare(found, deformable_skip(features, warps), mistakes, what="the merged features")
    _unchanged(given[0], sampled, "sampled features")
    return "the largest value of the regions that cover a pixel, negative or not: `deformable_skip` gives the same."


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
        rows = _with_ones(target)
        weighted = rows * weights[:, None]
        left_only = torch.linalg.solve(rows.T @ weighted, rows.T @ source)
        right_only = torch.linalg.solve(rows.T @ rows, weighted.T @ source)
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
            ("The weights stand on one side of the equations only: PᵀWP K = PᵀWQ.", left_only.T),
            ("The weights stand on one side of the equations only: PᵀWP K = PᵀWQ.", right_only.T),
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
        _same_type(found, affine)
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


@exercise
def check_exchanged_shift(my_exchanged_shift: Callable[[Tensor, int, int], Tensor]) -> str:
    """``my_exchanged_shift(shift, height, width)``: the shift ``[2]`` that is seen when the two sizes are exchanged."""
    generator = torch.Generator().manual_seed(11)
    for height, width in ((128, 64), (96, 32), (48, 60), (50, 50)):
        shift = torch.tensor([8.0, 8.0]) + 4 * torch.rand(2, generator=generator)
        maps = torch.cat([torch.eye(2), shift[:, None]], dim=1)
        warps = LimbWarps(maps.expand(1, 11, 2, 3), torch.zeros(1, 11, height, width), (height, width))
        expected = _exchanged(warps).maps[0, 0, :, 2]
        ratio = torch.tensor([width / height, height / width])
        mistakes = [
            (
                "The other way round: x is divided by a *larger* number than it should be where the picture is tall, "
                "so sideways moves become shorter.",
                shift / ratio,
            ),
            (
                "A shift does not stay what it was, unless the picture is square.",
                shift,
            ),
            (
                "x and y do not change places: the first number still moves the picture sideways. It is only "
                "divided by the wrong size.",
                shift.flip(0),
            ),
            (
                "x and y do not change places; each is only divided by the wrong size.",
                (shift * ratio).flip(0),
            ),
            (
                "½ and 2 are right for 128x64 only. Say it with `height` and `width`.",
                shift * torch.tensor([0.5, 2.0]),
            ),
            (
                "Both are changed by the same factor. x is wrong by one factor, y by its inverse.",
                shift * ratio[0],
            ),
            (
                "Both are changed by the same factor. x is wrong by one factor, y by its inverse.",
                shift * ratio[1],
            ),
            (
                "This is the shift in grid coordinates. Go back to pixels, as `grid_sample` does: with the right "
                "sizes.",
                2 * shift / torch.tensor([height, width]),
            ),
        ]
        found = my_exchanged_shift(shift.clone(), height, width)
        compare(found, expected, mistakes, what=f"the shift in a {height}x{width} picture")
    return "a sideways move shrinks by width / height, one up or down grows by height / width. Only squares are safe."


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
