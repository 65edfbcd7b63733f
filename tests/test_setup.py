"""The set-up: one list of dependencies that everything agrees with, and a Makefile that installs once."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(text) for text in group] for name, group in PROJECT["optional-dependencies"].items()
}
MODULES = {"PIL": "pillow", "cycler": "matplotlib"}  # module -> package
OF_AN_EXTRA = {  # modules that are imported in notebooks only
    "widgets.py": {"ipywidgets"},
    "widget.py": {"anywidget", "ipywidgets", "traitlets"},
}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and line[0] != "#")


# ----------------------------------------------------------------------------------- one list of dependencies


def test_conda_installs_this_project_and_nothing_of_its_own() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in conda if isinstance(entry, dict))
    packages = [entry for entry in conda if isinstance(entry, str)]
    assert packages == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip[0] == "--constraint constraints.txt"
    extras = re.fullmatch(r"-e \.\[([a-z,]+)\]", pip[1])
    assert extras and extras[1].split(",") == ["notebooks", "page", "render", "test"]
    assert set(extras[1].split(",")) <= set(EXTRAS) and len(pip) == 2


def test_makefile_and_conda_install_the_same() -> None:
    (extras,) = re.findall(r"-e '\.(\[[a-z,]+\])'", (ROOT / "Makefile").read_text())
    assert f"-e .{extras}" in (ROOT / "environment.yml").read_text()


def test_every_dependency_is_a_range_with_a_tested_version_inside() -> None:
    pins = pinned()
    assert all(name == canonicalize_name(name) for name in pins)
    for requirement in [*CORE, *(requirement for group in EXTRAS.values() for requirement in group)]:
        assert any(part.operator == ">=" for part in requirement.specifier), requirement
        assert not any(part.operator == "==" for part in requirement.specifier), requirement
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_old_and_new_torch_are_in_range() -> None:
    ranges = {requirement.name: requirement.specifier for requirement in CORE}
    assert "2.11.0" in ranges["torch"] and "2.14.1" in ranges["torch"] and "2.10.0" not in ranges["torch"]
    assert "0.26.0" in ranges["torchvision"] and "0.29.1" in ranges["torchvision"]
    assert int(pinned()["torchvision"].split(".")[1]) == int(pinned()["torch"].split(".")[1]) + 15


def imported(path: Path) -> dict[str, bool]:
    """Package -> whether a file imports it as soon as it is itself imported."""
    tree = ast.parse(path.read_text())
    at_once = {id(statement) for statement in tree.body}
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            package = name.split(".")[0]
            if package not in sys.stdlib_module_names and package != "sdgan_lib":
                found[package] = found.get(package, False) or id(node) in at_once
    return found


def test_library_imports_what_is_declared() -> None:
    core = {canonicalize_name(requirement.name) for requirement in CORE}
    extra = {canonicalize_name(requirement.name) for group in EXTRAS.values() for requirement in group}
    for path in sorted((ROOT / "sdgan_lib").rglob("*.py")):
        for package, at_once in imported(path).items():
            name = canonicalize_name(MODULES.get(package, package))
            lazy = not at_once or name in OF_AN_EXTRA.get(path.name, ())
            assert name in core or (name in extra and lazy), f"{path.name} imports {package}"


def test_package_itself_is_light() -> None:
    code = (
        "import sys, sdgan_lib; print(sdgan_lib.__version__, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.1.0", "False", "False"]


def test_runs_and_environment_are_ignored_but_data_is_not() -> None:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    assert {".venv/", "runs/", "__pycache__/", ".ipynb_checkpoints/"} <= set(lines)
    assert not any(line.startswith(("data", "/data", "*.jpg", "*.png")) for line in lines)


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda p: p.stem)
def test_workflows_run_what_is_here(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    (targets,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"^make (\S+)", "\n".join(commands), flags=re.M):
        assert target in targets.split(), target
    for file in re.findall(r"\S+/\S+", " ".join(commands)):
        assert (ROOT / file).exists() or file.startswith(("build/", "site/")), file
    made = {
        step["with"]["name"]
        for job in jobs.values()
        for step in job["steps"]
        if "upload-a" in step.get("uses", "")
    }
    for job in jobs.values():
        for step in job["steps"]:
            assert "download-" not in step.get("uses", "") or step["with"]["name"] in made
            assert not re.search(r"\$\{\{ *github\.event", step.get("run", "")), (
                "text of strangers in a command"
            )


def test_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License") and "sdgan contributors" in text
    assert PROJECT["license"] == {"text": "MIT"}


# --------------------------------------------------------------------------------------------------- Makefile

FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "$LOG"
case "$1 $2" in
  "--version ") echo "Python 3.12.9" ;;
  "-c import sys"*) exit "${OLD:-0}" ;;
  "-c import ensurepip"*) exit "${NO_VENV:-0}" ;;
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") exit "${NO_PIP:-0}" ;;
  "-m pytest"|"-m sdgan_lib"|"-m benchmarks") echo "keeps compiled modules: ${PYTHONDONTWRITEBYTECODE-yes}" ;;
esac
"""


