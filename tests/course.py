"""The course's files: notebooks, solutions, each notebook's parameters, and the browser that it runs in."""

import ast
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
PARAMETERS = yaml.safe_load((ROOT / "notebooks/parameters.yml").read_text(encoding="utf-8"))
"""Name of a notebook -> case (``fast``, ``other``) -> parameter -> value."""


def verdicts(outputs: list[str]) -> str:
    """How the lines of the checks begin among some outputs: ○ open, ✗ wrong, ✓ passed."""
    return "".join(text[0] for text in outputs if text.startswith(("○", "✗", "✓")))


def exercises_of(path: Path) -> list[str]:
    """Names of the checks of a notebook's exercises, in order."""
    return list(answers(nbformat.read(path, as_version=4).cells, "exercise"))


def answers(cells: list[dict], tag: str) -> dict[str, tuple[dict, str]]:
    """Name of the check -> (cell tagged ``tag``, name of the answer); the check is called in the next code cell."""
    code, found = [cell for cell in cells if cell["cell_type"] == "code"], {}
    for cell, following in zip(code, [*code[1:], None], strict=True):
        if tag not in cell["metadata"].get("tags", []):
            continue
        assert following is not None, f"nothing checks the last cell tagged {tag}"
        calls = [
            node
            for node in ast.walk(ast.parse("".join(following["source"])))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("check_")
        ]
        assert calls, f"the cell after one tagged {tag} calls no check:\n{following['source']}"
        check = calls[0].func.id
        assert check not in found, f"{check} is used twice"
        found[check] = cell, ast.unparse(calls[0].args[0])
    return found


def solve(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """The notebook of that name with every exercise's stub replaced by its solution, in place."""
    path = ROOT / f"notebooks/solutions/{name[:2]}_solutions.ipynb"
    solutions = answers(nbformat.read(path, as_version=4).cells, "solution")
    for check, (cell, _) in answers(notebook.cells, "exercise").items():
        cell.source = solutions[check][0].source
    return notebook
