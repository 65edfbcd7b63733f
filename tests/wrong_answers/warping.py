"""Plausible wrong answers to the exercises of notebook 03, each with words of the message meant for it."""

import torch


def exchanged(grid, height, width):
    return ((grid + 1) * torch.tensor([height, width]) - 1) / 2


def corners_aligned(grid, height, width):
    return (grid + 1) / 2 * (torch.tensor([width, height]) - 1)


def half_pixel_missing(grid, height, width):
    return (grid + 1) / 2 * torch.tensor([width, height])


def half_pixel_added(grid, height, width):
    return ((grid + 1) * torch.tensor([width, height]) + 1) / 2


def fit(points, images, weights):
    rows = torch.cat([points, torch.ones_like(points[:, :1])], 1) * weights.sqrt()[:, None]
    return torch.linalg.lstsq(rows, images * weights.sqrt()[:, None]).solution.T


def one_sided(points, images, weights, left):
    rows = torch.cat([points, torch.ones_like(points[:, :1])], 1)
    weighted = rows * weights[:, None]
    if left:
        return torch.linalg.solve(rows.T @ weighted, rows.T @ images).T
    return torch.linalg.solve(rows.T @ rows, weighted.T @ images).T


def no_ones(points, images, weights):
    root = weights.sqrt()[:, None]
    return torch.linalg.lstsq(points * root, images * root).solution.T


def no_ones_padded(points, images, weights):
    return torch.cat([no_ones(points, images, weights), points.new_zeros(2, 1)], 1)


def rescaled(affine, scale):
    corner = (scale[:, None] - 1) / 2
    linear = affine[:, :2] * scale / scale[:, None]
    return torch.cat([linear, (affine[:, 2:] + affine[:, :2] @ corner - corner) / scale[:, None]], 1)


def scales(size, level):
    return torch.tensor([size[1] / level[1], size[0] / level[0]], dtype=torch.float64)


def no_half(affine, size, level):
    scale = scales(size, level)
    return torch.cat([affine[:, :2] * scale / scale[:, None], affine[:, 2:] / scale[:, None]], 1)


def only_the_shift(affine, size, level):
    return torch.cat([affine[:, :2], affine[:, 2:] / scales(size, level)[:, None]], 1)


def all_six(affine, size, level):
    return affine / scales(size, level)[:, None]


def linear_kept(affine, size, level):
    return torch.cat([affine[:, :2], rescaled(affine, scales(size, level))[:, 2:]], 1)


def linear_upside_down(affine, size, level):
    scale = scales(size, level)
    return torch.cat([affine[:, :2] * scale[:, None] / scale, rescaled(affine, scale)[:, 2:]], 1)


def one_scale(affine, size, level):
    return rescaled(affine, scales(size, level)[[1, 1]])


def scales_exchanged(affine, size, level):
    return rescaled(affine, scales(size, level).flip(0))


def faults(*names):
    return dict(zip("ABCDE", names, strict=True))


DIRECTION, SOURCE, EXCHANGED = "direction", "source mask", "height and width"
SIDES, ZERO = "left and right", "zero-filled maximum"

# 3.1 to 3.6 and 3.8


def in_place(function):
    """A right answer that writes its result into its first argument."""

    def answer(given, *rest):
        result = function(given, *rest)
        given.zero_()
        return result

    return answer


def to_grid(points, height, width):
    return torch.stack([(2 * points[..., 0] + 1) / width, (2 * points[..., 1] + 1) / height], -1) - 1


def axes(first, second):
    along = (second - first) / (second - first).norm()
    return along, torch.stack([-along[1], along[0]])


def moved(first, second, half_width, before, beyond):
    first = first + before * (first - second)
    second = second + beyond * (second - first)
    across = half_width * axes(first, second)[1]
    return torch.stack([first + across, first - across, second - across, second + across])


def corners(first, second, half_width, beyond):
    return moved(first, second, half_width, 0.1, beyond)


def from_the_joint(first, second, half_width, beyond):
    return moved(first, second, half_width, 0, beyond)


def beyond_of_the_bare_bone(first, second, half_width, beyond):
    start, end = first + 0.1 * (first - second), second + beyond * (second - first)
    across = half_width * axes(start, end)[1]
    return torch.stack([start + across, start - across, end - across, end + across])


def second_first(first, second, half_width, beyond):
    second = second + beyond * (second - first)
    return moved(first, second, half_width, 0.1, 0)


def not_normalised(first, second, half_width, beyond):
    found = corners(first, second, half_width, beyond)
    middle = (found[[0, 3]] + found[[1, 2]])[[0, 0, 1, 1]] / 2
    return middle + (found - middle) * (found[2] - found[1]).norm()


def y_x(first, second, half_width, beyond):
    middle = corners(first, second, 0.0, beyond)[[0, 2]]
    side = half_width * axes(*middle)[0].flip(0)
    return torch.stack([middle[0] + side, middle[0] - side, middle[1] - side, middle[1] + side])


