"""Every exercise: its stub is open, its solution passes, and plausible wrong answers are told what is wrong."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from course import NOTEBOOKS, answers
from course import SOLUTIONS as SOLUTION_NOTEBOOKS

from sdgan_lib import exercises
from sdgan_lib.exercises._verdict import Wrong, compare, exercise, name_mistake, number

CHECKS = sorted(name for name in exercises.__all__ if name.startswith("check_"))
WRONG: dict[str, list] = {}
for module in ("start", "poses", "encoders", "warping", "generators", "adversarial", "comparing", "studio"):
    WRONG |= importlib.import_module(f"wrong_answers.{module}").WRONG


def answers_in(tag: str, notebooks: list[Path]) -> dict[str, tuple[str, str]]:
    """Name of the check -> (code of the cell with this tag, name of the answer), over some notebooks."""
    found = {}
    for path in notebooks:
        for check, (cell, answer) in answers(
            json.loads(path.read_text(encoding="utf-8"))["cells"], tag
        ).items():
            assert check not in found, f"{path}: {check} is used in two notebooks"
            found[check] = "".join(cell["source"]), answer
    return found


STUBS = answers_in("exercise", NOTEBOOKS)
SOLUTIONS = answers_in("solution", SOLUTION_NOTEBOOKS)


def run(code: str, answer: str, check: str):
    """Run a cell by itself, as a learner who opens the notebook here would, and check its answer."""
    namespace: dict = {"__name__": "__main__"}
    exec(compile(code, check, "exec"), namespace)
    return getattr(exercises, check)(namespace[answer])


def test_every_check_has_a_stub_a_solution_and_wrong_answers():
    assert set(STUBS) == set(SOLUTIONS) == set(WRONG) == set(CHECKS)


def test_the_course_has_forty_exercises():
    assert len(CHECKS) >= 40


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exercises_stand_where_their_idea_is_born(path):
    """At least half of them before the closing part "Exercises", numbered in order; one breaks something."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [i for i, cell in enumerate(cells) if "exercise" in cell["metadata"].get("tags", [])]
    texts = ["".join(cell["source"]) if cell["cell_type"] == "markdown" else "" for cell in cells]
    last_part = next(i for i, text in enumerate(texts) if re.search(r"^## Exercises", text, re.MULTILINE))
    headings = [text for text in texts if "### Exercise" in text]
    assert 4 <= len(tagged) == len(headings) <= 12
    assert 2 * sum(i < last_part for i in tagged) >= len(tagged)
    numbers = [
        int(n) for text in headings for n in re.findall(rf"### Exercise {int(path.name[:2])}\.(\d+) · ", text)
    ]
    assert numbers == list(range(1, len(tagged) + 1))
    assert any("break it" in text.lower() for text in headings)
    assert all(re.search(r"Difficulty: [●○]{3} · about \d+ minutes", text) for text in headings)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_minutes_of_the_exercises_add_up(path):
    """Of "**Time:** about 75 minutes, 30 of them for the exercises" the second number is the exercises' own sum."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    total, promised = map(int, re.search(r"\*\*Time:\*\* about (\d+) minutes, (\d+) of them", text).groups())
    minutes = [int(n) for n in re.findall(r"Difficulty: [●○]{3} · about (\d+) minutes", text)]
    assert promised == sum(minutes) < total


@pytest.mark.parametrize("check", CHECKS)
def test_the_stub_is_open(check):
    verdict = run(*STUBS[check], check)
    assert verdict.status == "open", verdict
    assert not verdict


@pytest.mark.parametrize("check", CHECKS)
def test_the_solution_passes(check):
    verdict = run(*SOLUTIONS[check], check)
    assert verdict.status == "passed", verdict
    assert SOLUTIONS[check][1] == STUBS[check][1], "the solution answers under the stub's name"


@pytest.mark.parametrize("check", CHECKS)
def test_wrong_answers_are_told_what_is_wrong(check):
    cases = WRONG[check]
    assert len(cases) >= 2
    messages = set()
    for answer, words in cases:
        verdict = getattr(exercises, check)(answer)
        assert verdict.status == "wrong", f"{words}: {verdict}"
        assert words in verdict.message, verdict
        messages.add(verdict.message)
    general = re.compile(r"( where \S+| has shape .*) is wanted\.$")
    meant = [message for message in messages if not general.search(message)]
    assert len(meant) >= 2, "two misconceptions need two messages of their own"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "answer", [7, "a word", torch.ones(2), [1, 2]], ids=lambda value: type(value).__name__
)
def test_no_answer_of_any_kind_makes_a_check_raise(check, answer):
    verdict = getattr(exercises, check)(answer)
    assert verdict.status == "wrong", verdict
    stub: dict = {}
    exec(STUBS[check][0], stub)
    if callable(stub[STUBS[check][1]]):
        assert "a function is wanted" in verdict.message


# The verdict itself


@exercise
def check_double(answer) -> str:
    compare(
        answer(torch.arange(3.0)), torch.tensor([0.0, 2.0, 4.0]), [("that is half", torch.arange(3.0) / 2)]
    )
    return "doubled"


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (lambda x: 2 * x, "passed", "doubled"),
        (lambda x: x / 2, "wrong", "that is half"),
        (lambda x: x, "wrong", "differs most at index [2]: 2 where 4"),
        (lambda x: x[:2], "wrong", "has shape [2]; [3] is wanted"),
        (lambda x: x / 0 * 0, "wrong", "holds NaN"),
        (lambda x: [0, 2, 4], "wrong", "is a list"),
        (lambda x: x.nonsense, "wrong", "AttributeError"),
        (lambda x: 1 // 0, "wrong", "ZeroDivisionError"),
        (lambda x, y: x, "wrong", "TypeError"),
        (lambda x: None, "open", "still open"),
        (lambda x: ..., "open", "still open"),
        (None, "open", "still open"),
        (..., "open", "still open"),
    ],
)
def test_verdicts(answer, status, words):
    verdict = check_double(answer)
    assert (verdict.status, bool(verdict)) == (status, status == "passed")
    assert words in verdict.message
    assert repr(verdict).endswith(f"double: {verdict.message}")


def test_a_stub_that_says_so_is_open():
    def my_double(x):
        raise NotImplementedError("your turn")

    assert check_double(my_double).status == "open"


def test_a_fault_of_the_check_itself_is_not_blamed_on_the_learner():
    @exercise
    def check_broken(answer) -> str:
        answer()
        return {}["missing"]

    with pytest.raises(KeyError):
        check_broken(lambda: 1)


def test_compare_takes_nan_for_nan_and_keeps_to_its_tolerance():
    value = torch.tensor([1.0, torch.nan])
    compare(value, value.clone())
    with pytest.raises(Wrong):
        compare(value, torch.tensor([1.001, torch.nan]))
    compare(value, torch.tensor([1.001, torch.nan]), rtol=1e-2)
    with pytest.raises(Wrong, match="holds NaN"):
        compare(value, torch.ones(2))


def test_two_nan_are_not_where_a_result_differs():
    with pytest.raises(Wrong, match=r"at index \[1\]: 1 where 2 is wanted"):
        compare(torch.tensor([torch.nan, 1.0]), torch.tensor([torch.nan, 2.0]))


def test_an_error_is_told_with_the_learners_line_not_with_one_of_a_library():
    verdict = check_double(lambda x: torch.nn.functional.conv2d(x, x))
    assert (
        f"line {test_an_error_is_told_with_the_learners_line_not_with_one_of_a_library.__code__.co_firstlineno + 1}"
        in (verdict.message)
    )


def test_a_wrong_number_is_told_without_an_index():
    with pytest.raises(Wrong, match=r"^the loss is 2 where 3 is wanted\.$"):
        compare(torch.tensor(2.0), torch.tensor(3.0), what="the loss")


def test_the_first_mistake_with_the_value_found_is_named():
    mistakes = [("no", 1), ("yes", 2), ("too late", 2)]
    name_mistake(3, mistakes)
    with pytest.raises(Wrong, match=r"^yes$"):
        name_mistake(2, mistakes)
    with pytest.raises(Wrong, match=r"^no$"):
        name_mistake(1.001, mistakes, same=lambda one, other: abs(one - other) < 0.01)


def test_the_right_value_passes_although_a_mistake_happens_to_give_it():
    compare(torch.ones(2), torch.ones(2), [("never said", torch.ones(2))])


def test_one_number_is_a_float_or_a_tensor_with_one_value():
    for value in (2, 2.0, torch.tensor(2.0), torch.tensor([[2.0]], requires_grad=True)):
        found = number(value)
        assert found.shape == () and found.item() == 2 and not found.requires_grad
    for value in ("two", [1, 2], torch.ones(2), None):
        with pytest.raises(Wrong, match=r"one number is wanted .*the answer is"):
            number(value)
    with pytest.raises(Wrong, match=r"the loss is 2\.0"):
        number(2.0, "the loss", tensor=True)
