"""Plausible wrong answers, each with words of the message meant for it."""

import torch

from sdgan_lib.metrics import frechet_distance


def shares(near=None, sure=True, of=lambda good, near, there: there.sum(1)):
    """The share of joints found again, with this or that mistake."""

    def answer(found, scores, pose, radius, least):
        there = ~pose.isnan().any(-1)
        close = (near or within)(found - pose, radius[:, None])
        good = close & (scores >= least) if sure else close
        return (good & there).sum(1) / of(good, close, there)

    return answer


def within(off, radius):
    return off.norm(dim=-1) <= radius


def by_score_alone(found, scores, pose, radius, least):
    there = ~pose.isnan().any(-1)
    return ((scores >= least) & there).sum(1) / there.sum(1)


def moments(x, less=1):
    off = x - x.mean(0)
    return x.mean(0), off.T @ off / (len(x) - less)


def frechet(root=None, less=1, twice=2, means=lambda d: d.square().sum()):
    """A Fréchet distance, with this or that mistake."""

    def answer(a, b):
        (ma, sa), (mb, sb) = moments(a, less), moments(b, less)
        shared = (root or by_eigenvalues)(sa, sb)
        return means(ma - mb) + sa.trace() + sb.trace() - twice * shared

    return answer


def by_eigenvalues(a, b):
    return torch.linalg.eigvals(a @ b).real.clamp(min=0).sqrt().sum()


def symmetric_root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T


def of_variances(a, b):
    means = (a.mean(0) - b.mean(0)).square().sum()
    return means + (a.std(0) - b.std(0)).square().sum()


def stages(
    coarse=torch.tanh, refined=lambda sum_: sum_.clamp(-1, 1), detach=True, difference=lambda d: d, start=None
):
    """PG2's two pictures, with this or that mistake."""

    def answer(one, two, source, heatmaps):
        first = coarse(one(torch.cat([source, heatmaps], 1)))
        fixed = first.detach() if detach else first
        added = difference(two(torch.cat([source, fixed], 1)))
        return first, refined(added + (fixed if start is None else start(source, fixed)))

    return answer


def nothing(source, coarse):
    return 0 * coarse


def reversed_stages(one, two, source, heatmaps):
    return stages()(one, two, source, heatmaps)[::-1]


def without_gradient(one, two, source, heatmaps):
    coarse, refined = stages()(one, two, source, heatmaps)
    return coarse.detach(), refined


def all_detached(one, two, source, heatmaps):
    return tuple(picture.detach() for picture in stages()(one, two, source, heatmaps))


def means(values, people, drawn, weigh=None, undefined=False, zero=False):
    """The mean of each draw, pair by pair, with this or that mistake."""
    found = []
    for row in drawn:
        chosen = torch.cat([values[people == who] for who in (weigh or list)(row.tolist())])
        if zero:
            chosen = chosen.nan_to_num()
        found.append(chosen.mean() if undefined else chosen.nanmean())
    return torch.stack(found)


def mean_of_means(values, people, drawn):
    own = torch.stack([values[people == who].nanmean() for who in range(5)])
    return own[drawn].mean(1)


def corners(pictures, values=(-1, 1), places=((0, 0), (-1, -1))):
    picture = pictures.clone()
    for value, (y, x) in zip(values, places, strict=True):
        picture[:, :, y, x] = value
    return picture


def in_place(pictures):
    pictures[:, :, 0, 0] = 1
    return pictures


WRONG = {
    "check_found_again": [
        (shares(of=lambda good, near, there: 17), "divide by all 17"),
        (shares(sure=False), "do not look at the scores"),
        (by_score_alone, "do not look at the distance"),
        (shares(of=lambda good, near, there: (near & there).sum(1)), "among those that are near"),
        (shares(near=lambda off, radius: off.square().sum(-1) <= radius), "squared distance"),
        (shares(near=lambda off, radius: (off.abs() <= radius[..., None]).all(-1)), "one by one"),
        (shares(of=lambda good, near, there: 1), "counted the joints"),
        (lambda *given: 1 - shares()(*given), "*not* found"),
        (lambda found, *_: found, "has shape"),
    ],
    "check_frechet": [
        (frechet(less=0), "divide by N"),
        (lambda a, b: (a.mean(0) - b.mean(0)).square().sum(), "the means alone"),
        (frechet(means=lambda d: 0), "distance of the means is missing"),
        (frechet(means=lambda d: d.norm()), "must be squared"),
        (frechet(twice=1), "subtracted twice"),
        (frechet(root=lambda a, b: (a * b).clamp(min=0).sqrt().trace()), "only the variances"),
        (frechet(root=lambda a, b: (a @ b).clamp(min=0).sqrt().trace()), "entries one by one"),
        (frechet(root=lambda a, b: (a @ b).trace().sqrt()), "root of the trace"),
        (frechet(root=lambda a, b: (symmetric_root(a) @ symmetric_root(b)).trace()), "unless they commute"),
        (of_variances, "only the variances"),
        (lambda a, b: frechet_distance(a, b) ** 0.5, "the root of the distance"),
        (lambda a, b: a.mean(0), "one number is wanted"),
    ],
    "check_two_stages": [
        (stages(coarse=lambda x: x), "no bounds"),
        (stages(coarse=lambda x: x.clamp(-1, 1)), "cuts off"),
        (reversed_stages, "the coarse one comes first"),
        (stages(start=nothing, refined=lambda x: x), "difference map by itself"),
        (stages(start=nothing, refined=torch.tanh), "difference map by itself"),
        (stages(refined=lambda x: x), "clamp it"),
        (stages(refined=torch.tanh), "must leave the coarse"),
        (stages(difference=torch.tanh), "bounded by a tanh"),
        (stages(difference=torch.neg), "subtracted"),
        (stages(start=lambda source, coarse: source), "added the difference to the source"),
        (stages(detach=False), "would change stage I"),
        (all_detached, "no gradient reaches stage II"),
        (without_gradient, "no gradient reaches stage I:"),
        (lambda one, two, source, heatmaps: one(torch.cat([source, heatmaps], 1)), "two pictures are wanted"),
    ],
    "check_redrawn_means": [
        (mean_of_means, "mean of people's means"),
        (lambda v, p, d: means(v, p, d, weigh=set), "counts once"),
        (lambda v, p, d: means(v, p, d, zero=True), "counts as 0"),
        (lambda v, p, d: means(v, p, d, undefined=True), "makes its draw undefined"),
        (lambda v, p, d: v[d].nanmean(1), "numbers of pairs"),
        (lambda v, p, d: v[d].mean(1), "NaN and all"),
        (lambda v, p, d: v.nanmean().expand(len(d)), "whoever was drawn"),
    ],
    "check_wider_range": [
        (lambda x: x.clone(), "nothing is changed"),
        (lambda x: (2 * x).clamp(-1, 1), "2 will do"),
        (lambda x: corners(x, values=(0.0, 0.01)), "no larger than before"),
        (lambda x: corners(x, values=(-0.4, 0.4)), "black pixel and a white one"),
        (lambda x: corners(x, places=((20, 10), (30, 20))), "spoil the windows"),
        (lambda x: corners(x, values=(-3, 3)), "leave the range"),
        (in_place, "work on a copy"),
    ],
}  # fmt: skip
