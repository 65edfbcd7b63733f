"""What all checks share: the verdict, the comparison with the library, and the name of the likely mistake."""

import functools
import operator
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Mistakes = Iterable[tuple[str, object]]
"""What may have gone wrong: pairs of a message for the learner and the value that this mistake gives."""

_MARKS = {"open": "○", "wrong": "✗", "passed": "✓"}


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check found. True only for an answer that passed; shown as one line of text.

    Attributes:
        exercise: name of the check, without ``check_``.
        status: ``"open"`` (nothing written yet), ``"wrong"`` or ``"passed"``.
        message: what to do next, in words for the learner.
    """

    exercise: str
    status: Literal["open", "wrong", "passed"]
    message: str

    def __bool__(self) -> bool:
        return self.status == "passed"

    def __repr__(self) -> str:
        return f"{_MARKS[self.status]} {self.exercise}: {self.message}"


class Open(Exception):
    """The answer is still a stub."""


class Wrong(Exception):
    """The answer is wrong; the text says in which way and what to look at."""


class _Failed(Exception):
    """The learner's function raised."""


def exercise(check: Callable[..., str] | None = None, *, function: bool = True) -> Callable[..., Verdict]:
    """Turn ``check(answer) -> praise`` into a check that never raises and returns a :class:`Verdict`.

    The body calls the answer and raises :class:`Wrong` for what it finds; what it returns is said to the learner
    who passed. An answer is *open* while it is ``None`` or ``...``, raises ``NotImplementedError`` or returns
    ``None``. Any other exception inside the answer is a wrong answer, told with its type and line.

    Args:
        check: the check's body.
        function: whether the answer is a function; ``@exercise(function=False)`` is for an answer that is a value.
    """
    if check is None:
        return functools.partial(exercise, function=function)

    @functools.wraps(check)
    def judged(answer) -> Verdict:
        name = check.__name__.removeprefix("check_")
        try:
            if answer is None or answer is ...:
                raise Open
            if function and not callable(answer):
                raise Wrong(
                    f"a function is wanted, not a {type(answer).__name__}: give its name, without brackets."
                )
            message, status = check(watched(answer) if function else answer), "passed"
        except Open:
            message, status = (
                "still open. Write your answer in the cell above and run both cells again.",
                "open",
            )
        except (Wrong, _Failed) as error:
            message, status = str(error), "wrong"
        return Verdict(name, status, message)

    return judged


def watched(answer: Callable) -> Callable:
    """The learner's function; a stub raises Open, an error inside it becomes a readable _Failed."""

    @functools.wraps(answer, updated=())
    def call(*args, **kwargs):
        try:
            result = answer(*args, **kwargs)
        except NotImplementedError as error:
            raise Open from error
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = [frame for frame in frames if "site-packages" not in frame.filename][-1]
            raise _Failed(
                f"your code raised {type(error).__name__}: {error} (line {line.lineno}: {line.line or 'your cell'})"
            ) from error
        if result is None or result is ...:
            raise Open
        return result

    return call


def number(value, what: str = "the answer", *, tensor: bool = False) -> Tensor:
    """The one number that ``value`` is or holds, as float32 ``[]`` without gradient; else :class:`Wrong`.

    With ``tensor`` a plain number will not do either: a loss that is no tensor has no gradient.
    """
    found = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else f"{value!r:.60}"
    wanted = "a tensor with one value" if tensor else "a float or a tensor with one value"
    message = f"one number is wanted ({wanted}); {what} is {found}."
    if tensor and not isinstance(value, Tensor):
        raise Wrong(message)
    try:
        return torch.as_tensor(value, dtype=torch.float32).detach().reshape(())
    except (TypeError, ValueError, RuntimeError) as error:
        raise Wrong(message) from error


def name_mistake(
    found: object, mistakes: Mistakes, same: Callable[[object, object], bool] = operator.eq
) -> None:
    """Raise :class:`Wrong` with the message of the first of the ``mistakes`` whose value is ``found``, if any."""
    for message, mistaken in mistakes:
        if same(found, mistaken):
            raise Wrong(message)


def compare(
    found: Tensor,
    expected: Tensor,
    mistakes: Mistakes = (),
    *,
    what: str = "the result",
    rtol: float = 1e-4,
    atol: float = 1e-4,
) -> None:
    """Raise :class:`Wrong` unless ``found`` equals ``expected`` (NaN equals NaN) within the tolerances.

    When ``found`` is the value of one of the ``mistakes``, the learner reads its message; otherwise type, shape,
    or place and size of the difference.
    """
    if not isinstance(found, Tensor):
        raise Wrong(
            f"{what} is a {type(found).__name__}; a tensor of shape {list(expected.shape)} is wanted."
        )

    def same(one: Tensor, other: Tensor) -> bool:
        if one.shape != other.shape:
            return False
        return torch.allclose(one.double(), other.double(), rtol=rtol, atol=atol, equal_nan=True)

    if same(found, expected):
        return
    name_mistake(found, mistakes, same)
    if found.shape != expected.shape:
        raise Wrong(f"{what} has shape {list(found.shape)}; {list(expected.shape)} is wanted.")
    if bool((found.isnan() & ~expected.isnan()).any()):
        raise Wrong(f"{what} holds NaN where a number is wanted (a missing joint is NaN, and so is 0/0).")
    difference = (found.double() - expected.double()).abs().nan_to_num(torch.inf)
    difference = difference.masked_fill(found.isnan() & expected.isnan(), 0)
    place = torch.unravel_index(difference.argmax(), difference.shape)
    where = f"differs most at index {[int(i) for i in place]}:" if place else "is"
    raise Wrong(f"{what} {where} {found[place].item():.4g} where {expected[place].item():.4g} is wanted.")