def not_turned(first, second, half_width, beyond):
    middle = corners(first, second, 0.0, beyond)[[0, 2]]
    side = torch.tensor([half_width, 0.0], dtype=first.dtype)
    return torch.stack([middle[0] + side, middle[0] - side, middle[1] - side, middle[1] + side])


def joints_changed(first, second, half_width, beyond):
    first += 0.1 * (first - second)
    return from_the_joint(first, second, half_width, beyond)


def plain_fit(points, images):
    return fit(points, images, torch.ones_like(points[:, 0]))


def ones_first(points, images):
    rows = torch.cat([torch.ones_like(points[:, :1]), points], 1)
    return torch.linalg.lstsq(rows, images).solution.T


def right_side(points, images):
    return torch.cat([points, torch.ones_like(points[:, :1])], 1).T @ images


def mask(found, height, width, along=0.5, across=0.5, half=0.0, power=2, origin=None, absolute=True):
    """Sizes in shares of the rectangle's own; ``power`` of the side's length that the product is divided by."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    offset = torch.stack([x, y], -1) + half - (found.mean(0) if origin is None else origin)
    inside = torch.ones(height, width, dtype=torch.bool)
    for side, limit in ((found[2] - found[1], along), (found[0] - found[1], across)):
        distance = offset @ side / side.norm() ** power
        inside &= (distance.abs() if absolute else distance) <= limit
    return inside


def box(found, height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    points = torch.stack([x, y], -1)
    return ((points >= found.min(0).values) & (points <= found.max(0).values)).all(-1)


def filled(sampled, covering, value=-torch.inf):
    return sampled.masked_fill(~covering[:, :, None], value)


def merge_in_place(sampled, covering):
    return sampled.masked_fill_(~covering[:, :, None], -torch.inf).amax(1)


def shift_seen(shift, height, width):
    return shift * torch.tensor([width / height, height / width])


WRONG = {
    "check_grid": [
        (lambda points, height, width: to_grid(points, width, height), "are exchanged"),
        (
            lambda points, height, width: 2 * points / torch.tensor([width - 1, height - 1]) - 1,
            "align_corners",
        ),
        (
            lambda points, height, width: 2 * points / torch.tensor([width, height]) - 1,
            "Half a pixel is missing",
        ),
        (lambda points, height, width: (2 * points - 1) / torch.tensor([width, height]) - 1, "wrong way"),
        (lambda points, height, width: (points + 0.5) / torch.tensor([width, height]), "from 0 to 1"),
        (lambda points, height, width: (2 * points + 1) / width - 1, "the same size"),
        (lambda points, height, width: to_grid(points, height, width).flip(-1), "(y, x)"),
        (in_place(to_grid), "you changed the points"),
        (lambda points, height, width: to_grid(points, height, width).float(), "you made torch.float32"),
    ],
    "check_apply": [
        (lambda affine, points: points @ affine[:, :2] + affine[:, 2], "transposed"),
        (lambda affine, points: points @ affine[:, :2].T, "no shift"),
        (lambda affine, points: (points + affine[:, 2]) @ affine[:, :2].T, "shift first"),
        (lambda affine, points: (points @ affine[:, :2].T + affine[:, 2]).flip(-1), "are exchanged"),
        (lambda affine, points: affine[:, :2] @ points.T + affine[:, 2:], "become columns"),
        (lambda affine, points: affine @ points, "your code raised RuntimeError"),
    ],
    "check_corners": [
        (from_the_joint, "begins at the first joint"),
        (lambda first, second, half, beyond: corners(first, second, half, 0), "`beyond` is not used"),
        (lambda first, second, half, beyond: corners(first, second, half, 0.1), "as the beginning is"),
        (lambda first, second, half, beyond: corners(first, second, 1.0, beyond), "no effect"),
        (second_first, "Begin with `first`"),
        (beyond_of_the_bare_bone, "counted from the first joint"),
        (lambda first, second, half, beyond: moved(first, second, half, -0.1, -beyond), "Both ends"),
        (
            lambda first, second, half, beyond: moved(first, second, half, -0.1, beyond),
            "The beginning is moved",
        ),
        (lambda first, second, half, beyond: moved(first, second, half, 0.1, -beyond), "The end is moved"),
        (lambda first, second, half, beyond: corners(first, second, half / 2, beyond), "half as wide"),
        (lambda first, second, half, beyond: corners(first, second, 2 * half, beyond), "twice too wide"),
        (not_normalised, "as long as the bone"),
        (lambda *given: corners(*given)[[0, 1, 3, 2]], "bow tie"),
        (lambda *given: corners(*given)[[1, 0, 3, 2]], "turned the other way"),
        (lambda *given: corners(*given)[[3, 0, 1, 2]], "another one comes first"),
        (y_x, "right angle"),
        (not_turned, "does not turn with the bone"),
        (joints_changed, "you changed the joints"),
    ],
    "check_affine": [
        (lambda points, images: plain_fit(images, points), "from `images` to `points`"),
        (lambda points, images: plain_fit(points, images).T, "K transposed"),
        (ones_first, "first column"),
        (right_side, "the right side"),
        (lambda points, images: right_side(points, images).T, "the right side"),
        (lambda points, images: plain_fit(points[:3], images[:3]), "first three points"),
        (lambda points, images: no_ones(points, images, torch.ones_like(points[:, 0])), "no shift"),
    ],
    "check_mask": [
        (lambda found, height, width: mask(found, height, width).T, "[width, height]"),
        (lambda found, height, width: mask(found.flip(-1), height, width), "x and y are exchanged"),
        (box, "upright box"),
        (lambda found, height, width: mask(found, height, width, across=1000), "without sides"),
        (lambda found, height, width: mask(found, height, width, along=1000), "without ends"),
        (lambda found, height, width: mask(found, height, width, 1, 1), "Twice too long"),
        (lambda found, height, width: mask(found, height, width, power=1), "times the side's length"),
        (lambda found, height, width: mask(found, height, width, half=0.5), "Half a pixel off"),
        (lambda found, height, width: mask(found, height, width, origin=found[0]), "from a corner"),
        (lambda found, height, width: mask(found, height, width, origin=found[2]), "from a corner"),
        (lambda found, height, width: mask(found, height, width, absolute=False), "Take the absolute value"),
        (lambda found, height, width: ~mask(found, height, width), "Inside and outside"),
    ],
    "check_merge": [
        (lambda sampled, covering: (sampled * covering[:, :, None]).amax(1), "The zeros win"),
        (lambda sampled, covering: filled(sampled, covering, 0).amax(1), "The zeros win"),
        (lambda sampled, covering: sampled.amax(1), "no effect"),
        (lambda sampled, covering: filled(sampled, covering, -1).amax(1), "not low enough"),
        (lambda sampled, covering: filled(sampled, covering).amax(2), "over the channels"),
        (lambda sampled, covering: filled(sampled, ~covering).amax(1), "wrong way round"),
        (lambda sampled, covering: filled(sampled, covering, torch.inf).amin(1), "smallest"),
        (lambda sampled, covering: filled(sampled, covering, 0).sum(1), "This is the sum"),
        (lambda sampled, covering: filled(sampled, covering, torch.nan).nanmean(1), "This is the mean"),
        (lambda sampled, covering: filled(sampled, covering).max(1), "values *and* indices"),
        (
            lambda sampled, covering: (sampled + ~covering[:, :, None] * -torch.inf).amax(1),
            "Everything is NaN",
        ),
        (merge_in_place, "you changed the sampled features"),
    ],
    "check_exchanged_shift": [
        (lambda shift, height, width: shift_seen(shift, width, height), "other way round"),
        (lambda shift, height, width: shift, "does not stay"),
        (lambda shift, height, width: shift.flip(0), "do not change places"),
        (lambda shift, height, width: shift_seen(shift, height, width).flip(0), "do not change places"),
        (lambda shift, height, width: shift * torch.tensor([0.5, 2.0]), "128x64 only"),
        (lambda shift, height, width: shift * width / height, "the same factor"),
        (lambda shift, height, width: shift * height / width, "the same factor"),
        (lambda shift, height, width: 2 * shift / torch.tensor([height, width]), "in grid coordinates"),
    ],
    "check_pixels": [
        (exchanged, "Height and width are exchanged"),
        (corners_aligned, "align_corners=True"),
        (half_pixel_missing, "Half a pixel is missing"),
        (half_pixel_added, "wrong way"),
        (lambda grid, height, width: grid.tolist(), "is a list"),
    ],
    "check_weighted_fit": [
        (lambda target, source, weights: fit(source, target, weights), "from the source to the target"),
        (lambda target, source, weights: fit(target, source, weights).T, "transposed"),
        (lambda target, source, weights: fit(target, source, weights * 0 + 1), "no effect"),
        (lambda target, source, weights: fit(target, source, weights**2), "weight squared"),
        (lambda *given: one_sided(*given, left=True), "one side of the equations"),
        (lambda *given: one_sided(*given, left=False), "one side of the equations"),
        (no_ones, "no shift"),
        (no_ones_padded, "no shift"),
    ],
    "check_map_at": [
        (no_half, "Half a pixel is missing"),
        (only_the_shift, "left the rest"),
        (all_six, "all six numbers"),
        (linear_kept, "Yours is the picture's"),
        (linear_upside_down, "other way round"),
        (one_scale, "One scale for both axes"),
        (scales_exchanged, "are exchanged"),
    ],
    "check_warp_faults": [
        (faults(ZERO, EXCHANGED, SIDES, DIRECTION, SOURCE), "A is not"),
        (faults(EXCHANGED, SIDES, ZERO, DIRECTION, SOURCE), "darker than middle grey"),
        (faults(EXCHANGED, ZERO, DIRECTION, SIDES, SOURCE), "colour of the other side"),
        (faults(EXCHANGED, ZERO, SIDES, SOURCE, DIRECTION), "D is not"),
        ({"A": EXCHANGED}, "no diagnosis yet for B"),
        (faults("noise", ZERO, SIDES, DIRECTION, SOURCE), "not one of the faults"),
        ({"F": ZERO}, "no picture 'F'"),
        ([EXCHANGED, ZERO, SIDES, DIRECTION, SOURCE], "a dict is wanted"),
    ],
}
