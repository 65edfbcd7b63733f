"""Checks of the exercises of notebook 06_comparing_systems."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sdgan_lib.estimation import COUNTED, LEAST_SCORE, Found, pck, torso_length
from sdgan_lib.exercises._verdict import Wrong, compare, exercise, number
from sdgan_lib.metrics import DATA_RANGE, frechet_distance, ssim
from sdgan_lib.pose import JOINT, JOINTS, visible

PIXELS = 2
"""How many pixels of a picture may change in the exercise ``wider_range``."""

LOSS = 0.002
"""By how much they may lower the SSIM of a fixed range."""


@exercise
def check_found_again(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """``answer(found, scores, pose, radius, least)``: the share of a pose's joints that were found again, ``[B]``.

    ``found`` ``[B, 17, 2]`` in pixels with ``scores`` ``[B, 17]``, the true ``pose`` ``[B, 17, 2]`` with NaN for a
    missing joint, and how far off a joint may be, ``radius`` ``[B]`` in pixels.
    """
    generator = torch.Generator().manual_seed(1)
    pose = torch.rand(6, len(JOINTS), 2, generator=generator) * torch.tensor([60.0, 120.0])
    pose[torch.rand(6, len(JOINTS), generator=generator) < 0.2] = torch.nan
    trunk = [JOINT[name] for name in ("neck", "Rhip", "Lhip")]
    pose[:, trunk] = torch.tensor([[30.0, 25.0], [25.0, 60.0], [36.0, 60.0]]) * torch.linspace(
        0.5, 1.5, 6
    ).view(6, 1, 1)
    radius = 0.25 * torso_length(pose)
    step = torch.randn(6, len(JOINTS), 2, generator=generator)
    step = step / step.norm(dim=-1, keepdim=True)
    off = radius[:, None] * 1.9 * torch.rand(6, len(JOINTS), generator=generator)
    found = pose.nan_to_num(20.0) + off[..., None] * step
    scores = torch.rand(6, len(JOINTS), generator=generator)
    expected = pck(Found(found, scores), pose)
    counted = list(COUNTED)
    found, scores, pose = found[:, counted], scores[:, counted], pose[:, counted]
    there, sure = visible(pose), scores >= LEAST_SCORE
    distance, apart = (found - pose).norm(dim=-1), (found - pose).abs()
    near = distance <= radius[:, None]
    good, joints = near & sure, there.sum(1).double()
    mistakes = [
        (
            "you divide by all 17 joints. A joint that the pose does not have cannot be found again: divide by the "
            "number of those that it has.",
            good.sum(1) / len(counted),
        ),
        (
            "you do not look at the scores. The network names a place for every joint, also for one that it does not "
            "see: below `least` it counts as not found.",
            near.sum(1) / joints,
        ),
        (
            "you do not look at the distance: a joint counts only within the radius.",
            (sure & there).sum(1) / joints,
        ),
        (
            "you ask which joints were seen among those that are near; all joints of the pose count.",
            good.sum(1) / near.sum(1),
        ),
        (
            "you compare a squared distance with the radius: take the root.",
            ((distance.square() <= radius[:, None]) & sure).sum(1) / joints,
        ),
        (
            "you compare x and y one by one. The distance is that of the two places, the root of dx² + dy².",
            ((apart <= radius[:, None, None]).all(-1) & sure).sum(1) / joints,
        ),
        ("you took one share over the whole batch; one per picture is wanted.", good.sum() / joints.sum()),
        ("you counted the joints; their share, from 0 to 1, is wanted.", good.sum(1)),
        ("that is the share of joints that were *not* found.", 1 - expected),
    ]
    given = found.clone(), scores.clone(), pose.clone(), radius.clone(), LEAST_SCORE
    compare(answer(*given), expected, mistakes, what="the share")
    return "right. An outside eye says whether the person stands as asked; it does not say whether it is the person."


def _moments(x: Tensor, less: int = 1) -> tuple[Tensor, Tensor]:
    """Mean and covariance of features ``[N, D]``, the latter divided by ``N - less``."""
    off = x - x.mean(0)
    return x.mean(0), off.T @ off / (len(x) - less)


def _root(matrix: Tensor) -> Tensor:
    """The symmetric root of a covariance."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T


