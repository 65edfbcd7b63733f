"""Plausible wrong answers, each with words of the message meant for it."""

import json

import torch

from sdgan_lib.heatmaps import decode, heatmaps
from sdgan_lib.pose import JOINT, LEFT_RIGHT, body_size, flip_pose, from_annotation, rescale_pose, visible


def joint_map(joint, height, width, sigma):
    return heatmaps(joint[None, None], height, width, sigma)[0, 0]


def squares(joint, height, width):
    y = torch.arange(float(height))[:, None] - joint[1]
    x = torch.arange(float(width)) - joint[0]
    return x**2 + y**2


def nan_map(joint, height, width, sigma):
    return torch.exp(-squares(joint, height, width) / (2 * sigma**2))


def added(joint, height, width, sigma):
    y = torch.arange(float(height))[:, None] - joint[1]
    x = torch.arange(float(width)) - joint[0]
    return torch.exp(-(x**2) / (2 * sigma**2)) + torch.exp(-(y**2) / (2 * sigma**2))


def mirrored_only(pose, width):
    return torch.stack([width - 1 - pose[:, 0], pose[:, 1]], dim=-1)


def upside_down(pose, width):
    swapped = pose[list(LEFT_RIGHT)]
    return torch.stack([swapped[:, 0], width - 1 - swapped[:, 1]], dim=-1)


def in_place(pose, width):
    pose[:, 0] = width - 1 - pose[:, 0]
    return pose[list(LEFT_RIGHT)]


def all_in_one(poses, height, width, sigma):
    return heatmaps(poses, height, width, sigma).amax(1)


def only_there(poses, height, width, sigma):
    return torch.stack([heatmaps(pose[visible(pose)][None], height, width, sigma)[0] for pose in poses])


def emptied(poses, height, width, sigma):
    maps = heatmaps(poses, height, width, sigma)
    maps[~visible(poses).all(-1)] = 0
    return maps


def nan_maps(poses, height, width, sigma):
    x, y = poses[..., 0, None, None], poses[..., 1, None, None]
    down = torch.arange(float(height))[:, None]
    return torch.exp(-((torch.arange(float(width)) - x) ** 2 + (down - y) ** 2) / (2 * sigma**2))


def far_away(poses, height, width, sigma):
    poses[poses.isnan()] = -1e4
    return heatmaps(poses, height, width, sigma)


def lists(line):
    _, ys, xs = line.split(": ")
    return json.loads(ys), json.loads(xs)


def two_rows(line, first):
    ys, xs = lists(line)
    rows = torch.tensor([ys, xs] if first == "y" else [xs, ys]).float()
    return rows.masked_fill(rows < 0, torch.nan)


def above_zero(line):
    ys, xs = lists(line)
    return torch.tensor([[x, y] if x > 0 and y > 0 else [torch.nan] * 2 for y, x in zip(ys, xs, strict=True)])


def joint_in(drawn):
    return decode(drawn[None, None])[0, 0]


