"""Checks of the exercises of notebook 01_pose_heatmaps."""

import math

import torch
from torch import Tensor

from sdgan_lib.exercises._verdict import Mistakes, Wrong, compare, exercise, name_mistake, number
from sdgan_lib.heatmaps import decode, heatmaps
from sdgan_lib.pose import LEFT_RIGHT, flip_pose, visible


@exercise
def check_joint_map(answer) -> str:
    """``my_joint_map(joint, height, width, sigma)``: the heat map ``[height, width]`` of one joint ``[2]`` (x, y).

    A missing joint (NaN) gives a map of zeros.
    """
    generator = torch.Generator().manual_seed(1)
    for height, width, sigma in ((12, 20, 2.5), (33, 17, 4.0), (64, 32, 3.0)):
        joint = (0.2 + 0.6 * torch.rand(2, generator=generator)) * torch.tensor([width, height])
        compare(
            answer(joint.clone(), height, width, sigma),
            _map(joint, height, width, sigma),
            _map_mistakes(joint, height, width, sigma),
            what=f"the map of {height}x{width} pixels",
        )
    empty = answer(torch.tensor([torch.nan, torch.nan]), 12, 20, 2.5)
    if isinstance(empty, Tensor) and empty.isnan().any():
        raise Wrong(
            "a missing joint gives a map full of NaN: one such map makes every number of the network NaN. "
            "Wanted is a map of zeros."
        )
    compare(empty, torch.zeros(12, 20), what="the map of a missing joint")
    return "right on tall, wide and empty maps. One blob per joint, and a network can read a pose."


def _map(joint: Tensor, height: int, width: int, sigma: float) -> Tensor:
    return heatmaps(joint[None, None], height, width, sigma)[0, 0]


def _map_mistakes(joint: Tensor, height: int, width: int, sigma: float) -> Mistakes:
    right = _map(joint, height, width, sigma)
    y2 = (torch.arange(float(height)) - joint[1]).square()[:, None]
    x2 = (torch.arange(float(width)) - joint[0]).square()
    d2 = y2 + x2
    return [
        ("the map lies on its side: wanted is [height, width], rows first.", right.T),
        (
            "x and y are swapped: the joint is (x, y), but the first index of a picture is the row, so y. "
            "Rows get the distances to joint[1].",
            _map(joint.flip(0), height, width, sigma),
        ),
        (
            "the blob is too narrow: the exponent is -d² / (2σ²), and the 2 is not there.",
            torch.exp(-d2 / sigma**2),
        ),
        (
            "σ is not squared: divide d² by 2σ², or the width does not grow as σ does.",
            torch.exp(-d2 / (2 * sigma)),
        ),
        (
            "the minus sign is missing, or stands elsewhere: the value must fall with the distance.",
            torch.exp(d2 / (2 * sigma**2)),
        ),
        (
            "the distance is not squared: a Gaussian falls with d², so it is round on top, not a spike.",
            torch.exp(-d2.sqrt() / (2 * sigma**2)),
        ),
        (
            "you added the two bells: the exponential of a sum is a product, so multiply them.",
            torch.exp(-y2 / (2 * sigma**2)) + torch.exp(-x2 / (2 * sigma**2)),
        ),
        (
            "the map sums to 1, as a probability does. A heat map is 1 at the joint: no factor 1 / (2πσ²).",
            right / (2 * torch.pi * sigma**2),
        ),
    ]


@exercise
def check_flip(answer) -> str:
    """``my_flip(pose, width)``: the pose ``[18, 2]`` of the mirrored picture, NaN where a joint is missing."""
    generator = torch.Generator().manual_seed(2)
    for width in (64, 37):
        pose = torch.rand(18, 2, generator=generator) * torch.tensor([width - 1, 100])
        pose[[1, 4, 16]] = torch.nan  # the neck, one wrist and one ear
        given = pose.clone()
        found = answer(given, width)
        compare(found, flip_pose(pose, width), _flip_mistakes(pose, width), what="the mirrored pose")
        if not torch.equal(given.nan_to_num(-1), pose.nan_to_num(-1)):
            raise Wrong(
                "the result is right, but you changed the pose that you were given: whoever uses it next gets a "
                "mirrored one. Work on a copy (pose.clone())."
            )
    return "both steps, and missing joints stay missing. Now the maps of the mirrored pose are the mirrored maps."


def _flip_mistakes(pose: Tensor, width: int) -> Mistakes:
    right = flip_pose(pose, width)
    renamed = pose[list(LEFT_RIGHT)]
    return [
        (
            "you mirrored x, but left and right joints have not changed places. The picture shows a person from "
            "the front, the names say from behind: see LEFT_RIGHT.",
            torch.stack([width - 1 - pose[:, 0], pose[:, 1]], dim=-1),
        ),
        (
            "off by one pixel: pixel 0 becomes the last pixel, which is width - 1, not width.",
            right + torch.tensor([1.0, 0.0]),
        ),
        (
            "left and right have changed places, but x is as before: the joints have new names and stand "
            "where they stood.",
            renamed,
        ),
        (
            "y is mirrored: the person stands on the head. x comes first in a pose, y second.",
            torch.stack([renamed[:, 0], width - 1 - renamed[:, 1]], dim=-1),
        ),
        (
            "x is mirrored about 0, so all joints are outside the picture, at negative x. Add width - 1.",
            right - torch.tensor([width - 1.0, 0.0]),
        ),
        (
            "missing joints have become numbers: they must stay NaN, or a joint appears from nowhere.",
            right.nan_to_num(0.0),
        ),
    ]


