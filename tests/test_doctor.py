"""The environment check: it passes here, and each broken state is reported with its remedy."""

import importlib.metadata as metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from sdgan_lib import doctor as module
from sdgan_lib.doctor import Finding, doctor


def failed(finding: Finding, message: str, remedy: str, status: str = "FAIL") -> None:
    assert finding.status == status
    assert message in finding.message
    assert remedy in finding.remedy
    assert str(finding).startswith(status) and str(finding).endswith(f"Remedy: {finding.remedy}")


def test_whole_environment_passes(people_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert doctor(people_root, tmp_path / "runs") == 0
    lines = capsys.readouterr().out.splitlines()
    topics = ["Python", "packages", "PyTorch", "device", "data", "lab", "kernel", "disk", "runs"]
    assert [line.split()[1] for line in lines] == topics
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}
    for number in (torch.__version__, metadata.version("jupyterlab"), metadata.version("ipywidgets")):
        assert any(number in line for line in lines)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_on_the_command_line(people_root: Path) -> None:
    """The exit code tells, and one broken thing does not hide the others."""
    (people_root / "people-annotation-test.csv").unlink()
    command = [sys.executable, "-m", "sdgan_lib", "doctor", "--data", str(people_root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("FAIL")] == ["data"]
    assert lines[-1].split()[1] == "runs"


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (2, 7)])
def test_wrong_python(version: tuple[int, int]) -> None:
    failed(module.check_python(version), f"{version[0]}.{version[1]}", "install Python 3.11, 3.12 or 3.13")
    assert module.check_python((3, 13)).status == "ok"


def test_packages_outside_their_range(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["torch<2", "numpy>=1", "no-such-package>=1", "also-none; extra == 'render'"]
    monkeypatch.setattr(metadata, "requires", lambda name: wanted)
    finding = module.check_packages()
    failed(finding, f"torch is {metadata.version('torch')}, needed <2", "make lab")
    assert "no-such-package is missing" in finding.message
    assert "numpy" not in finding.message and "also-none" not in finding.message
    monkeypatch.setattr(metadata, "requires", lambda name: ["numpy>=1", "torch>=2"])
    assert module.check_packages() == Finding("packages", "ok", "2 of 2 in the range they should be in")


def test_package_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    failed(module.check_packages(), "not installed", "make lab", status="warn")


def test_broken_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.check_torch().status == "ok"
    import torchvision

    with monkeypatch.context() as patch:
        patch.setattr(torchvision, "__version__", "0.1.0")
        failed(module.check_torch(), "not built for each other", "make lab", status="warn")
    with monkeypatch.context() as patch:

        def nms(*_: object) -> None:
            raise RuntimeError("operator torchvision::nms does not exist\nand more")

        patch.setattr(torchvision.ops, "nms", nms)
        failed(module.check_torch(), "RuntimeError: operator torchvision::nms does not exist", "delete .venv")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    failed(module.check_torch(), "ModuleNotFoundError", "delete .venv")
    monkeypatch.setitem(sys.modules, "torch", None)
    failed(module.check_torch(), "ModuleNotFoundError", "delete .venv")
    failed(module.check_device(), "PyTorch does not import", "delete .venv")


@pytest.mark.parametrize(
    ("torch_version", "torchvision_version", "together"),
    [("2.14.1+cu130", "0.29.1+cu130", True), ("2.11.0", "0.26.0", True), ("2.13.0", "0.29.1", False)],
)
def test_torch_and_torchvision_belong_together(
    torch_version: str, torchvision_version: str, together: bool
) -> None:
    assert module._belong_together(torch_version, torchvision_version) is together


def test_gpu_that_pytorch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert module.check_device().status == "ok" and "CPU" in module.check_device().message
    monkeypatch.setattr(module.shutil, "which", lambda name: f"/usr/bin/{name}")
    failed(module.check_device(), "cannot use", "NVIDIA driver", status="warn")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "H200")
    assert module.check_device().message == "2 x H200"


def test_data_missing_cut_or_unannotated(people_root: Path, tmp_path: Path) -> None:
    finding = module.check_data(people_root)
    assert finding.status == "ok"
    assert finding.message.endswith("12 pictures and 36 pairs for train, 8 pictures and 24 pairs for test")

    failed(module.check_data(tmp_path / "none"), "no such folder", f"check {tmp_path / 'none'}")

    spare = people_root / "people-dataset/test/0005_c1s1_000009_01.jpg"
    picture = people_root / "people-dataset/test/0005_c1s1_000000_01.jpg"
    spare.write_bytes(picture.read_bytes())
    failed(module.check_data(people_root), "1 pictures in", "annotate them", status="warn")
    spare.unlink()

    mask = people_root / "people-masks/test/0005_c1s1_000000_01.png"
    for path in (picture, mask):
        whole = path.read_bytes()
        path.write_bytes(whole[:-20])
        failed(
            module.check_data(people_root), f"1 files end too early, {path} first", "copy the data set again"
        )
        path.write_bytes(whole)
    assert module.check_data(people_root).status == "ok"


def test_stray_files_and_other_formats_are_no_fault(people_root: Path) -> None:
    """What systems leave in folders is overlooked; a camera's data after a picture's end, and WebP, are whole."""
    pictures = sorted((people_root / "people-dataset/train").iterdir())
    for name in (".DS_Store", "Thumbs.db", f"._{pictures[0].name}"):
        (pictures[0].parent / name).write_bytes(b"\0")
    pictures[0].write_bytes(pictures[0].read_bytes() + bytes(500))
    Image.open(pictures[1]).save(pictures[1], format="WEBP")
    assert module.check_data(people_root).status == "ok"


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_cut_file_is_found_beside_stray_ones(people_root: Path, split: str, form: str) -> None:
    for part in ("train", "test"):
        (people_root / "people-dataset" / part / "spare.jpg").write_bytes(b"x")
    path = sorted((people_root / "people-dataset" / split).iterdir())[0]
    Image.open(path).save(path, format=form)
    path.write_bytes(path.read_bytes()[:-30])
    failed(module.check_data(people_root), f"1 files end too early, {path} first", "copy the data set again")


def test_lab_not_installed() -> None:
    failed(module.check_lab(("jupyterlab", "no-such-widgets")), "no-such-widgets not installed", "make lab")


def test_kernel_of_another_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.check_kernel().status == "ok"
    kernel = tmp_path / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    spec = {
        "argv": ["/opt/other/python", "-m", "ipykernel_launcher"],
        "display_name": "x",
        "language": "python",
    }
    kernel.write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    failed(module.check_kernel(), "python3 is /opt/other/python", "make lab", status="warn")


@pytest.mark.parametrize(("free", "status"), [(50.0, "ok"), (1.0, "warn"), (0.2, "FAIL")])
def test_full_disk(tmp_path: Path, free: float, status: str) -> None:
    finding = module.check_disk(tmp_path / "runs", free)
    assert finding.status == status and f"{free:.1f} GB free" in finding.message
    assert bool(finding.remedy) == (status != "ok")


def test_runs_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    failed(
        module.check_runs(tmp_path / "file" / "runs"), "cannot be written", "a folder that you may write to"
    )
    assert module.check_runs(tmp_path / "new" / "runs").status == "ok"


def test_one_failure_fails_the_whole(
    people_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert doctor(people_root, tmp_path / "file" / "runs") == 1
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")] == [
        "runs"
    ]
