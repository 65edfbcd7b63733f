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

WRONG = {
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
