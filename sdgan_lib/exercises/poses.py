"""Checks of the exercises of notebook 01_pose_heatmaps."""

import json
import math

import torch
from torch import Tensor

from sdgan_lib.exercises._verdict import Mistakes, Wrong, compare, exercise, name_mistake, number
from sdgan_lib.heatmaps import decode, heatmaps, sigma_for
from sdgan_lib.pose import JOINT, LEFT_RIGHT, body_size, flip_pose, from_annotation, rescale_pose, visible


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
            "off by half a pixel: the centre of the first pixel is 0, not 0.5. arange already counts the centres.",
            _map(joint - 0.5, height, width, sigma),
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
def check_pose_maps(answer) -> str:
    """``my_pose_maps(poses, height, width, sigma)``: maps ``[B, 18, height, width]`` of a batch ``[B, 18, 2]``.

    A missing joint (NaN) gives a map of zeros.
    """
    generator = torch.Generator().manual_seed(4)
    for batch, height, width, sigma in ((3, 14, 9, 2.0), (1, 10, 16, 3.0)):
        poses = torch.rand(batch, 18, 2, generator=generator) * torch.tensor([width - 1, height - 1])
        poses[:, [2, 9, 16]] = torch.nan
        given = poses.clone()
        found = answer(given, height, width, sigma)
        right = heatmaps(poses, height, width, sigma)
        if isinstance(found, Tensor) and found.shape == right.shape and found.isnan().any():
            raise Wrong(
                "the map of a missing joint is full of NaN, and with it every number of the network. Wanted is a map "
                "of zeros: nan_to_num(0), applied to the maps and not to the joints."
            )
        compare(found, right, _pose_maps_mistakes(poses, height, width, sigma), what="the stack of maps")
        _unchanged(given, poses, "missing joints")
    return "a map for each joint of each pose, and an empty one for each missing joint. This is what networks get."


def _pose_maps_mistakes(poses: Tensor, height: int, width: int, sigma: float) -> Mistakes:
    def drawn(p: Tensor) -> Tensor:
        return heatmaps(p, height, width, sigma)

    right, there = drawn(poses), visible(poses)
    one_picture = (
        "all joints are in one map, so the network cannot tell a wrist from a knee: one map for each joint."
    )
    corner = (
        "a missing joint has a blob in the corner of the picture: NaN became a coordinate. Draw first, then make the "
        "NaN of the maps zeros."
    )
    return [
        (one_picture, right.sum(1)),
        (one_picture, right.amax(1)),
        (one_picture, right.sum(1, keepdim=True)),
        (one_picture, right.amax(1, keepdim=True)),
        (
            "these are the maps of the first pose only. Wanted is one stack for each pose of the batch.",
            right[0],
        ),
        (
            "batch and joints are in one dimension. Wanted are four dimensions: [B, 18, height, width].",
            right.flatten(0, 1),
        ),
        ("joints come last. A convolution wants them second: [B, 18, height, width].", right.movedim(1, -1)),
        ("joints come first, then the batch. Wanted is [B, 18, height, width].", right.transpose(0, 1)),
        ("the maps lie on their side: wanted is [B, 18, height, width], rows first.", right.mT),
        ("x and y are swapped: x goes across (columns), y goes down (rows).", drawn(poses.flip(-1))),
        (
            "the maps of missing joints are left out, so nobody knows which map belongs to which joint. Keep all 18, "
            "some of them empty.",
            right[:, there[0]],
        ),
        (
            "one missing joint has emptied all the maps of its pose. Only its own map must be empty.",
            right * there.all(-1)[:, None, None, None],
        ),
        (corner, drawn(poses.nan_to_num(0.0))),
        (corner, drawn(poses.nan_to_num(-1.0))),
        (
            "the width does not follow the argument sigma: this is the usual σ of the height, sigma_for(height).",
            heatmaps(poses, height, width, sigma_for(height)),
        ),
        (
            "the 2 of 2σ² is not there: the blobs are too narrow.",
            heatmaps(poses, height, width, sigma / math.sqrt(2)),
        ),
    ]


def _unchanged(given: Tensor, before: Tensor, where: str) -> None:
    """Raise :class:`Wrong` if the learner's function has changed what it was given (NaN equals NaN)."""
    if not torch.equal(given.nan_to_num(-1e6), before.nan_to_num(-1e6)):
        raise Wrong(
            f"the result is right, but you changed the pose that you were given ({where}): whoever uses it next "
            "gets another pose. Work on a copy (pose.clone())."
        )