@exercise
def check_frechet(answer: Callable[[Tensor, Tensor], Tensor | float]) -> str:
    """``answer(a, b)``: Fréchet distance between the normal distributions of features ``[N, D]`` and ``[M, D]``."""
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(40, 5, generator=generator).double() @ torch.randn(5, 5, generator=generator).double()
    b = torch.randn(25, 5, generator=generator).double() @ torch.randn(5, 5, generator=generator).double() + 1
    expected = torch.tensor(frechet_distance(a, b))
    (mean_a, of_a), (mean_b, of_b) = _moments(a), _moments(b)
    apart = (mean_a - mean_b).square().sum()
    spread = of_a.trace() + of_b.trace()
    shared = torch.linalg.eigvals(of_a @ of_b).real.clamp(min=0).sqrt().sum()
    by_n = [_moments(x, less=0)[1] for x in (a, b)]
    mistakes = [
        (
            "your covariances divide by N; N − 1 is wanted (torch.cov does so).",
            apart
            + by_n[0].trace()
            + by_n[1].trace()
            - 2 * torch.linalg.eigvals(by_n[0] @ by_n[1]).real.clamp(min=0).sqrt().sum(),
        ),
        ("that is the distance of the means alone; the spreads are missing.", apart),
        ("the spreads are right; the distance of the means is missing.", spread - 2 * shared),
        ("the means' distance must be squared: |m₁ − m₂|².", apart.sqrt() + spread - 2 * shared),
        ("the root is subtracted twice: S₁ + S₂ − 2 (S₁S₂)^½.", apart + spread - shared),
        (
            "(S₁S₂)^½ is the root of a *matrix*, not of its entries one by one.",
            apart + spread - 2 * (of_a @ of_b).clamp(min=0).sqrt().trace(),
        ),
        (
            "you took the root of the trace; the trace of the root is wanted: first the roots of the eigenvalues, then "
            "their sum.",
            apart + spread - 2 * (of_a @ of_b).trace().sqrt(),
        ),
        (
            "you multiplied the roots of S₁ and S₂. That is not the root of their product, unless they commute.",
            apart + spread - 2 * (_root(of_a) @ _root(of_b)).trace(),
        ),
        (
            "only the variances are in it. Features vary together, too: the product S₁S₂ is that of whole matrices.",
            apart + (of_a.diag().sqrt() - of_b.diag().sqrt()).square().sum(),
        ),
        ("that is the root of the distance; papers print it squared.", expected.sqrt()),
    ]
    compare(number(answer(a.clone(), b.clone())), expected.float(), mistakes, what="the distance", rtol=1e-3)
    return "right, and equal to the library's. With Inception's 2048 features in place of five it is FID."


