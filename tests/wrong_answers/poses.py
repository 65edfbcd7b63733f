"""Plausible wrong answers, each with words of the message meant for it."""

import torch

from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.pose import LEFT_RIGHT, flip_pose


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
        (nan_map, "full of NaN"),
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
}