class House:
    """The Makefile beside a Python that only writes down what it is asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        for name in ("Makefile", "pyproject.toml", "constraints.txt", ".ci"):
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        (folder / "notebooks").mkdir()
        self.python = folder / "fakepython"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """The outcome of make, and the calls of Python."""
        self.log.write_text("")
        command = ["make", f"PYTHON={self.python}", *arguments]
        outer = ("MAKE", "MFLAGS", "ARGS", "PIP_ARGS", "JOBS", "PYTHON")  # of the make that runs these tests
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=inherited | {"LOG": str(self.log)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, self.log.read_text().splitlines()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_second_call_does_not_reinstall(house: House) -> None:
    done, calls = house.make("train", "ARGS=--minutes 2 --name try")
    assert done.returncode == 0, done.stderr
    pip = [call for call in calls if call.startswith("-m pip install")]
    assert len(pip) == 2 and all("-c constraints.txt" in call for call in pip)
    assert pip[0].endswith("torch torchvision") and pip[1].endswith("-e .[notebooks,page,render,test]")
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
        "[1/3] making .venv with Python 3.12.9",
        "[2/3] installing PyTorch (the large part: minutes, and several GB on Linux)",
        "[3/3] installing the rest",
    ]
    assert calls[-1] == "-m sdgan_lib train --minutes 2 --name try"

    _, calls = house.make("train")
    assert calls == ["-m sdgan_lib train"]
    _, calls = house.make("test", "ARGS=-k warp")
    (call,) = calls
    assert call.startswith(
        "-m pytest -n 2 --dist loadfile --no-loadscope-reorder --nbval --nbval-current-env"
    )
    assert call.endswith("notebooks tests -k warp")
    _, calls = house.make("bench", "ARGS=--parts step")
    assert calls == ["-m benchmarks --parts step"]
    _, calls = house.make("page")
    assert calls == ["-m sdgan_lib page"]
    _, calls = house.make("lint")
    assert calls == ["-m ruff check", "-m ruff format --check"]
    _, calls = house.make("format")
    assert calls == ["-m ruff check --fix-only", "-m ruff format"]
    _, calls = house.make("lab", "ARGS=--no-browser")
    (call,) = calls
    assert call.startswith(f"-m jupyterlab notebooks/00_start_here.ipynb --ServerApp.root_dir={house.folder}")
    assert call.endswith("--no-browser")


def test_compiled_modules_are_kept_whatever_the_environment_says(house: House) -> None:
    """Without them every kernel compiles PyTorch anew when it starts: seconds, some thirty times over."""
    for target in ("train", "test"):
        done, _ = house.make(target, PYTHONDONTWRITEBYTECODE="1")
        assert "keeps compiled modules: yes" in done.stdout and "keeps compiled modules: 1" not in done.stdout


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_dependencies_are_installed(house: House, file: str) -> None:
    house.make("train")
    stamp = (house.folder / ".venv/.installed").stat().st_mtime
    os.utime(house.folder / file, (stamp + 5, stamp + 5))
    _, calls = house.make("train")
    assert sum(call.startswith("-m pip install") for call in calls) == 2


def test_failed_install_is_tried_again(house: House) -> None:
    done, calls = house.make("train", NO_PIP="1")
    assert done.returncode != 0 and not any("sdgan_lib train" in call for call in calls)
    _, calls = house.make("train")
    assert sum(call.startswith("-m pip install") for call in calls) == 2
    assert calls[-1] == "-m sdgan_lib train"


def test_unfit_python_is_named_with_the_remedy(house: House) -> None:
    done, calls = house.make("lab", OLD="1")
    assert done.returncode != 0 and not (house.folder / ".venv").exists()
    assert "needs Python 3.11, 3.12 or 3.13" in done.stdout and "is not one: Python 3.12.9" in done.stdout
    assert "make lab PYTHON=python3.12" in done.stdout
    done, calls = house.make("lab", NO_VENV="1")
    assert done.returncode != 0 and not any(call.startswith("-m venv") for call in calls)
    assert "apt install python3-venv" in done.stdout
    house.python.unlink()
    done, _ = house.make("lab")
    assert done.returncode != 0 and "needs Python 3.11, 3.12 or 3.13" in done.stdout


@pytest.mark.parametrize(
    ("version", "fits"), [("(3, 10, 9)", 1), ("(3, 11, 0)", 0), ("(3, 13, 2)", 0), ("(3, 14, 0)", 1)]
)
def test_makefile_asks_for_the_pythons_of_pyproject(version: str, fits: int) -> None:
    """The one-line check in the Makefile, run with a pretended version."""
    (check,) = re.findall(r"-c '(import sys; .*version_info.*)'", (ROOT / "Makefile").read_text())
    code = check.replace("sys.version_info", version)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == fits
    number = ".".join(re.findall(r"\d+", version))
    assert (number in Requirement(f"python{PROJECT['requires-python']}").specifier) == (not fits)


@pytest.mark.parametrize("chromium", [True, False])
def test_ci_installs_a_browser_and_runs_the_tests_from_anywhere(
    house: House, tmp_path_factory: pytest.TempPathFactory, chromium: bool
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    scripts = {"make": 'echo "$PWD: make $@, browser ${SDGAN_BROWSER-}"\n[ "$1" = lint ]', "sudo": '"$@"'}
    scripts["apt-get"] = 'echo "apt-get $@" >&2'
    if chromium:
        scripts["chromium"] = ""
    for name, script in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    for name in ("bash", "sh", "dirname", "id"):
        (programs / name).symlink_to(shutil.which(name))
    done = subprocess.run(
        ["bash", house.folder / ".ci/run"],
        cwd="/",
        env={k: v for k, v in os.environ.items() if k != "SDGAN_BROWSER"} | {"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    calls = [f"{house.folder}: make lint, browser ", f"{house.folder}: make test, browser required"]
    assert done.stdout.splitlines() == calls, done.stderr
    assert done.returncode == 1, "the status is that of the tests"
    installed = [
        line for line in done.stderr.splitlines() if line.startswith("apt-get") and "install" in line
    ]
    assert [line.endswith(" chromium") for line in installed] == ([] if chromium else [True])


@pytest.mark.slow
def test_without_a_gpu_test_gpu_says_so() -> None:
    command = ["make", "test-gpu", "STAMP=", f"PY={sys.executable}"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "sees no CUDA GPU" in done.stderr and "Remedy:" in done.stderr
