"""Every notebook runs from other parameters: with little work and every exercise solved, and with others altogether.

SDGAN_DEVICE names the device (default: the parameter's own).
"""

import ast
import os
from pathlib import Path

import nbformat
import papermill
import pytest
from course import NOTEBOOKS, PARAMETERS, exercises_of, solve, verdicts

from benchmarks.studio import find_chromium

CASES = [(path, case) for path in NOTEBOOKS for case in ("fast", "other")]


def defaults(path: Path) -> dict:
    """The notebook's parameters, which must be literals: papermill's own cell comes after this one."""
    cells = papermill.iorw.load_notebook_node(str(path)).cells
    (cell,) = (cell for cell in cells if "parameters" in cell.metadata.tags)
    found = {}
    for line in ast.parse(cell.source).body:
        assert isinstance(line, ast.Assign), f"{path}: the parameters cell holds {ast.unparse(line)}"
        found[line.targets[0].id] = ast.literal_eval(line.value)
    return found


def test_every_notebook_has_parameters_of_its_own():
    assert set(PARAMETERS) == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize(("path", "case"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_every_parameter_exists(path, case):
    parameters, known = PARAMETERS[path.stem][case], defaults(path)
    assert parameters, f"nothing is set for {path}"
    assert set(parameters) <= set(known), f"{path} has no {set(parameters) - set(known)}"
    for name, value in parameters.items():
        assert isinstance(value, type(known[name])), f"{name} of {path} is a {type(known[name]).__name__}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_device_and_picture_size_are_parameters(path):
    assert {"data", "device", "height", "width"} <= set(defaults(path))
    other = PARAMETERS[path.stem]["other"]
    assert {"height", "width"} <= set(other)
    if path.stem != "00_start_here":  # its network is trained already
        assert {"seed"} <= set(other)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "case"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_notebook_runs_with(path, case, tmp_path):
    parameters = dict(PARAMETERS[path.stem][case])
    if "SDGAN_DEVICE" in os.environ:
        parameters["device"] = os.environ["SDGAN_DEVICE"]
    elif case == "fast" and find_chromium():
        pytest.skip("test_browser.py runs the same notebook with the same parameters")
    source = path
    if case == "fast":
        source = tmp_path / path.name
        nbformat.write(solve(nbformat.read(path, as_version=4), path.stem), source)
    done = papermill.execute_notebook(
        str(source),
        str(tmp_path / "done.ipynb"),
        parameters,
        cwd=str(path.parent),
        kernel_name="python3",
        progress_bar=False,
    )
    injected = [cell for cell in done.cells if "injected-parameters" in cell.metadata.tags]
    assert len(injected) == 1
    code = [cell for cell in done.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    outputs = [output.get("data", {}).get("text/plain", "") for cell in code for output in cell.outputs]
    assert verdicts(outputs) == ("✓" if case == "fast" else "○") * len(exercises_of(path))