@exercise
def check_annotation(answer) -> str:
    """``my_annotation(line)``: the pose ``[18, 2]`` of one line of an annotation file, NaN for a missing joint."""
    generator = torch.Generator().manual_seed(5)
    for missing in ([0, 14, 17], []):
        ys, xs = torch.randint(1, 120, (2, 18), generator=generator).tolist()
        xs[4], ys[9] = 0, 0  # at the picture's edge, and there
        for joint in missing:
            ys[joint] = xs[joint] = -1
        line = f"0042_c1s1_000007_01.jpg: {json.dumps(ys)}: {json.dumps(xs)}"
        compare(answer(line), from_annotation(ys, xs), _annotation_mistakes(ys, xs), what="the pose")
    return "(x, y), and NaN where the file says −1. Now no later line can take a missing joint for a place."


def _annotation_mistakes(ys: list[int], xs: list[int]) -> Mistakes:
    right = from_annotation(ys, xs)
    kept = torch.tensor([xs, ys]).float().T
    return [
        ("y comes first in the file, but x first in a pose: change the order.", right.flip(-1)),
        ("y comes first in the file, but x first in a pose. And a −1 in the file means NaN.", kept.flip(-1)),
        (
            "−1 is still there: the network takes it for a place, just outside the corner. A missing joint is NaN.",
            kept,
        ),
        (
            "missing joints are 0: that is the corner of the picture, a place. A missing joint is NaN.",
            kept.clamp(0),
        ),
        (
            "a joint with x = 0 or y = 0 is gone: 0 is the first pixel, a place like any other. Only −1 is missing.",
            kept.masked_fill(kept <= 0, torch.nan),
        ),
        (
            "a joint with x = 0 or y = 0 is gone: 0 is the first pixel, a place like any other. Only −1 is missing.",
            kept.masked_fill((kept <= 0).any(1, keepdim=True), torch.nan),
        ),
        ("this is [2, 18], one row of x and one of y. A pose has one row per joint: transpose it.", right.T),
        (
            "this is [2, 18], with y first. A pose is [18, 2], one row (x, y) per joint: swap the order, transpose.",
            right.flip(-1).T,
        ),
        (
            "reshape mixes the joints: it reads on through all x, then through all y. To turn [2, 18] into [18, 2], "
            "transpose (.T), or stack x and y along the last dimension.",
            right.T.reshape(18, 2),
        ),
        (
            "reshape mixes the joints: it reads on through all y, then through all x. To turn [2, 18] into [18, 2], "
            "transpose (.T), or stack x and y along the last dimension.",
            right.flip(-1).T.reshape(18, 2),
        ),
    ]


@exercise
def check_peak(answer) -> str:
    """``my_peak(map)``: the joint ``[2]`` (x, y) in a map ``[height, width]``, to a small fraction of a pixel.

    The highest pixel is not on the border. Neither σ nor the height of the blob is known, and far from the joint the
    map has a small constant value, as a network's maps have.
    """
    generator = torch.Generator().manual_seed(6)
    for height, width, sigma in ((33, 17, 2.5), (16, 40, 1.2), (24, 24, 1.8)):
        for _ in range(3):
            joint = 3 + torch.rand(2, generator=generator) * torch.tensor([width - 7, height - 7])
            high = 0.4 + 0.6 * torch.rand((), generator=generator)
            drawn = (high * _map(joint, height, width, sigma)).clamp_min(0.01)
            what = f"the joint in a map of {height}x{width} pixels"
            right = decode(drawn[None, None])[0, 0]
            found = answer(drawn.clone())
            if isinstance(found, Tensor) and found.isnan().any():
                raise Wrong(
                    "the result is NaN: you look at pixels where the map is flat, and 0/0 is NaN. argmax() counts row "
                    "by row, so row = index // width and column = index % width."
                )
            compare(found, right, _peak_mistakes(drawn, right), what=what, atol=1e-3)
    return (
        "three pixels in each direction are enough, whatever σ is. `decode` does the same for whole batches."
    )


