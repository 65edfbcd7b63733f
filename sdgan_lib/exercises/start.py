"""Checks of the exercises of notebook 00_start_here."""

from collections.abc import Callable

import torch
from torch import Tensor

from sdgan_lib.exercises._verdict import Wrong, compare, exercise, number
from sdgan_lib.metrics import RADIUS, SIGMA, WINDOW, fg_l1, l1, ssim_map
from sdgan_lib.pose import JOINT, JOINTS, visible


def _pictures(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two batches of random pictures ``[3, 3, 24, 16]`` in [-1, 1] and masks ``[3, 1, 24, 16]`` of the second's."""
    generator = torch.Generator().manual_seed(seed)
    first, second = 2 * torch.rand(2, 3, 3, 24, 16, generator=generator) - 1
    mask = torch.zeros(3, 1, 24, 16)
    for i in range(3):
        mask[i, :, 4 : 18 + i, 5 : 9 + i] = 1
    return first, second, mask


@exercise
def check_missing(answer: Callable[[Tensor], Tensor]) -> str:
    """``answer(pose)`` counts the missing joints of every pose ``[B, 18, 2]``: whole numbers ``[B]``."""
    generator = torch.Generator().manual_seed(1)
    pose = 60 * torch.rand(5, len(JOINTS), 2, generator=generator)
    pose[torch.rand(5, len(JOINTS), generator=generator) < 0.3] = torch.nan
    pose[:, 7] = torch.tensor([0.0, 0.0])  # a wrist in the corner: present
    there = visible(pose).sum(1)
    missing = len(JOINTS) - there
    mistakes = [
        (
            "you counted missing numbers, not missing joints: x and y of one joint are both NaN, so every joint "
            "counts twice.",
            2 * missing,
        ),
        ("you counted the joints that are there; the missing ones are wanted.", there),
        ("nothing was missing for you. NaN is equal to nothing, not even to itself: use isnan().", 0 * there),
        (
            "you counted over the whole batch; one number per pose is wanted: sum over the joints only (dim=1).",
            missing.sum(),
        ),
        (
            "you took a joint at (0, 0) for missing. That is a pixel, the top left one; missing is NaN.",
            missing + 1,
        ),
    ]
    compare(answer(pose.clone()), missing, mistakes, what="the count")
    return "right. NaN cannot be mistaken for a place in the picture, which is why it stands for 'missing'."


@exercise
def check_person_l1(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """``answer(generated, target, mask)``: mean absolute difference over the person's pixels, one per picture.

    Pictures ``[B, 3, H, W]`` in [-1, 1], mask ``[B, 1, H, W]`` of 0 and 1; wanted ``[B]``.
    """
    generated, target, mask = _pictures(2)
    expected = fg_l1(generated, target, mask)
    difference = (generated - target).abs()
    over_person = (difference * mask).sum((1, 2, 3))
    signed = ((generated - target) * mask).sum((1, 2, 3))
    area = mask.sum((1, 2, 3))
    mistakes = [
        (
            "you took the mean over the whole picture: the background counts too. Use the mask.",
            difference.mean((1, 2, 3)),
        ),
        (
            "you set the background's difference to 0 and then divided by all pixels: a small person would always "
            "look good. Divide by the number of the person's values.",
            (difference * mask).mean((1, 2, 3)),
        ),
        (
            "your numbers are three times too large: every pixel of the person has three colour values, and the "
            "mask has one. Divide by 3 times the mask's sum.",
            over_person / area,
        ),
        ("you took one mean over the whole batch; one number per picture is wanted.", expected.mean()),
        ("you forgot the absolute value: differences up and down cancel.", signed / (3 * area)),
    ]
    compare(answer(generated, target, mask), expected, mistakes, what="the difference")
    return "right. A metric that looks at the person alone cannot be flattered by an easy background."


@exercise
def check_flattered(answer: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``answer(target, mask)``: pictures ``[B, 3, H, W]`` in [-1, 1] that ``l1`` finds good, their people ruined.

    Ruined: ``fg_l1`` is above 0.3 and at least three times ``l1``, which is over the whole picture.
    """
    _, target, mask = _pictures(3)
    picture = answer(target.clone(), mask.clone())
    if not isinstance(picture, Tensor) or picture.shape != target.shape:
        raise Wrong(f"a picture of the target's shape {list(target.shape)} is wanted.")
    if not bool(((picture >= -1) & (picture <= 1)).all()):
        raise Wrong("your picture leaves the range from -1 to 1: no network could paint that.")
    person, whole = fg_l1(picture, target, mask), l1(picture, target)
    outside = fg_l1(picture, target, 1 - mask)
    if bool((person < 1e-6).all()) and bool((outside < 1e-6).all()):
        raise Wrong("this is the target itself: both numbers are 0. Ruin the person.")
    if bool((person < outside).all()):
        raise Wrong(
            "you ruined the background and kept the person. It is the other way round: the mask is 1 on the person."
        )
    if bool((outside > 1e-6).any()):
        raise Wrong("you changed the background as well; leave it alone and the flattery is perfect.")
    if bool((person < 0.3).any()):
        raise Wrong(f"the person is hardly hurt: fg_l1 is {person.min():.2f}. Ruin it for good (above 0.3).")
    if bool((person < 3 * whole).any()):
        raise Wrong("fg_l1 is less than three times l1.")
    return (
        f"right. fg_l1 is {person.mean():.2f}, l1 only {whole.mean():.2f}: a person that fills a fifth of the "
        "picture may be ruined almost unnoticed."
    )


def _walked(start: Tensor, end: Tensor, shares: Tensor, whole_ends: bool) -> Tensor:
    """Poses on the straight lines from ``start`` to ``end``; with ``whole_ends`` the first and last are these two."""
    poses = start + (end - start) * shares.view(-1, 1, 1)
    if whole_ends:
        poses[0], poses[-1] = start, end
    return poses


@exercise
def check_between(answer: Callable[[Tensor, Tensor, int], Tensor]) -> str:
    """``answer(start, end, count)``: ``count`` poses ``[count, 18, 2]`` on straight lines from one pose to another.

    The first is ``start`` and the last ``end``, as they are; between them a joint is missing (NaN) that either lacks.
    """
    generator = torch.Generator().manual_seed(4)
    start, end = 60 * torch.rand(2, len(JOINTS), 2, generator=generator)
    start[[JOINT["Relb"], JOINT["Lear"]]] = torch.nan
    end[[JOINT["nose"], JOINT["Lear"]]] = torch.nan
    count = 6
    given = start.clone(), end.clone()
    found = answer(*given, count)
    for name, now, before in zip(("start", "end"), given, (start, end), strict=True):
        if not torch.equal(now.nan_to_num(-1), before.nan_to_num(-1)):
            raise Wrong(f"your code changes the pose `{name}` that it was given; work on a copy (clone()).")
    steps = torch.linspace(0, 1, count)
    expected = _walked(start, end, steps, whole_ends=True)
    filled = torch.where(start.isnan(), end, start), torch.where(end.isnan(), start, end)
    mistakes: list[tuple[str, Tensor]] = [
        (
            "nearly: the first pose must be `start` itself and the last `end` itself. Yours lost the joints there that "
            "only the other pose lacks, as NaN times 0 is NaN too.",
            _walked(start, end, steps, whole_ends=False),
        ),
        (
            "you went from `end` to `start`; the other way is wanted.",
            _walked(end, start, steps, whole_ends=True),
        ),
        ("you went from `end` to `start`; the other way is wanted.", _walked(end, start, steps, False)),
        ("the time comes first: [count, 18, 2].", expected.transpose(0, 1)),
        ("the time comes first: [count, 18, 2].", _walked(start, end, steps, False).transpose(0, 1)),
        (
            "every pose is the one half way. The share of `end` must grow from 0 to 1.",
            _walked(start, end, torch.full((count,), 0.5), whole_ends=False),
        ),
    ]
    for whole_ends in (False, True):
        mistakes += [
            (
                "a missing joint became a number: with 0 for NaN it flies in from the picture's top left corner.",
                _walked(start.nan_to_num(0), end.nan_to_num(0), steps, whole_ends),
            ),
            (
                "you took a missing joint's place from the other pose. Nobody knows where it is: leave it NaN.",
                _walked(*filled, steps, whole_ends),
            ),
            (
                "your shares of `end` stop before 1: the last pose never arrives, or only by a jump. "
                "torch.linspace(0, 1, count) holds both ends.",
                _walked(start, end, torch.arange(count) / count, whole_ends),
            ),
            (
                "your first pose is a step away from `start` already; its share of `end` must be 0.",
                _walked(start, end, torch.arange(1, count + 1) / count, whole_ends),
            ),
            (
                "your poses are those between the two, without the two themselves: shares from 0 to 1 are wanted.",
                _walked(start, end, torch.arange(1, count + 1) / (count + 1), whole_ends),
            ),
            (
                "you made one pose too many: `count` counts the poses, not the steps between them.",
                _walked(start, end, torch.linspace(0, 1, count + 1), whole_ends),
            ),
        ]
    compare(found, expected, mistakes, what="the sequence")
    return "right. A joint that nobody saw stays missing, so the network is never told a wrong place."


@exercise
def check_window_ssim(answer: Callable[[Tensor, Tensor, Tensor], Tensor | float]) -> str:
    """``answer(a, b, weights)``: SSIM of two windows ``[11, 11]`` of values from 0 to 2, one number.

    ``weights`` ``[11, 11]`` are those of the Gaussian window and sum to 1.
    """
    generator = torch.Generator().manual_seed(5)
    noise = torch.rand(2, 4, WINDOW, WINDOW, generator=generator, dtype=torch.float64)
    contrast = torch.tensor([1.6, 0.8, 0.05, 1.2], dtype=torch.float64).view(-1, 1, 1)
    first = 0.3 + contrast * noise[0]
    second = 0.2 + contrast * (0.6 * noise[0] + 0.4 * noise[1])
    second[3] = 1.9 - first[3]  # bright where the other is dark: negative
    offset = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    bell = torch.exp(-0.5 * (offset / SIGMA) ** 2)
    weights = torch.outer(bell, bell) / bell.sum() ** 2
    pictures = [x[:, None].expand(-1, 3, -1, -1) - 1 for x in (first, second)]
    expected = ssim_map(*pictures)[:, 0, RADIUS, RADIUS]
    found = torch.stack(
        [
            number(answer(a.clone(), b.clone(), weights.clone()), "your SSIM").double()
            for a, b in zip(first, second, strict=True)
        ]
    )
    c1, c2 = 0.02**2, 0.06**2

    def mean(x: Tensor, w: Tensor = weights) -> Tensor:
        return (w * x).sum((1, 2))

    def moments(w: Tensor = weights) -> tuple[Tensor, ...]:
        a, b = mean(first, w), mean(second, w)
        va, vb = mean(first**2, w) - a**2, mean(second**2, w) - b**2
        return a, b, va, vb, mean(first * second, w) - a * b

    def both(a, b, va, vb, ab, c1=c1, c2=c2) -> tuple[Tensor, Tensor]:
        return (2 * a * b + c1) / (a**2 + b**2 + c1), (2 * ab + c2) / (va + vb + c2)

    a, b, va, vb, ab = moments()
    means, shapes = both(*moments())
    even = torch.full_like(weights, 1 / WINDOW**2)
    plain = both(*moments(even))
    raw = both(a, b, mean(first**2), mean(second**2), mean(first * second))
    bare = both(*moments(), c1=0, c2=0)
    deviations = both(a, b, va.sqrt(), vb.sqrt(), ab)
    uneven = both(a, b, va * WINDOW**2, vb * WINDOW**2, ab * WINDOW**2)
    mistakes = [
        (
            "every pixel of the window counts the same for you. Use the weights: the mean of x is (weights * x).sum().",
            plain[0] * plain[1],
        ),
        (
            "you left the means in: a variance is the mean of (a − mean of a)²; take them out of the covariance too.",
            raw[0] * raw[1],
        ),
        ("you left out C1 and C2, which keep the division stable where a window is flat.", bare[0] * bare[1]),
        (
            "you took standard deviations (with a root) where variances (without one) are wanted.",
            deviations[0] * deviations[1],
        ),
        (
            "your variances and covariance are sums over the window, not weighted means.",
            uneven[0] * uneven[1],
        ),
        (
            "only the first factor is there, which compares the means; the second compares contrast and structure.",
            means,
        ),
        ("only the second factor is there; the first one compares the means.", shapes),
        ("you added the two factors; they are multiplied.", means + shapes),
        ("you took the mean of the two factors; they are multiplied.", (means + shapes) / 2),
        (
            "in the denominator stand sums (a² + b², variance + variance), not products.",
            (2 * a * b + c1) / (2 * a**2 * b**2 + c1) * (2 * ab + c2) / (va * vb + c2),
        ),
        (
            "that is the correlation of the two windows. SSIM also compares their means and contrasts.",
            ab / (va * vb).sqrt(),
        ),
        ("that is the mean difference, an L1; follow the formula of SSIM.", mean((first - second).abs())),
    ]
    compare(found, expected, mistakes, what="the SSIM")
    return "right, and equal to the library's. Windows of opposite contrast give a number below 0."


@exercise
def check_wins(answer: Callable[[Tensor, Tensor], Tensor | float]) -> str:
    """``answer(network, references)``: on which share of the pairs the network beats every reference.

    SSIM of the network ``[N]`` and of the references ``[R, N]``; pairs without a score (NaN) are left out.
    """
    generator = torch.Generator().manual_seed(6)
    count = 40
    references = 0.6 * torch.rand(3, count, generator=generator)
    network = 0.15 + 0.6 * torch.rand(count, generator=generator)
    network[5] = references[:, 5].max()  # no better: not a win
    scored = torch.ones(count, dtype=torch.bool)
    scored[[3, 11, 30, 31]] = False
    network[~scored] = references[:, ~scored] = torch.nan
    found = number(answer(network.clone(), references.clone()))
    best = references.amax(0)
    wins = (network > best)[scored]
    expected = wins.float().mean()
    ties = network >= best
    mistakes = [
        (
            "a pair without a score (NaN) counts as lost for you; it says nothing, so leave it out.",
            (network > best).float().mean(),
        ),
        ("you counted the wins; their share of the scored pairs, from 0 to 1, is wanted.", wins.sum()),
        ("the share is wanted as a number from 0 to 1, not in per cent.", 100 * expected),
        ("a tie is no win: the network must be better, not as good.", ties[scored].float().mean()),
        ("a tie is no win, and a pair without a score is left out.", ties.float().mean()),
        (
            "you compared two means over all pairs, which is one verdict. Compare pair by pair, then take the mean.",
            (network.nanmean() > references.nanmean(1).max()).float(),
        ),
        ("that is how often the network loses.", 1 - expected),
    ]
    for pairs in (scored, torch.ones_like(scored)):
        one_by_one = (network > references)[:, pairs].float()
        mistakes += [
            (
                "you count a pair as soon as the network beats *one* reference; it must beat every one (the best).",
                one_by_one.amax(0).mean(),
            ),
            (
                "you compared with the references' mean; one of them may be better than that.",
                (network > references.mean(0))[pairs].float().mean(),
            ),
            (
                "you compared every reference by itself and took the mean over all; first ask whether the network "
                "beats all of them on this pair.",
                one_by_one.mean(),
            ),
        ]
    compare(found, expected, mistakes, what="the share")
    return "right. An answer that needs no learning is the least that a trained network has to beat, pair by pair."
