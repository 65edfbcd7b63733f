"""Checks of the exercises of notebook 00_start_here."""

from collections.abc import Callable

import torch
from torch import Tensor

from sdgan_lib.exercises._verdict import Wrong, compare, exercise
from sdgan_lib.metrics import fg_l1, l1
from sdgan_lib.pose import JOINTS, visible


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