def _peak_mistakes(drawn: Tensor, right: Tensor) -> Mistakes:
    height, width = drawn.shape
    index = int(drawn.argmax())
    pixel = torch.tensor([index % width, index // width])
    x, y = pixel.tolist()
    shift = right - pixel
    across, down = drawn[y, x - 1 : x + 2], drawn[y - 1 : y + 2, x]
    rows, columns = torch.arange(float(height)), torch.arange(float(width))

    def top(three: Tensor) -> Tensor:
        a, b, c = three
        return (a - c) / (2 * (a - 2 * b + c))

    mass = torch.stack([(drawn.sum(0) * columns).sum(), (drawn.sum(1) * rows).sum()]) / drawn.sum()
    return [
        (
            "that is the highest pixel, only whole numbers: the argmax. Now add the part of a pixel.",
            pixel.float(),
        ),
        (
            "that is the highest pixel, as (y, x). A joint is (x, y), and the part of a pixel is missing.",
            pixel.flip(0),
        ),
        ("x and y are swapped: a joint is (x, y), and x is the column.", right.flip(0)),
        (
            "the parts of a pixel are right, but this is only the distance from the highest pixel: add its place.",
            shift,
        ),
        (
            "no logarithm: the three pixels themselves lie on no parabola. Their logarithms do.",
            pixel + torch.stack([top(across), top(down)]),
        ),
        (
            "the shift goes the wrong way: a brighter right neighbour pulls the joint to the right.",
            pixel - shift,
        ),
        (
            "the shift is twice too large: the slope in the middle is (c − a) / 2, over two pixels.",
            pixel + 2 * shift,
        ),
        (
            "the shift is half as large as it should be: the curvature is a − 2b + c, with no ½.",
            pixel + shift / 2,
        ),
        (
            "x is right, y is still a whole pixel: do the same with the neighbours above and below.",
            torch.stack([right[0], pixel[1]]),
        ),
        (
            "y is right, x is still a whole pixel: do the same with the neighbours left and right.",
            torch.stack([pixel[0], right[1]]),
        ),
        (
            "the shifts are exchanged: the neighbours left and right, map[y, x ± 1], say something about x.",
            pixel + shift.flip(0),
        ),
        (
            "this is the centre of mass of the whole map. All the pixels that are not quite 0 pull it to the middle of "
            "the picture. Use the three highest pixels only.",
            mass,
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
        _unchanged(given, pose, "it was mirrored too")
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


@exercise
def check_rescale(answer) -> str:
    """``my_rescale(pose, from_size, to_size)``: the pose ``[18, 2]`` in the resized picture; sizes (height, width)."""
    generator = torch.Generator().manual_seed(7)
    for from_size, to_size in (((128, 64), (32, 16)), ((40, 60), (60, 30)), ((32, 16), (128, 64))):
        pose = torch.rand(18, 2, generator=generator) * torch.tensor([from_size[1] - 1, from_size[0] - 1])
        pose[[3, 15]] = torch.nan
        given = pose.clone()
        found = answer(given, from_size, to_size)
        mistakes = _rescale_mistakes(pose, from_size, to_size)
        compare(found, rescale_pose(pose, from_size, to_size), mistakes, what="the resized pose")
        _unchanged(given, pose, "it was resized too")
    return "smaller, larger, and stretched: edge goes to edge, and every joint stays on its spot of the body."


def _rescale_mistakes(pose: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]) -> Mistakes:
    right = rescale_pose(pose, from_size, to_size)
    new, old = torch.tensor(to_size[::-1]), torch.tensor(from_size[::-1])
    scale = new / old
    return [
        (
            "that is x · scale: everything lies too far left and up or right and down, by (1 − s) / 2 pixels. Scale "
            "distances from the picture's outer edge, which is at −0.5.",
            pose * scale,
        ),
        (
            "the sizes are (height, width), but a joint is (x, y): x goes with the width, so with size[1].",
            (pose + 0.5) * scale.flip(0) - 0.5,
        ),
        (
            "the sizes are (height, width), but a joint is (x, y): x goes with the width. And add half a pixel first.",
            pose * scale.flip(0),
        ),
        (
            "the scale is upside down: it is the new size divided by the old one.",
            (pose + 0.5) / scale - 0.5,
        ),
        (
            "the half pixel has the wrong sign: the outer edge is at −0.5, so a joint is x + 0.5 away from it.",
            (pose - 0.5) * scale + 0.5,
        ),
        (
            "this is the distance from the outer edge. Come back: coordinates count from the first pixel's centre.",
            (pose + 0.5) * scale,
        ),
        ("half a pixel is taken away, but it was not added before scaling.", pose * scale - 0.5),
        (
            "the half pixel is added and taken away before scaling, so nothing changes: add, scale, take away.",
            pose * scale + (scale - 1),
        ),
        (
            "this puts the first and the last pixel's centre onto the new first and last centre (size − 1). Pictures "
            "are resized from outer edge to outer edge.",
            pose * ((new - 1) / (old - 1)),
        ),
        (
            "one scale is used for x and y: a picture may be stretched, so each has its own.",
            (pose + 0.5) * scale[1] - 0.5,
        ),
        (
            "one scale is used for x and y: a picture may be stretched, so each has its own.",
            (pose + 0.5) * scale[0] - 0.5,
        ),
        (
            "the result is rounded: a joint may lie between pixels, and rounding costs up to half a pixel.",
            right.round(),
        ),
        ("missing joints have become numbers: they must stay NaN.", right.nan_to_num(0.0)),
    ]


@exercise
def check_torso(answer) -> str:
    """``my_torso(pose)``: body size of a pose ``[18, 2]``, the root mean square of its two hip-to-shoulder distances.

    With one side missing it is the other side's distance; with both missing, NaN.
    """
    generator = torch.Generator().manual_seed(8)
    poses = 60 * torch.rand(4, 18, 2, generator=generator)
    found = torch.stack([number(answer(pose.clone())) for pose in poses])
    compare(found, body_size(poses), _torso_mistakes(poses), what="the body size")
    for joint, side in (("Rhip", "right"), ("Lsho", "left")):
        pose = poses[0].clone()
        pose[JOINT[joint]] = torch.nan
        value, right = number(answer(pose)), body_size(pose)
        if value.isnan():
            raise Wrong(
                f"with {joint} missing the answer is NaN, but the other side is there and can be measured alone: take "
                "the mean over the sides that are there (nanmean)."
            )
        half = f"with {joint} missing, the {side} side counted as a distance of 0: leave it out of the mean."
        compare(
            value,
            right,
            [(half, right / math.sqrt(2)), (half, right / 2)],
            what=f"without {joint}, the body size",
        )
    for joint in ("Rhip", "Lsho"):
        poses[1, JOINT[joint]] = torch.nan
    value = number(answer(poses[1].clone()))
    if not value.isnan():
        raise Wrong(
            f"with both sides missing the answer is {value:.3g}. Nothing was measured, so it must be NaN: a number "
            "would be believed."
        )
    return "a ruler for every picture: lengths divided by it no longer depend on how near the camera was."


def _torso_mistakes(poses: Tensor) -> Mistakes:
    at = {name: poses[:, JOINT[name]] for name in ("Rhip", "Rsho", "Lhip", "Lsho", "neck")}

    def squares(*pairs: tuple[str, str]) -> Tensor:
        return torch.stack([(at[one] - at[other]).square().sum(-1) for one, other in pairs])

    sides = squares(("Rhip", "Rsho"), ("Lhip", "Lsho"))
    difference = torch.stack([at["Rhip"] - at["Rsho"], at["Lhip"] - at["Lsho"]])
    one_side = "this is one side only. Both sides count, or a person who turns sideways is measured badly."
    return [
        (
            "this is the mean of the two distances. Wanted is the root of the mean of their squares.",
            sides.sqrt().mean(0),
        ),
        ("the two squares are added, not averaged: that is √2 too large.", sides.sum(0).sqrt()),
        (
            "the two distances are added, not averaged. Wanted is the root of the mean of their squares.",
            sides.sqrt().sum(0),
        ),
        ("this is an area: take the root of the mean of the squares.", sides.mean(0)),
        (
            "hip and shoulder are of different sides: right hip to right shoulder, left hip to left shoulder.",
            squares(("Rhip", "Lsho"), ("Lhip", "Rsho")).mean(0).sqrt(),
        ),
        (
            "this measures across the body, shoulder to shoulder and hip to hip. Wanted is from hip to shoulder.",
            squares(("Rhip", "Lhip"), ("Rsho", "Lsho")).mean(0).sqrt(),
        ),
        (
            "this measures up to the neck. Wanted are two distances, each from a hip to the shoulder of its side.",
            squares(("Rhip", "neck"), ("Lhip", "neck")).mean(0).sqrt(),
        ),
        (
            "this counts y only: a person may lean, so x belongs to the distance too.",
            difference[..., 1].square().mean(0).sqrt(),
        ),
        (
            "the mean is taken over x and y too: a squared distance is the *sum* of dx² and dy².",
            (sides.mean(0) / 2).sqrt(),
        ),
        (one_side, sides[0].sqrt()),
        (one_side, sides[1].sqrt()),
    ]
