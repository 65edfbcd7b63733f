"""Plausible wrong answers, each with words of the message meant for it."""

import torch


def changed(where):
    """The target's person or background turned to its negative."""
    return lambda target, mask: torch.where(where(mask) == 1, -target.sign(), target)


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
}
