"""``python -m sdgan_lib doctor``: is everything here that the course needs? One line each, with the remedy.

PyTorch and Jupyter are imported inside the checks, so that the report also comes out where they are broken.
"""

import importlib.metadata as metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sdgan_lib.errors import UserError, printable
from sdgan_lib.files import explain

REINSTALL = "delete .venv and run make lab again"
FREE_GB = 2.0  # for runs with their checkpoints and pictures; a quarter of it is the least
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82"}  # JPEG, PNG: first bytes and end marker
LAB = ("jupyterlab", "ipywidgets", "anywidget", "ipykernel")


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str
    status: Literal["ok", "warn", "FAIL"]
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        """One line: status, topic, message, remedy."""
        remedy = f". Remedy: {self.remedy}" if self.remedy else ""
        return printable(f"{self.status:4}  {self.topic:8}  {self.message}{remedy}")


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:2])) -> Finding:
    """The version of Python is one that the library is made for."""
    text = f"{version[0]}.{version[1]} ({sys.executable})"
    if (3, 11) <= version < (3, 14):
        return Finding("Python", "ok", text)
    return Finding(
        "Python", "FAIL", text, "install Python 3.11, 3.12 or 3.13 and run make lab PYTHON=python3.12"
    )


def check_packages() -> Finding:
    """The installed versions against the ranges in pyproject.toml."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in metadata.requires("sdgan_lib") or []]
    except metadata.PackageNotFoundError:
        return Finding("packages", "warn", "sdgan_lib is not installed in this environment", "run make lab")
    wrong = []
    core = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    for requirement in core:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        if version == "missing" or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, needed {requirement.specifier}")
    if wrong:
        return Finding("packages", "FAIL", "; ".join(wrong), REINSTALL)
    return Finding("packages", "ok", f"{len(core)} of {len(core)} in the range they should be in")


def check_torch() -> Finding:
    """PyTorch and torchvision import, belong together (2.n with 0.(n + 15)) and compute."""
    try:
        import torch
        import torchvision

        box = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        torchvision.ops.nms(box, torch.ones(1), 0.5)  # compiled code of torchvision against that of torch
    except Exception as error:  # whatever a broken install raises
        return Finding("PyTorch", "FAIL", f"{type(error).__name__}: {str(error).splitlines()[0]}", REINSTALL)
    text = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    if not _belong_together(torch.__version__, torchvision.__version__):
        return Finding("PyTorch", "warn", f"{text} were not built for each other", REINSTALL)
    return Finding("PyTorch", "ok", text)


def _belong_together(torch_version: str, torchvision_version: str) -> bool:
    torch_part, vision_part = (version.split(".") for version in (torch_version, torchvision_version))
    return (torch_part[0], vision_part[0]) == ("2", "0") and int(vision_part[1]) == int(torch_part[1]) + 15


def check_device() -> Finding:
    """What PyTorch computes on, and whether a GPU lies idle."""
    try:
        import torch
    except Exception:
        return Finding("device", "FAIL", "unknown, PyTorch does not import", REINSTALL)
    if torch.cuda.is_available():
        return Finding("device", "ok", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}")
    if torch.backends.mps.is_available():
        return Finding("device", "ok", "Apple GPU (mps)")
    text = f"CPU, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    if shutil.which("nvidia-smi"):
        remedy = "update the NVIDIA driver, or install the torch that fits it"
        return Finding("device", "warn", f"{text}; there is an NVIDIA driver that PyTorch cannot use", remedy)
    return Finding("device", "ok", f"{text}; enough for the course")


def check_data(root: Path) -> Finding:
    """The data set is there, tables and files agree, and no file ends too early."""
    try:
        from sdgan_lib.datasets import open_split
        from sdgan_lib.protocol import SPLITS, DatasetError
    except Exception as error:
        return Finding("data", "FAIL", f"cannot be read ({type(error).__name__}: {error})", REINSTALL)
    every = f"python -m sdgan_lib check {root} lists every fault"
    counts, spare = [], []
    for name in SPLITS:
        try:
            split = open_split(root, name)
            images = split.layout.images(name)
            paths = [split.image_path(i) for i in range(len(split.names))]
            if split.has_masks:
                paths += [split.mask_path(i) for i in range(len(split.names))]
            cut = [path for path in paths if _is_cut(path)]
            unused = _count_pictures(images) - len(split.names)
        except (DatasetError, OSError) as error:
            problem = explain(error, root) if isinstance(error, OSError) else error.problem
            return Finding("data", "FAIL", problem.fact, f"{problem.remedy}; {every}")
        if cut:
            message = f"{len(cut)} files end too early, {cut[0]} first"
            return Finding("data", "FAIL", message, "copy the data set again (git checkout -- data)")
        if unused:
            spare.append(f"{unused} pictures in {images} have no annotation and are not used")
        counts.append(f"{len(split.names)} pictures and {len(split.pairs)} pairs for {name}")
    if spare:
        return Finding("data", "warn", "; ".join(spare), "annotate them or take them away")
    return Finding("data", "ok", f"{root}: {', '.join(counts)}")


def _count_pictures(folder: Path) -> int:
    """Files below a folder, without those that systems leave in folders."""
    from sdgan_lib.protocol import is_stray

    return sum(not is_stray(name) for _, _, names in os.walk(folder) for name in names)


def _is_cut(path: Path) -> bool:
    """Whether a JPEG or PNG ends too early.

    Half a file lacks the end marker, which is noticed without decoding any. Only where it is not near the end (cameras
    append data of their own), or in another format, is the picture decoded.
    """
    from sdgan_lib.images import decode, opened

    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 64))
        rest = file.read()
    if any(start.startswith(head) and end in rest for head, end in ENDS.items()):
        return False
    if start in ENDS and ENDS[start] not in path.read_bytes():  # decoders put up with a PNG without its end
        return True
    try:
        with opened(path) as image:
            decode(image)
    except UserError:
        return True
    return False


def check_lab(packages: tuple[str, ...] = LAB) -> Finding:
    """JupyterLab and what notebooks need are installed."""
    found, missing = [], []
    for name in packages:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("lab", "FAIL", f"{', '.join(missing)} not installed", "run make lab")
    return Finding("lab", "ok", ", ".join(found))


def check_kernel() -> Finding:
    """The notebooks' kernel ``python3`` is this Python, not another one that the user has registered."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError as error:
        return Finding("kernel", "FAIL", str(error), "run make lab")
    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("kernel", "FAIL", "there is no kernel python3", REINSTALL)
    if program in ("python", "python3", sys.executable):  # Jupyter puts its own Python for a bare name
        return Finding("kernel", "ok", f"python3 is {sys.executable}")
    remedy = "open the notebooks with make lab, or run jupyter kernelspec remove python3"
    return Finding("kernel", "warn", f"python3 is {program}, not {sys.executable}", remedy)


