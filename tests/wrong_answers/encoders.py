"""Plausible wrong answers, each with words of the message meant for it."""

import torch
import torch.nn.functional as F
from torch import nn

from sdgan_lib.encoders import Encoder
from sdgan_lib.exercises.encoders import receptive_fields


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


def _share(out, dim=0):
    """An answer to "out of sight": ``out(step, reach)`` says where; pairs with a missing joint are left out."""

    def answer(source_poses, target_poses, side):
        step = target_poses - source_poses
        values = out(step, (side - 1) / 2).double()
        return values.masked_fill(step.isnan().any(-1), torch.nan).nanmean(dim)

    return answer


def _furthest(step):
    return step.abs().amax(-1)


def _plain_share(out):
    """The same without any care for missing joints."""
    return lambda start, end, side: out(_furthest(end - start), (side - 1) / 2).double().mean(0)


def _right_share(start, end, side):
    return _share(lambda step, reach: _furthest(step) > reach)(start, end, side)


def _share_in_place(start, end, side):
    end -= start
    return _right_share(torch.zeros_like(end), end, side)


def _pooled(start, end, side):
    furthest = _furthest(end - start)
    return (furthest > (side - 1) / 2)[furthest.isfinite()].double().mean()


def _halved(places=4, pad=(1, 1, 1, 1), mode="constant", kernel=lambda w: w, change=lambda y, x: y):
    """An answer to "halving": sixteen products, one for each place of the kernel."""

    def answer(x, weight):
        padded, weight = F.pad(x, pad, mode=mode), kernel(weight)
        rows, columns = ((n - 4) // 2 * 2 + 1 for n in padded.shape[2:])
        parts = [
            torch.einsum(
                "dc,bchw->bdhw", weight[:, :, i, j], padded[:, :, i : i + rows : 2, j : j + columns : 2]
            )
            for i in range(places)
            for j in range(places)
        ]
        return change(sum(parts), x)

    return answer


def _pad_in_place(x, weight):
    x[:, :, 0] = 0.0
    return _halved()(x, weight)


def _stride_one(x, weight):
    windows = F.pad(x, (1, 1, 1, 1)).unfold(2, 4, 1).unfold(3, 4, 1)
    return torch.einsum("dcij,bchwij->bdhw", weight, windows)


def _normed(dims=(2, 3), correction=0, root=lambda variance, eps: (variance + eps).sqrt(), centre=True):
    """An answer to "instance norm" with a choice of dims, variance, root and mean."""

    def answer(x, eps=1e-5):
        variance = x.var(dims, keepdim=True, correction=correction)
        return (x - x.mean(dims, keepdim=True) * centre) / root(variance, eps)

    return answer


def _norm_in_place(x, eps=1e-5):
    x -= x.mean((2, 3), keepdim=True)
    return x / (x.square().mean((2, 3), keepdim=True) + eps).sqrt()


def _own_eps(x, eps=1e-5):
    return _normed()(x, 1e-5)


WRONG: dict = {
    "check_receptive_fields": [
        (_sides(lambda r, j, k, s: (r + k - 1, j)), "jump is missing"),
        (_sides(lambda r, j, k, s: (r + (k - 1) * j * s, j * s)), "grew too early"),
        (_sides(lambda r, j, k, s: (r + k * j, j * s)), "neighbours are new"),
        (_sides(lambda r, j, k, s: (r + (k - 1) * j, s)), "*product* of all strides"),
        (_sides(lambda r, j, k, s: ((r - 1) * s + k, j)), "walks back"),
        (_times_stride, "multiplied the side by the stride"),
        (_only_last, "Only one number"),
        (lambda kernels, strides: [1, *receptive_fields(kernels, strides)], "begins with 1"),
        (lambda kernels, strides: [(r, 1) for r in receptive_fields(kernels, strides)], "without the jumps"),
    ],
    "check_out_of_sight": [
        (_share(lambda step, reach: _furthest(step) <= reach), "joints *in* sight"),
        (lambda *given: 100 * _right_share(*given), "Your numbers are in %"),
        (_plain_share(lambda f, reach: f > reach), "counted as in sight"),
        (_plain_share(lambda f, reach: ~(f <= reach)), "counted as out of sight"),
        (lambda *given: _right_share(*given).nan_to_num(0), "got 0. Nobody knows"),
        (_share(lambda step, reach: step.norm(dim=-1) > reach), "a *square*, not a circle"),
        (_share(lambda step, reach: step.abs().amin(-1) > reach), "one of them is enough"),
        (_share(lambda step, reach: step.abs().sum(-1) > reach), "the larger of the two"),
        (_share(lambda step, reach: step.amax(-1) > reach), "take the absolute value"),
        (_share(lambda step, reach: _furthest(step) > 2 * reach + 1), "compared with the whole side"),
        (_share(lambda step, reach: _furthest(step) > reach + 0.5), "Half a pixel too much"),
        (_share(lambda step, reach: _furthest(step) >= reach), "is still in the field"),
        (_pooled, "average over pairs only"),
        (lambda *given: _right_share(*given).nanmean(), "average over pairs only"),
        (_share(lambda step, reach: _furthest(step) > reach, dim=1), "One number for each *pair*"),
        (_share_in_place, "changes the poses"),
    ],
    "check_halving": [
        (lambda x, weight: F.conv2d(x, weight, stride=2, padding=1), "torch's own convolution"),
        (_pad_in_place, "changes the features"),
        (_halved(pad=(0, 0, 0, 0)), "that without padding: (8 − 4) / 2 + 1 = 3 rows"),
        (_stride_one, "that of stride 1"),
        (_halved(pad=(2, 2, 2, 2)), "two rows of zeros on each side"),
        (_halved(pad=(0, 2, 0, 2)), "one pixel too far. "),
        (_halved(pad=(2, 0, 2, 0)), "one pixel too far back"),
        (_halved(mode="replicate"), "copies of the rim"),
        (_halved(kernel=lambda w: w.flip(2, 3)), "turned round"),
        (_halved(kernel=lambda w: w.mT), "Rows and columns of the kernel"),
        (_halved(change=lambda y, x: y / 16), "the sixteen places"),
        (_halved(change=lambda y, x: y / x.shape[1]), "averaged over the input channels"),
        (_halved(change=lambda y, x: y / x.shape[1] / 16), "over kernel and input channels"),
        (_halved(change=lambda y, x: y[:1]), "Only the first picture"),
        (_halved(change=lambda y, x: y[0]), "batch dimension is lost"),
        (_halved(places=3), "you stop at 3"),
    ],
    "check_instance_norm": [
        (_normed(correction=1), "The variance is the unbiased one"),
        (_normed(root=lambda variance, eps: variance.sqrt()), "eps is missing"),
        (_normed(correction=1, root=lambda variance, eps: variance.sqrt()), "eps is missing"),
        (_normed(root=lambda variance, eps: variance.sqrt() + eps), "eps stands outside the root"),
        (_normed(correction=1, root=lambda v, eps: v.sqrt() + eps), "eps stands outside the root"),
        (_normed(root=lambda variance, eps: variance + eps), "divided by the variance"),
        (_normed(centre=False), "The mean is still there"),
        (_normed(root=lambda variance, eps: 1.0), "Only the mean is gone"),
        (_normed(dims=(0, 2, 3)), "batch normalisation"),
        (_normed(dims=(1, 2, 3)), "layer normalisation"),
        (_normed(dims=(0, 1, 2, 3)), "of the whole tensor"),
        (_normed(dims=(3,)), "along the rows only"),
        (_normed(dims=(2,)), "down the columns only"),
        (_normed(dims=(1,)), "channels of one pixel"),
        (_norm_in_place, "changes x itself"),
        (_own_eps, "not a number of your own"),
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
        (_streams(_target, _own), "in the wrong order"),
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
