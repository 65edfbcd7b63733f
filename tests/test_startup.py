"""What is paid before the first line of work: the command line's help and the import of the library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HELP = """
import json, runpy, sys
from contextlib import suppress
with suppress(SystemExit):
    runpy.run_module("sdgan_lib", run_name="__main__", alter_sys=True)
print("\\n" + json.dumps({"modules": sorted(sys.modules)}))
"""

IMPORT = """
import importlib, json, pkgutil, sys, time
start = time.process_time()
import torch
between = time.process_time()
import sdgan_lib
names = {m.name for m in pkgutil.walk_packages(sdgan_lib.__path__, "sdgan_lib.")}
names = sorted(names - {"sdgan_lib.__main__", *sys.argv[1:]})
for name in names:
    importlib.import_module(name)
ratio = (time.process_time() - between) / (between - start)
print(json.dumps({"ratio": ratio, "modules": names}))
"""

ONE = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps({"modules": sorted(sys.modules)}))
"""


def run(code: str, *arguments: str) -> dict:
    """What a fresh Python reports on its last line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["generate", "--help"]], ids=" ".join)
def test_help_is_there_at_once(arguments):
    report = run(HELP, *arguments)
    heavy = {"torch", "numpy", "pandas", "matplotlib", "PIL", "accelerate"} & set(report["modules"])
    assert "tyro" in report["modules"], "the help was not reached"
    assert not heavy, f"--help imports {', '.join(sorted(heavy))}"


def test_a_wrong_option_is_told_without_torch():
    report = run(HELP, "train", "--no-such-option")
    assert "tyro" in report["modules"] and "torch" not in report["modules"]


def test_a_picture_from_a_checkpoint_needs_neither_pyplot_nor_pandas():
    modules = set(run(ONE, "sdgan_lib.inference")["modules"])
    assert "sdgan_lib.generators" in modules
    assert not {"matplotlib", "pandas", "accelerate", "pillow_heif"} & modules


@pytest.mark.slow
@pytest.mark.parametrize(
    ("without", "most"), [([], 2), (["sdgan_lib.studio.serve"], 1)], ids=["all", "no server"]
)
def test_the_library_costs_little_beside_the_import_of_torch(without, most):
    """Both in one process and in its own processor time, so that a busy machine changes little.

    The server brings Jupyter's with it: with it 1.4 imports of torch are usual, without it a quarter of one.
    """
    report = run(IMPORT, *without)
    modules = {
        "sdgan_lib.training",
        "sdgan_lib.exercises.poses",
        "sdgan_lib.exercises.studio",
        "sdgan_lib.cli",
    }
    assert modules <= set(report["modules"])
    assert ("sdgan_lib.studio.serve" in report["modules"]) == (not without)
    assert report["ratio"] < most