def check_disk(folder: Path, free_gb: float | None = None) -> Finding:
    """Free space where runs are written, in GB (1e9 bytes)."""
    free = shutil.disk_usage(_existing(folder)).free / 1e9 if free_gb is None else free_gb
    status = "ok" if free >= FREE_GB else "warn" if free >= FREE_GB / 4 else "FAIL"
    return Finding("disk", status, f"{free:.1f} GB free", "" if status == "ok" else f"free {FREE_GB:g} GB")


def check_runs(folder: Path) -> Finding:
    """Runs can be written."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            return Finding("runs", "ok", f"{folder} can be written")
    except OSError as error:
        remedy = f"make {place} a folder that you may write to, or work in another copy"
        return Finding("runs", "FAIL", f"{folder} cannot be written ({error.strerror or error})", remedy)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.path.exists(place))


def findings(data: Path, runs: Path) -> Iterator[Finding]:
    """All checks, one after the other."""
    yield check_python()
    yield check_packages()
    yield check_torch()
    yield check_device()
    yield check_data(data)
    yield check_lab()
    yield check_kernel()
    yield check_disk(runs)
    yield check_runs(runs)


def doctor(data: Path = Path("data/people"), runs: Path = Path("runs")) -> int:
    """Print what is here and what is wrong; 1 when something must be mended, else 0."""
    failed = False
    for finding in findings(data, runs):
        print(finding, flush=True)
        failed |= finding.status == "FAIL"
    return int(failed)