@exercise
def check_two_stages(
    answer: Callable[[nn.Module, nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]],
) -> str:
    """``answer(stage_one, stage_two, source, heatmaps)``: PG2's coarse and refined pictures ``[B, 3, H, W]``.

    ``stage_one`` reads 21 channels, source ⊕ heat maps, and ``stage_two`` 6, source ⊕ coarse picture; both give 3
    channels of any range. The coarse picture is kept in [-1, 1] by tanh, the refined one by clamping, and it does not
    change stage I.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        one, two = nn.Conv2d(21, 3, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1)
        source, heatmaps = 2 * torch.rand(2, 3, 16, 8) - 1, torch.rand(2, 18, 16, 8)
    with torch.no_grad():
        one.weight *= 3
        two.weight *= 3
    found = answer(one, two, source.clone(), heatmaps.clone())
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise Wrong(f"two pictures are wanted, the coarse one and the refined one; you gave {found!r:.60}")
    with torch.no_grad():
        made = one(torch.cat([source, heatmaps], 1))
        coarse = made.tanh()
        difference = two(torch.cat([source, coarse], 1))
    compare(
        found[0],
        coarse,
        [
            ("the coarse picture has no bounds: stage I's output goes through tanh.", made),
            ("clamping cuts off what stage I could still learn from; the coarse picture is its tanh.",
             made.clamp(-1, 1)),
            ("that is the refined picture; the coarse one comes first.", (coarse + difference).clamp(-1, 1)),
        ],
        what="the coarse picture",
    )  # fmt: skip
    compare(
        found[1],
        (coarse + difference).clamp(-1, 1),
        [
            *(
                ("that is the difference map by itself: it is *added* to the coarse picture.", alone)
                for alone in (difference, difference.tanh(), difference.clamp(-1, 1))
            ),
            ("the sum leaves the range from −1 to 1: clamp it.", coarse + difference),
            (
                "a tanh over the sum darkens and pales what was right already: a difference of 0 must leave the coarse "
                "picture as it is. Clamp.",
                (coarse + difference).tanh(),
            ),
            (
                "your difference map is bounded by a tanh; it has any range, and the sum is clamped.",
                (coarse + difference.tanh()).clamp(-1, 1),
            ),
            ("you subtracted the difference map; it is added.", (coarse - difference).clamp(-1, 1)),
            ("you added the difference to the source; it refines the coarse picture.",
             (source + difference).clamp(-1, 1)),
        ],
        what="the refined picture",
    )  # fmt: skip
    if not found[1].requires_grad:
        raise Wrong("no gradient reaches stage II: only the coarse picture is to be detached.")
    (gradient,) = torch.autograd.grad(found[1].sum(), [one.weight], allow_unused=True)
    if gradient is not None:
        raise Wrong(
            "the refined picture's loss would change stage I, too: detach the coarse picture, both where stage II "
            "reads it and where the difference is added."
        )
    if not found[0].requires_grad:
        raise Wrong(
            "no gradient reaches stage I: give back the coarse picture itself, and detach it for stage II."
        )
    return "right. Stage I answers for the whole, stage II only for what is missing."


@exercise
def check_redrawn_means(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> str:
    """``answer(values, people, drawn)``: the mean of the values of each draw of people, ``[R]``.

    ``values`` ``[N]`` of pairs (NaN: undefined), who is on each pair, ``people`` ``[N]`` from 0 to P - 1, and R
    draws of P people with replacement, ``drawn`` ``[R, P]``. Whoever is drawn twice brings all their pairs twice.
    """
    generator = torch.Generator().manual_seed(4)
    people = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4])
    values = torch.rand(5, generator=generator)[people] + 0.3 * torch.rand(len(people), generator=generator)
    values[[2, 9, 13, 14]] = torch.nan
    drawn = torch.randint(5, (7, 5), generator=generator)
    drawn[0], drawn[1] = torch.arange(5), torch.tensor([3, 3, 3, 1, 1])
    times = torch.stack([torch.bincount(row, minlength=5) for row in drawn]).double()
    one = torch.nn.functional.one_hot(people).double()
    defined = (~values.isnan()).double()
    sums, counts = one.T @ values.double().nan_to_num(), one.T @ defined
    expected = times @ sums / (times @ counts)
    own = sums / counts
    once = (times > 0).double()
    mistakes = [
        (
            "you take the mean of people's means. Then one with a single pair weighs as much as one with six; the mean "
            "over all pairs of those drawn is wanted.",
            (times @ own) / len(own),
        ),
        (
            "somebody who is drawn twice counts once for you. Drawing with replacement means that all their pairs "
            "come twice.",
            once @ sums / (once @ counts),
        ),
        (
            "an undefined pair (NaN) counts as 0 for you; leave it out, of the number of pairs, too.",
            times @ sums / (times @ one.sum(0)),
        ),
        ("a pair is undefined (NaN), and makes its draw undefined: leave it out.", _with_nan(times, one, values)),
        (
            "you read `drawn` as numbers of pairs. They are people, who bring all their pairs along.",
            values.double()[drawn].nanmean(1),
        ),
        ("you read `drawn` as numbers of pairs, NaN and all. They are people.", values.double()[drawn].mean(1)),
        ("that is the mean of all pairs, whoever was drawn.", expected.new_full((7,), values.nanmean().item())),
        ("these are sums; divide by the number of pairs.", times @ sums),
    ]  # fmt: skip
    found = answer(values.clone(), people.clone(), drawn.clone())
    compare(found, expected, mistakes, what="the means")
    return "right. Two percentiles of such means are the interval."


def _with_nan(times: Tensor, one: Tensor, values: Tensor) -> Tensor:
    """The means of draws in which a NaN is a number like any other."""
    pairs = times @ one.T  # how often each pair comes
    total = (pairs * values.double()).where(pairs > 0, 0).sum(1)
    return total / pairs.sum(1)


@exercise
def check_wider_range(answer: Callable[[Tensor], Tensor]) -> str:
    """``answer(generated)``: pictures ``[B, 3, H, W]`` with two changed pixels each.

    SSIM of the pictures' own range likes them better. The SSIM with a fixed range hardly changes (:data:`LOSS`).
    """
    generator = torch.Generator().manual_seed(5)
    blocks = torch.rand(3, 3, 6, 4, generator=generator)
    target = torch.nn.functional.interpolate(2 * blocks - 1, (48, 32), mode="bilinear") * 0.8
    target = target + 0.05 * torch.randn(target.shape, generator=generator)
    pale = 0.25 * torch.nn.functional.avg_pool2d(target, 5, 1, 2)
    given = pale.clone()
    picture = answer(given)
    if not torch.equal(given, pale):
        raise Wrong("your code changes the pictures that it was given; work on a copy (clone()).")
    if not isinstance(picture, Tensor) or picture.shape != pale.shape:
        raise Wrong(f"pictures of the given shape {list(pale.shape)} are wanted.")
    if not bool(((picture >= -1) & (picture <= 1)).all()):
        raise Wrong("your pictures leave the range from -1 to 1: no network could paint that.")
    changed = (picture != pale).any(1).sum((1, 2))
    if bool((changed == 0).any()):
        raise Wrong("nothing is changed.")
    if bool((changed > PIXELS).any()):
        raise Wrong(
            f"you changed {int(changed.max())} pixels of a picture; {PIXELS} will do. Which two make the range larger?"
        )
    span = picture.amax((1, 2, 3)) - picture.amin((1, 2, 3))
    if bool((span <= pale.amax((1, 2, 3)) - pale.amin((1, 2, 3))).any()):
        raise Wrong("the range, largest minus smallest value, is no larger than before.")
    if bool((span < 0.9 * DATA_RANGE).any()):
        raise Wrong(
            f"the range is {span.min():.2f} now and can be {DATA_RANGE:.0f}: a black pixel and a white one."
        )
    gained = ssim(picture, target, "generated") - ssim(pale, target, "generated")
    fixed = ssim(picture, target) - ssim(pale, target)
    if bool((fixed < -LOSS).any()):
        raise Wrong(
            f"the range is as large as it can be, but your pixels spoil the windows that see them: {fixed.min():+.3f} "
            "by a fixed range. Where do hardly any windows see them? (The outermost 5 pixels are no window's centre.)"
        )
    return (
        f"right. Two pixels that nobody notices, and the score rises by {gained.min():.2f} or more. A yardstick must "
        "not depend on what is measured."
    )