def highest(drawn):
    index = int(drawn.argmax())
    return torch.tensor([index % drawn.shape[1], index // drawn.shape[1]]).float()


def shift(three):
    a, b, c = three
    return (a - c) / (2 * (a - 2 * b + c))


def no_logarithm(drawn):
    x, y = highest(drawn).int().tolist()
    return torch.stack([x + shift(drawn[y, x - 1 : x + 2]), y + shift(drawn[y - 1 : y + 2, x])])


def one_axis(drawn, axis):
    place = highest(drawn)
    place[axis] = joint_in(drawn)[axis]
    return place


def exchanged(drawn):
    place = highest(drawn)
    return place + (joint_in(drawn) - place).flip(0)


def row_by_height(drawn):
    row, column = divmod(int(drawn.argmax()), len(drawn))
    a, b, c = drawn[row, column - 1 : column + 2].log()
    d, e, f = drawn[row - 1 : row + 2, column].log()
    return torch.stack([column + (a - c) / (2 * (a - 2 * b + c)), row + (d - f) / (2 * (d - 2 * e + f))])


def mass(drawn):
    rows, columns = (torch.arange(float(length)) for length in drawn.shape)
    total = drawn.sum()
    return torch.stack([(drawn.sum(0) * columns).sum() / total, (drawn.sum(1) * rows).sum() / total])


def scales(from_size, to_size):
    return torch.tensor([to_size[1] / from_size[1], to_size[0] / from_size[0]])


def resized_in_place(pose, from_size, to_size):
    pose += 0.5
    pose *= scales(from_size, to_size)
    pose -= 0.5
    return pose


def corners_aligned(pose, from_size, to_size):
    new, old = torch.tensor(to_size[::-1]) - 1, torch.tensor(from_size[::-1]) - 1
    return pose * new / old


def sides(pose):
    right = pose[JOINT["Rhip"]] - pose[JOINT["Rsho"]]
    left = pose[JOINT["Lhip"]] - pose[JOINT["Lsho"]]
    return torch.stack([right, left])


def lengths(pose):
    return sides(pose).norm(dim=-1)


def across(pose):
    hips, shoulders = pose[JOINT["Rhip"]] - pose[JOINT["Lhip"]], pose[JOINT["Rsho"]] - pose[JOINT["Lsho"]]
    return torch.stack([hips, shoulders]).square().sum(-1).mean().sqrt()


def crossed(pose):
    one, other = pose[JOINT["Rhip"]] - pose[JOINT["Lsho"]], pose[JOINT["Lhip"]] - pose[JOINT["Rsho"]]
    return torch.stack([one, other]).square().sum(-1).mean().sqrt()


def up_to_the_neck(pose):
    hips = pose[[JOINT["Rhip"], JOINT["Lhip"]]]
    return (hips - pose[JOINT["neck"]]).square().sum(-1).mean().sqrt()


def half_counted(pose):
    return lengths(pose).nan_to_num(0.0).square().mean().sqrt()


WRONG: dict = {
    "check_joint_map": [
        (lambda j, h, w, s: joint_map(j.flip(0), h, w, s), "x and y are swapped"),
        (lambda j, h, w, s: joint_map(j, h, w, s).T, "lies on its side"),
        (lambda j, h, w, s: torch.exp(-squares(j, h, w) / s**2), "too narrow"),
        (lambda j, h, w, s: torch.exp(-squares(j, h, w) / (2 * s)), "σ is not squared"),
        (lambda j, h, w, s: torch.exp(squares(j, h, w) / (2 * s**2)), "minus sign is missing"),
        (lambda j, h, w, s: torch.exp(-squares(j, h, w).sqrt() / (2 * s**2)), "distance is not squared"),
        (added, "added the two bells"),
        (lambda j, h, w, s: joint_map(j, h, w, s) / (2 * torch.pi * s**2), "sums to 1"),
        (lambda j, h, w, s: joint_map(j - 0.5, h, w, s), "off by half a pixel"),
        (nan_map, "full of NaN"),
    ],
    "check_pose_maps": [
        (all_in_one, "cannot tell a wrist from a knee"),
        (lambda p, h, w, s: heatmaps(p, h, w, s).sum(1, keepdim=True), "cannot tell a wrist from a knee"),
        (lambda p, h, w, s: heatmaps(p, h, w, s)[0], "first pose only"),
        (lambda p, h, w, s: heatmaps(p, h, w, s).flatten(0, 1), "in one dimension"),
        (lambda p, h, w, s: heatmaps(p, h, w, s).movedim(1, -1), "joints come last"),
        (lambda p, h, w, s: heatmaps(p, h, w, s).transpose(0, 1), "joints come first"),
        (lambda p, h, w, s: heatmaps(p, h, w, s).mT, "lie on their side"),
        (lambda p, h, w, s: heatmaps(p.flip(-1), h, w, s), "x and y are swapped"),
        (only_there, "are left out"),
        (emptied, "has emptied all the maps"),
        (nan_maps, "full of NaN"),
        (lambda p, h, w, s: heatmaps(p.nan_to_num(0.0), h, w, s), "blob in the corner"),
        (lambda p, h, w, s: heatmaps(p.nan_to_num(-1.0), h, w, s), "blob in the corner"),
        (lambda p, h, w, s: heatmaps(p, h, w), "does not follow the argument sigma"),
        (lambda p, h, w, s: heatmaps(p, h, w, s / 2**0.5), "2 of 2σ²"),
        (far_away, "changed the pose that you were given"),
    ],
    "check_annotation": [
        (lambda line: from_annotation(*lists(line)).flip(-1), "x first in a pose: change the order"),
        (lambda line: torch.tensor(lists(line)).float().T, "And a −1 in the file means NaN"),
        (lambda line: torch.tensor(lists(line)[::-1]).float().T, "−1 is still there"),
        (lambda line: from_annotation(*lists(line)).nan_to_num(0.0), "missing joints are 0"),
        (above_zero, "0 is the first pixel"),
        (lambda line: two_rows(line, "x"), "one row of x and one of y"),
        (lambda line: two_rows(line, "y"), "with y first"),
        (lambda line: two_rows(line, "x").reshape(18, 2), "through all x, then"),
        (lambda line: two_rows(line, "y").reshape(18, 2), "through all y, then"),
    ],
    "check_peak": [
        (highest, "only whole numbers: the argmax"),
        (lambda m: highest(m).flip(0), "as (y, x)"),
        (lambda m: joint_in(m).flip(0), "x and y are swapped"),
        (lambda m: joint_in(m) - highest(m), "only the distance from the highest pixel"),
        (no_logarithm, "no logarithm"),
        (lambda m: 2 * highest(m) - joint_in(m), "the wrong way"),
        (lambda m: 2 * joint_in(m) - highest(m), "twice too large"),
        (lambda m: (joint_in(m) + highest(m)) / 2, "half as large"),
        (lambda m: one_axis(m, 0), "x is right, y is still"),
        (lambda m: one_axis(m, 1), "y is right, x is still"),
        (exchanged, "the shifts are exchanged"),
        (mass, "centre of mass"),
        (row_by_height, "row = index // width"),
        (lambda m: tuple(joint_in(m)), "is a tuple"),
    ],
    "check_flip": [
        (mirrored_only, "have not changed places"),
        (lambda pose, width: flip_pose(pose, width + 1), "off by one pixel"),
        (lambda pose, width: pose[list(LEFT_RIGHT)], "x is as before"),
        (upside_down, "y is mirrored"),
        (lambda pose, width: flip_pose(pose, 1), "about 0"),
        (lambda pose, width: flip_pose(pose, width).nan_to_num(0.0), "must stay NaN"),
        (in_place, "changed the pose that you were given"),
    ],
    "check_two_pixels": [
        (lambda a, b, s: 0.5 - s**2 * (b / a).log(), "wrong way round"),
        (lambda a, b, s: s**2 * (b / a).log(), "½ is missing"),
        (lambda a, b, s: 0.5 + s * (b / a).log(), "σ is not squared"),
        (lambda a, b, s: 0.5 + 2 * s**2 * (b / a).log(), "factor of 2 is wrong: log right"),
        (lambda a, b, s: 0.5 + s**2 * (b / a).log() / 2, "takes away the 2"),
        (lambda a, b, s: 0.5 + s**2 * (b - a), "no logarithm"),
        (lambda a, b, s: b / (a + b), "centre of mass"),
        (lambda a, b, s: float(b > a), "argmax"),
        (lambda a, b, s: "the middle", "one number is wanted"),
    ],
    "check_lost_sigma": [
        (0.1345, "distance in x only"),
        (0.269, "factor of 2 is wrong"),
        (0.2887, "logarithm to base 10"),
        (0.0362, "Take the root"),
        (0.15, "Go higher"),
        (0.5, "decode still finds the joint"),
        (-1.0, "a small number above 0"),
    ],
    "check_rescale": [
        (lambda p, old, new: p * scales(old, new), "that is x · scale"),
        (lambda p, old, new: rescale_pose(p, old[::-1], new[::-1]), "x goes with the width, so with size[1]"),
        (lambda p, old, new: rescale_pose(p, new, old), "upside down"),
        (lambda p, old, new: (p - 0.5) * scales(old, new) + 0.5, "the wrong sign"),
        (lambda p, old, new: (p + 0.5) * scales(old, new), "Come back"),
        (lambda p, old, new: p * scales(old, new) - 0.5, "was not added before scaling"),
        (corners_aligned, "outer edge to outer edge"),
        (lambda p, old, new: (p + 0.5) * new[0] / old[0] - 0.5, "each has its own"),
        (lambda p, old, new: (p + 0.5) * new[1] / old[1] - 0.5, "each has its own"),
        (lambda p, old, new: rescale_pose(p, old, new).round(), "is rounded"),
        (lambda p, old, new: rescale_pose(p, old, new).nan_to_num(0.0), "must stay NaN"),
        (resized_in_place, "changed the pose that you were given"),
    ],
    "check_torso": [
        (lambda pose: lengths(pose).nanmean(), "mean of the two distances"),
        (lambda pose: lengths(pose).square().nansum().sqrt(), "√2 too large"),
        (lambda pose: lengths(pose).sum(), "distances are added"),
        (lambda pose: lengths(pose).square().nanmean(), "this is an area"),
        (crossed, "of different sides"),
        (across, "across the body"),
        (up_to_the_neck, "up to the neck"),
        (lambda pose: sides(pose)[:, 1].square().nanmean().sqrt(), "counts y only"),
        (lambda pose: sides(pose).square().nanmean().sqrt(), "*sum* of dx² and dy²"),
        (lambda pose: lengths(pose)[0], "one side only"),
        (lambda pose: lengths(pose)[1], "one side only"),
        (lambda pose: lengths(pose).square().mean().sqrt(), "with Rhip missing the answer is NaN"),
        (half_counted, "counted as a distance of 0"),
        (lambda pose: body_size(pose).nan_to_num(0.0), "it must be NaN"),
        (lambda pose: sides(pose), "one number is wanted"),
    ],
}
