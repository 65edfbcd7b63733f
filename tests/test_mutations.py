"""Faults put into the library, one by one: the notebook that teaches the thing must notice each of them.

`make test-mutations` runs them all (a quarter of an hour) and writes `mutations.md`, which says what noticed what.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from course import PARAMETERS, ROOT

TABLE = ROOT / "tests/mutations.md"


@dataclass(frozen=True)
class Fault:
    """In module ``module`` of the library, ``right`` becomes ``wrong``; ``notebook`` must fail."""

    name: str
    notebook: str
    module: str
    right: str
    wrong: str


FAULTS = [
    Fault(**values) for values in yaml.safe_load((ROOT / "tests/faults.yml").read_text(encoding="utf-8"))
]


def copy_of_the_project(folder: Path) -> Path:
    """Library and notebooks in a folder of their own, with the data linked."""
    for name in ("sdgan_lib", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def run_notebook(folder: Path, notebook: str) -> subprocess.CompletedProcess:
    """Execute a notebook of the copy with its fast parameters, against the copy's library."""
    parameters = PARAMETERS[notebook]["fast"]
    options = [part for key, value in parameters.items() for part in ("-p", key, str(value))]
    return subprocess.run(
        [sys.executable, "-m", "papermill", f"{notebook}.ipynb", "done.ipynb", "-k", "python3", *options],
        cwd=folder / "notebooks",
        env=os.environ | {"PYTHONPATH": str(folder), "JUPYTER_PREFER_ENV_PATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(output: str) -> str:
    """Which cell failed at which line, and the kind of its error."""
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    cell = re.search(r'encountered at "In \[(\d+)\]"', output)
    assert cell, f"the notebook did not fail in a cell:\n{output[-2000:]}"
    (line, *_) = re.findall(r"^-+> *\d+ +(.+)$", output, re.MULTILINE)
    error = re.findall(r"^(\w*Error)\b", output, re.MULTILINE)
    return f"{error[-1] if error else 'error'} in cell {cell[1]}: `{line.strip()[:90]}`".replace("|", "\\|")


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, str]]:
    rows: dict[str, str] = {}
    yield rows
    if set(rows) != {fault.name for fault in FAULTS}:
        return
    lines = [
        "# Faults put into the library, and what noticed them",
        "",
        "Written by `make test-mutations`: each fault is put in alone, and the notebook that teaches the thing is run.",
        "",
        "| fault | where | noticed by | how |",
        "|---|---|---|---|",
        *(f"| {f.name} | `{f.module}.py` | {f.notebook} | {rows[f.name]} |" for f in FAULTS),
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_fault_can_be_put_in():
    assert len(FAULTS) >= 12 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        source = (ROOT / f"sdgan_lib/{fault.module}.py").read_text(encoding="utf-8")
        assert source.count(fault.right) == 1, (
            f"{fault.name}: {fault.right!r} is there {source.count(fault.right)} times"
        )
    assert {fault.notebook for fault in FAULTS} == set(PARAMETERS) - {"00_start_here"}


def test_the_table_lists_every_fault():
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in TABLE.read_text(encoding="utf-8").splitlines()
    ]
    assert rows[6:] == [fault.name for fault in FAULTS], "run: make test-mutations"


@pytest.mark.mutation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("notebook", sorted({fault.notebook for fault in FAULTS}))
def test_without_a_fault_the_notebook_runs(tmp_path, notebook):
    done = run_notebook(copy_of_the_project(tmp_path), notebook)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.mutation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_noticed(tmp_path, fault, table):
    folder = copy_of_the_project(tmp_path)
    path = folder / f"sdgan_lib/{fault.module}.py"
    path.write_text(path.read_text(encoding="utf-8").replace(fault.right, fault.wrong), encoding="utf-8")
    done = run_notebook(folder, fault.notebook)
    assert done.returncode != 0, f"{fault.notebook} did not notice"
    table[fault.name] = told(done.stderr)
