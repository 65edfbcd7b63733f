"""Plausible wrong answers, each with words of the message meant for it."""

import torch
from torch import nn

from sdgan_lib.encoders import Encoder


def _sides(step):
    """An answer that follows (r, j) with a wrong step."""

    def answer(kernels, strides):
        r, j, sides = 1, 1, []
        for k, s in zip(kernels, strides, strict=True):
            r, j = step(r, j, k, s)
            sides.append(r)
        return sides

    return answer


def _times_stride(kernels, strides):
    sides = [kernels[0]]
    for s in strides[1:]:
        sides.append(sides[-1] * s)
    return sides


def _only_last(kernels, strides):
    r, j = 1, 1
    for k, s in zip(kernels, strides, strict=True):
        r, j = r + (k - 1) * j, j * s
    return r


COUNT = "features of level 2 that see one pixel"
RIGHT = {
    "source picture": {"one stream", "appearance"},
    "source pose": {"one stream", "appearance"},
    "target pose": {"one stream", "pose"},
    COUNT: 9,
}


def _streams(appearance_input, pose_input, shared=False, last=False, hidden=False):
    """A two-stream answer whose inputs are chosen by functions of (image, source maps, target maps)."""

    class Streams(nn.Module):
        def __init__(self, channels, pose_channels):
            super().__init__()
            widths = [
                f(*(torch.zeros(1, c, 4, 4) for c in (3, 18, 18))).shape[1]
                for f in (appearance_input, pose_input)
            ]
            first = Encoder(widths[0], channels)
            second = first if shared else Encoder(widths[1], pose_channels)
            if hidden:
                self.encoders = [first, second]  # a plain list: not registered
            else:
                self.encoders = nn.ModuleList([first, second])

        def forward(self, *inputs):
            found = [
                e(f(*inputs)) for e, f in zip(self.encoders, (appearance_input, pose_input), strict=True)
            ]
            return [levels[-1] for levels in found] if last else found

    return Streams


def _own(image, source, target):
    return torch.cat([image, source], 1)


def _target(image, source, target):
    return target


def _pair(change):
    """A random x and a y made from it."""

    def answer():
        x = torch.randn(1, 8, 6, 4, generator=torch.Generator().manual_seed(0))
        return x, change(x)

    return answer


WRONG: dict = {
    "check_receptive_fields": [
        (_sides(lambda r, j, k, s: (r + k - 1, j)), "jump is missing"),
        (_sides(lambda r, j, k, s: (r + (k - 1) * j * s, j * s)), "grew too early"),
        (_sides(lambda r, j, k, s: (r + k * j, j * s)), "neighbours are new"),
        (_sides(lambda r, j, k, s: (r + (k - 1) * j, s)), "*product* of all strides"),
        (_sides(lambda r, j, k, s: ((r - 1) * s + k, j)), "walks back"),
        (_times_stride, "multiplied the side by the stride"),
        (_only_last, "Only one number"),
    ],
    "check_stream_inputs": [
        (RIGHT | {"target pose": {"one stream", "appearance", "pose"}}, "never gets the target's heat maps"),
        (RIGHT | {"source pose": {"one stream", "pose"}}, "*own* heat maps"),
        (RIGHT | {"source picture": {"appearance"}}, "all 39 channels"),
        (RIGHT | {"source pose": {"one stream", "appearance", "pose"}}, "and nothing else"),
        (RIGHT | {COUNT: 144}, "the other way round"),
        (RIGHT | {COUNT: 3}, "How many in the plane"),
        (RIGHT | {COUNT: 1}, "receptive fields overlap"),
        (RIGHT | {COUNT: 12}, "The count is not 12."),
        (RIGHT | {COUNT: torch.ones(2)}, "one number is wanted"),
    ],
    "check_two_streams": [
        (_streams(lambda i, s, t: torch.cat([i, s, t], 1), _target), "change with the target pose"),
        (_streams(lambda i, s, t: torch.cat([i, t], 1), _target), "change with the target pose"),
        (_streams(lambda i, s, t: i, _target), "does not see the source pose"),
        (_streams(_own, lambda i, s, t: s), "do not depend on the target pose"),
        (_streams(_own, lambda i, s, t: torch.cat([s, t], 1)), "also sees the source's pose"),
        (_streams(_own, lambda i, s, t: torch.cat([i * 0, t], 1), shared=True), "share weights"),
        (_streams(_own, _target, last=True), "one tensor per level"),
        (_streams(_own, _target, hidden=True), "no weights that can learn"),
    ],
    "check_blind_pair": [
        (_pair(lambda x: x), "nothing to forget"),
        (_pair(lambda x: x + 2.0), "same number to all eight channels"),
        (_pair(lambda x: 3.0 * x), "common factor"),
        (_pair(lambda x: -x), "changed the sign"),
        (_pair(lambda x: x + torch.randn(1, 1, 6, 4)), "from pixel to pixel"),
    ],
}