@exercise
def check_two_pixels(answer) -> str:
    """``my_two_pixels(left, right, sigma)``: the joint's place between two neighbouring pixels, 0 = left, 1 = right.

    ``left`` and ``right`` are the pixels' values (tensors of no dimension), those of a Gaussian of width ``sigma``.
    """
    generator = torch.Generator().manual_seed(3)
    cases = []
    for sigma in (0.8, 1.5, 3.0):
        places = torch.tensor([0.0, 0.5, 1.0, *torch.rand(6, generator=generator).tolist()])
        pose = torch.stack([9 + places, torch.full_like(places, 4.0)], dim=-1)[None]
        maps = heatmaps(pose, 9, 20, sigma)[0] * (0.3 + 0.7 * torch.rand(9, 1, 1, generator=generator))
        left, right, place = maps[:, 4, 9], maps[:, 4, 10], decode(maps[None])[0, :, 0] - 9
        found = [number(answer(a.clone(), b.clone(), sigma)) for a, b in zip(left, right, strict=True)]
        cases.append((torch.stack(found), left, right, torch.full_like(left, sigma), place))
    found, left, right, sigma, place = (torch.cat(values) for values in zip(*cases, strict=True))
    mistakes = _two_pixel_mistakes(left, right, sigma)
    compare(found, place, mistakes, what="the place between the two pixels", atol=2e-3)
    return "two pixels are enough when σ is known. `decode` does not know σ: that costs it a third pixel."


def _two_pixel_mistakes(left: Tensor, right: Tensor, sigma: Tensor) -> Mistakes:
    step = sigma**2 * (right / left).log()
    return [
        (
            "the sign is the wrong way round: a brighter right pixel must pull the joint to the right.",
            0.5 - step,
        ),
        (
            "½ is missing: two equal pixels must give the middle between them, and you give the left one.",
            step,
        ),
        (
            "σ is not squared: the logarithms of the two pixels differ by (2t - 1) / (2σ²).",
            0.5 + sigma * (right / left).log(),
        ),
        (
            "a factor of 2 is wrong: log right - log left = (t² - (1 - t)²) / (2σ²) = (2t - 1) / (2σ²).",
            0.5 + 2 * step,
        ),
        (
            "a factor of 2 is wrong: (t² - (1 - t)²) is 2t - 1, and the 2 before t takes away the 2 before σ².",
            0.5 + step / 2,
        ),
        (
            "no logarithm: a Gaussian is not a straight line. Its logarithm is a parabola, so take log first.",
            0.5 + sigma**2 * (right - left),
        ),
        (
            "this is the centre of mass of the two pixels. It is drawn to the middle, since a wide blob's two pixels "
            "are nearly equal. Use the shape of the Gaussian: take logarithms.",
            right / (left + right),
        ),
        (
            "this is the brighter of the two pixels, so only whole pixels: that is the argmax.",
            (right > left).float(),
        ),
    ]


LOST = torch.tensor([[[10.5, 20.5]]])  # the worst place: the corner where four pixels meet


@exercise(function=False)
def check_lost_sigma(answer) -> str:
    """``my_lost_sigma``: the σ in pixels, to within 3 %, below which ``decode`` loses a joint at (10.5, 20.5)."""
    sigma = number(answer).item()
    if not 0 < sigma < 100:
        raise Wrong(f"σ is a width in pixels, a small number above 0; {sigma:.4g} cannot be one.")
    log = math.log(1000)  # decode's threshold is 1/1000: right is d² / 2σ² = log with d² = 1/2
    mistakes = [
        (
            "you used the distance in x only. The nearest pixel is half a pixel away in x and in y: d² = ½² + ½².",
            math.sqrt(1 / 8 / log),
        ),
        (
            "a factor of 2 is wrong: d² = ½² + ½² = ½ (not 1), and it is divided by 2σ² (not by σ²).",
            math.sqrt(1 / 2 / log),
        ),
        (
            "that is the logarithm to base 10. The exponential has the natural logarithm: ln(0.001) = -6.9.",
            math.sqrt(1 / 4 / math.log10(1000)),
        ),
        ("that is σ². Take the root.", 1 / 4 / log),
    ]
    name_mistake(sigma, mistakes, same=lambda one, other: math.isclose(one, other, rel_tol=0.01))
    if _found(0.97 * sigma):
        raise Wrong(
            f"with σ = {0.97 * sigma:.3f} px, a little less than yours, decode still finds the joint. Go lower."
        )
    if not _found(1.03 * sigma):
        raise Wrong(
            f"with σ = {1.03 * sigma:.3f} px, a little more than yours, the joint is lost already. Go higher."
        )
    return (
        "yes: exp(-½ / 2σ²) = 0.001 gives σ = 0.19. `sigma_for` comes that low for maps 4 pixels high: far "
        "smaller than any map of this course."
    )


def _found(sigma: float) -> bool:
    return bool(visible(decode(heatmaps(LOST, 40, 30, sigma))).all())
