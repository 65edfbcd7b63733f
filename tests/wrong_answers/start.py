"""Plausible wrong answers, each with words of the message meant for it."""

import torch

from sdgan_lib.metrics import ssim_map


def changed(where):
    """The target's person or background turned to its negative."""
    return lambda target, mask: torch.where(where(mask) == 1, -target.sign(), target)


def walk(shares, start, end):
    """Poses on straight lines, with plain arithmetic: a joint missing at one end is missing everywhere."""
    return torch.stack([start + (end - start) * share for share in shares])


def whole(poses, start, end):
    """The same with the two poses themselves at both ends."""
    poses[0], poses[-1] = start, end
    return poses


def shares(count):
    return torch.linspace(0, 1, count)


def in_place(start, end, count):
    poses = whole(walk(shares(count), start, end), start, end)
    start[start.isnan()] = 0
    return poses


def filled(start, end, count):
    one, other = torch.where(start.isnan(), end, start), torch.where(end.isnan(), start, end)
    return walk(shares(count), one, other)


def ssim_of(mean=lambda x, w: (w * x).sum(), c1=0.0004, c2=0.0036, centred=True, root=False):
    """SSIM of a window, and its two factors, with this or that mistake."""

    def factors(a, b, w):
        ma, mb = mean(a, w), mean(b, w)
        ca, cb = (a - ma, b - mb) if centred else (a, b)
        va, vb, ab = mean(ca**2, w), mean(cb**2, w), mean(ca * cb, w)
        if root:
            va, vb = va.sqrt(), vb.sqrt()
        return (2 * ma * mb + c1) / (ma**2 + mb**2 + c1), (2 * ab + c2) / (va + vb + c2)

    return factors


def product(factors):
    return lambda a, b, w: torch.stack(factors(a, b, w)).prod()


def product_below(a, b, w):
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb, ab = (w * a**2).sum() - ma**2, (w * b**2).sum() - mb**2, (w * a * b).sum() - ma * mb
    return (2 * ma * mb + 4e-4) / (2 * ma**2 * mb**2 + 4e-4) * (2 * ab + 36e-4) / (va * vb + 36e-4)


def summed_variances(a, b, w):
    ma, mb = (w * a).sum(), (w * b).sum()
    va, vb, ab = ((w * x).sum() * 121 for x in ((a - ma) ** 2, (b - mb) ** 2, (a - ma) * (b - mb)))
    return (2 * ma * mb + 4e-4) / (ma**2 + mb**2 + 4e-4) * (2 * ab + 36e-4) / (va + vb + 36e-4)


def correlation(a, b, w):
    a, b = a - (w * a).sum(), b - (w * b).sum()
    return (w * a * b).sum() / ((w * a**2).sum() * (w * b**2).sum()).sqrt()


def at_the_corner(a, b, w):
    return ssim_map(*(x.expand(1, 3, -1, -1) - 1 for x in (a, b)))[0, 0, 0, 0]


