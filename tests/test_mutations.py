"""Faults put into the library, one by one: the notebook that teaches the thing, or a test, must notice each of them.

`make test-mutations` runs them all (twenty minutes) and writes `mutations.md`, which says what noticed what.
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
    """In module ``module`` of the library, ``right`` becomes ``wrong``; ``notebook``, or else ``test``, must fail.

    ``test`` is a test's id (``tests/test_x.py::test_name``): for what no notebook can show, such as what survives an
    interruption.
    """

    name: str
    module: str
    right: str
    wrong: str
    notebook: str = ""
    test: str = ""

    @property
    def noticed_by(self) -> str:
        """The notebook's name or the test's id."""
        return self.notebook or self.test


FAULTS = [
    Fault(**values) for values in yaml.safe_load((ROOT / "tests/faults.yml").read_text(encoding="utf-8"))
]


def copy_of_the_project(folder: Path) -> Path:
    """Library, notebooks and tests in a folder of their own, with the data linked."""
    for name in ("sdgan_lib", "notebooks", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "data").symlink_to(ROOT / "data")
    return folder


def run(folder: Path, where: str) -> subprocess.CompletedProcess:
    """Execute a notebook of the copy with its fast parameters, or a test of the copy, against the copy's library."""
    if where in PARAMETERS:
        options = [
            part for key, value in PARAMETERS[where]["fast"].items() for part in ("-p", key, str(value))
        ]
        command = ["papermill", f"{where}.ipynb", "done.ipynb", "-k", "python3", *options]
    else:
        command = ["pytest", "-q", "-p", "no:cacheprovider", where]
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder / "notebooks" if where in PARAMETERS else folder,
        env=os.environ | {"PYTHONPATH": str(folder), "JUPYTER_PREFER_ENV_PATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(done: subprocess.CompletedProcess) -> str:
    """Which cell or test failed at which line, and the kind of its error."""
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if cell := re.search(r'encountered at "In \[(\d+)\]"', output):
        where = f"in cell {cell[1]}: "
        lines = re.findall(r"^-+> *\d+ +(.+)$", output, re.MULTILINE)[:1]
    else:
        where = ""
        lines = re.findall(r"^> +(.+)$", output, re.MULTILINE)[:1]
    assert lines, f"it failed, but neither in a cell nor in a test's line:\n{output[-2000:]}"
    error = re.findall(r"^(?:E +)?(\w*(?:Error|Failed))\b", output, re.MULTILINE)
    return f"{error[-1] if error else 'error'} {where}`{lines[0].strip()[:90]}`".replace("|", "\\|")


def rows() -> dict[str, str]:
    """Name of a fault -> how it was noticed, from the table as it stands."""
    lines = [line.strip("| ").split(" | ") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    return {cells[0]: cells[-1] for cells in lines if len(cells) == 4 and cells[0] != "fault"}


@pytest.fixture(scope="module")
def table() -> Iterator[dict[str, str]]:
    """How each fault was noticed; the table is written anew with what was run, the other rows as they were."""
    noticed = rows()
    yield noticed
    lines = [
        "# Faults put into the library, and what noticed them",
        "",
        "Written by `make test-mutations`: each fault is put in alone, and what must notice it is run: the",
        "notebook that teaches the thing, or a test.",
        "",
        "| fault | where | noticed by | how |",
        "|---|---|---|---|",
        *(
            f"| {f.name} | `{f.module}.py` | {f.noticed_by.removeprefix('tests/')} | {noticed[f.name]} |"
            for f in FAULTS
            if f.name in noticed
        ),
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_every_fault_can_be_put_in():
    assert len(FAULTS) >= 12 and len({fault.name for fault in FAULTS}) == len(FAULTS)
    for fault in FAULTS:
        source = (ROOT / f"sdgan_lib/{fault.module}.py").read_text(encoding="utf-8")
        assert source.count(fault.right) == 1, (
            f"{fault.name}: {fault.right!r} is there {source.count(fault.right)} times"
        )
        assert bool(fault.notebook) != bool(fault.test), f"{fault.name}: a notebook or a test, one of them"
        file, _, test = fault.test.partition("::")
        assert not file or f"def {test.split('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8"), (
            fault.test
        )
    assert {fault.notebook for fault in FAULTS} - {""} == set(PARAMETERS)


def test_the_table_lists_every_fault():
    assert list(rows()) == [fault.name for fault in FAULTS], "run: make test-mutations"


@pytest.mark.mutation
@pytest.mark.slow
@pytest.mark.parametrize("where", sorted({fault.noticed_by for fault in FAULTS}))
def test_without_a_fault_all_is_well(tmp_path, where):
    done = run(copy_of_the_project(tmp_path), where)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.mark.mutation
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_noticed(tmp_path, fault, table):
    folder = copy_of_the_project(tmp_path)
    path = folder / f"sdgan_lib/{fault.module}.py"
    path.write_text(path.read_text(encoding="utf-8").replace(fault.right, fault.wrong), encoding="utf-8")
    done = run(folder, fault.noticed_by)
    assert done.returncode != 0, f"{fault.noticed_by} did not notice"
    table[fault.name] = told(done)
