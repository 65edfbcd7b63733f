"""One voice in names and docstrings, where ruff has no rule for it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path for folder in ("sdgan_lib", "benchmarks", "data") for path in sorted((ROOT / folder).rglob("*.py"))
]

CODE = re.compile(r"``[^`]+``|:\w+:`[^`]+`")  # ``code`` and :func:`roles`
RULES = {  # of docstrings without their code, unless said otherwise
    "single backticks: code stands in ``two``": re.compile(r"`[^`]+`"),
    "a shape outside backticks": re.compile(r"\[[A-Z]\w*, "),
    "a judge is called discriminator": re.compile(
        r"\b(?:an?|the|one|each|every|its|no|of) judges?\b", re.IGNORECASE
    ),
}
TIGHT = re.compile(r"\[(?:[A-Z]|\d+)(?:,[A-Z\d/]+)+\]")  # [B,3,H,W], also in code
NAMED = re.compile(r"(^|_)judges?(_|$)", re.IGNORECASE)


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string that stands alone: of modules, classes, functions and attributes."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.lineno, node.value.value


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every name that a file gives: functions, classes, arguments, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id if isinstance(node, ast.Name) else node.attr


def faults(source: str) -> list[str]:
    """Everything wrong with a file's docstrings and names, as lines ``LINE: what, where``."""
    tree, found = ast.parse(source), []
    for line, text in docstrings(tree):
        prose = CODE.sub("", text)
        found += [(line, f"{rule}: {match[0]}") for rule, of in RULES.items() for match in of.finditer(prose)]
        found += [(line, f"a shape without spaces: {match[0]}") for match in TIGHT.finditer(text)]
    found += [
        (line, f"a judge is called discriminator: {name}") for line, name in names(tree) if NAMED.search(name)
    ]
    return [f"{line}: {what}" for line, what in sorted(found)]


def test_docstrings_and_names_speak_with_one_voice():
    wrong = [f"{path.relative_to(ROOT)}:{line}" for path in FILES for line in faults(path.read_text("utf-8"))]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('"""A `name`."""', "single backticks: code stands in ``two``: `name`"),
        ('"""Poses [B, 18, 2]."""', "a shape outside backticks: [B, "),
        ('"""Poses ``[B,18,2]``."""', "a shape without spaces: [B,18,2]"),
        ('x = 1\n"""What the judge is told."""', "a judge is called discriminator: the judge"),
        ("def f(judge_optimiser): ...", "a judge is called discriminator: judge_optimiser"),
        ("self.judge = 1", "a judge is called discriminator: judge"),
        (
            '"""In [-1, 1]: ``[B, 3, H, W]``, see :func:`f`; it judges what is judged."""\njudged = a.judge',
            None,
        ),
    ],
)
def test_each_fault_is_found(source, fault):
    assert [line.partition(": ")[2] for line in faults(source)] == ([] if fault is None else [fault])