WRONG = {
    "check_missing": [
        (lambda pose: pose.isnan().sum((1, 2)), "counts twice"),
        (lambda pose: (~pose.isnan().any(2)).sum(1), "the missing ones are wanted"),
        (lambda pose: (pose == torch.nan).any(2).sum(1), "equal to nothing"),
        (lambda pose: (pose.nan_to_num() == 0).all(2).sum(1), "top left"),
        (lambda pose: pose.isnan().any(2).sum(), "whole batch"),
        (lambda pose: int(pose.isnan().any(2).sum()), "is a int"),
        (lambda pose: pose.absent(), "AttributeError"),
    ],
    "check_person_l1": [
        (lambda made, target, mask: (made - target).abs().mean((1, 2, 3)), "the background counts too"),
        (lambda made, target, mask: ((made - target).abs() * mask).mean((1, 2, 3)), "divided by all pixels"),
        (
            lambda made, target, mask: ((made - target).abs() * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)),
            "three times too large",
        ),
        (
            lambda made, target, mask: ((made - target) * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)) / 3,
            "absolute value",
        ),
    ],
    "check_flattered": [
        (lambda target, mask: target, "the target itself"),
        (changed(lambda mask: 1 - mask), "the other way round"),
        (lambda target, mask: torch.where(mask == 1, -target.sign(), 0.5 * target), "leave it alone"),
        (lambda target, mask: torch.where(mask == 1, 0.9 * target, target), "hardly hurt"),
        (lambda target, mask: torch.where(mask == 1, -3 * target, target), "range"),
    ],
    "check_between": [
        (lambda a, b, n: walk(shares(n), a, b), "NaN times 0"),
        (lambda a, b, n: whole(walk(shares(n), b, a), b, a), "other way"),
        (lambda a, b, n: walk(shares(n), b, a), "other way"),
        (lambda a, b, n: walk(shares(n), a, b).transpose(0, 1), "time comes first"),
        (lambda a, b, n: whole(walk(shares(n), a, b), a, b).transpose(0, 1), "time comes first"),
        (lambda a, b, n: ((a + b) / 2).expand(n, -1, -1), "half way"),
        (lambda a, b, n: walk(shares(n), a.nan_to_num(0), b.nan_to_num(0)), "top left corner"),
        (
            lambda a, b, n: whole(
                walk(shares(n), a.nan_to_num(0), b.nan_to_num(0)), a.nan_to_num(0), b.nan_to_num(0)
            ),
            "top left corner",
        ),
        (filled, "from the other pose"),
        (lambda a, b, n: walk(torch.arange(n) / n, a, b), "never arrives"),
        (lambda a, b, n: whole(walk(torch.arange(n) / n, a, b), a, b), "by a jump"),
        (lambda a, b, n: walk(torch.arange(1, n + 1) / n, a, b), "a step away"),
        (lambda a, b, n: walk(torch.arange(1, n + 1) / (n + 1), a, b), "without the two themselves"),
        (lambda a, b, n: walk(shares(n + 1), a, b), "one pose too many"),
        (in_place, "work on a copy"),
        (lambda a, b, n: [a] * n, "is a list"),
    ],
    "check_window_ssim": [
        (product(ssim_of(mean=lambda x, w: x.mean())), "counts the same"),
        (product(ssim_of(centred=False)), "left the means in"),
        (product(ssim_of(c1=0, c2=0)), "left out C1 and C2"),
        (product(ssim_of(root=True)), "standard deviations"),
        (summed_variances, "not weighted means"),
        (lambda a, b, w: ssim_of()(a, b, w)[0], "only the first factor"),
        (lambda a, b, w: ssim_of()(a, b, w)[1], "only the second factor"),
        (lambda a, b, w: sum(ssim_of()(a, b, w)), "added the two factors"),
        (lambda a, b, w: sum(ssim_of()(a, b, w)) / 2, "mean of the two factors"),
        (product_below, "not products"),
        (correlation, "correlation"),
        (lambda a, b, w: (w * (a - b).abs()).sum(), "an L1"),
        (at_the_corner, "differs most at"),
        (lambda a, b, w: a, "one number is wanted"),
    ],
    "check_wins": [
        (lambda net, refs: (net > refs).all(0).float().mean(), "leave it out"),
        (lambda net, refs: (net > refs).any(0)[~net.isnan()].float().mean(), "must beat every one"),
        (lambda net, refs: (net > refs).any(0).float().mean(), "must beat every one"),
        (lambda net, refs: (net > refs.mean(0))[~net.isnan()].float().mean(), "references' mean"),
        (lambda net, refs: (net > refs.mean(0)).float().mean(), "references' mean"),
        (lambda net, refs: (net > refs.amax(0)).sum(), "counted the wins"),
        (lambda net, refs: 100 * (net > refs.amax(0))[~net.isnan()].float().mean(), "per cent"),
        (lambda net, refs: (net >= refs.amax(0))[~net.isnan()].float().mean(), "a tie is no win:"),
        (lambda net, refs: (net >= refs.amax(0)).float().mean(), "a tie is no win, and"),
        (lambda net, refs: (net > refs)[:, ~net.isnan()].float().mean(), "by itself"),
        (lambda net, refs: (net > refs).float().mean(), "by itself"),
        (lambda net, refs: float(net.nanmean() > refs.nanmean(1).max()), "one verdict"),
        (lambda net, refs: (net <= refs.amax(0))[~net.isnan()].float().mean(), "loses"),
        (lambda net, refs: net > refs, "one number is wanted"),
    ],
}
