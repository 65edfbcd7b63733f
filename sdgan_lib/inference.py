"""Making pictures from a checkpoint: one person, one new pose."""

import json
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import open_split
from sdgan_lib.plotting import to_uint8
from sdgan_lib.pose import JOINTS
from sdgan_lib.training import pick_device


def read_pose(path: Path) -> Tensor:
    """A pose ``[18, 2]`` from a JSON file: a list of 18 ``[x, y]`` in pixels of its picture, ``null`` where missing.

    Raises:
        ValueError: naming the file and the joint that is wrong.
    """
    try:
        points = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such pose file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path}: not JSON ({error}); write 18 [x, y] pairs, null for a missing joint"
        ) from error
    if not isinstance(points, list) or len(points) != len(JOINTS):
        found = f"{len(points)} entries" if isinstance(points, list) else type(points).__name__
        raise ValueError(f"{path}: {found} instead of a list of {len(JOINTS)} joints ({', '.join(JOINTS)})")
    pose = torch.full((len(JOINTS), 2), torch.nan)
    for i, (name, point) in enumerate(zip(JOINTS, points, strict=True)):
        if point is None:
            continue
        good = isinstance(point, list) and len(point) == 2 and all(type(v) in (int, float) for v in point)
        if not good:
            raise ValueError(f"{path}: joint {i} ({name}) is {point!r}; write [x, y] in pixels, or null")
        pose[i] = torch.tensor(point, dtype=torch.float32)
    return pose


def write_pose(pose: Tensor, path: Path) -> None:
    """Write a pose ``[18, 2]`` in the form that :func:`read_pose` reads."""
    points = [None if p.isnan().any() else [round(v, 3) for v in p.tolist()] for p in pose]
    Path(path).write_text(json.dumps(points) + "\n", encoding="utf-8")


def find_picture(data: Path, name: str) -> tuple[Path, Tensor]:
    """Path and pose of a picture of a data set, by its name (``.jpg`` may be left out), test split first.

    Raises:
        ValueError: when neither split has it.
    """
    for split in ("test", "train"):
        part = open_split(data, split)
        for candidate in (name, name + ".jpg"):
            if candidate in part.names:
                index = part.names.index(candidate)
                return part.image_path(index), part.poses[index]
    raise ValueError(f"{name}: neither a file nor an annotated picture of {data}")


def read_picture(path: Path) -> Tensor:
    """A picture file as ``[3, H, W]`` in [-1, 1]."""
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except OSError as error:
        raise ValueError(f"{path}: not a picture that can be read ({error})") from error
    pixels = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return pixels.view(rgb.height, rgb.width, 3).permute(2, 0, 1).float() / 127.5 - 1


def generate(
    checkpoint: Path,
    source: str,
    target: str,
    source_pose: Path | None,
    out: Path,
    data: Path,
    device: str = "auto",
) -> Tensor:
    """Make the person of ``source`` in the pose of ``target``, write the picture and return it ``[3, H, W]``.

    Args:
        source: a picture file (with ``source_pose``, a JSON file), or the name of a picture of ``data``.
        target: a JSON pose file in pixels of the source picture, or the name of a picture of ``data``.
        out: picture file to write; its ending chooses the format.

    Raises:
        ValueError: naming what is missing or unreadable, and the remedy.
    """
    if not source or not target:
        raise ValueError("name a --source picture and a --target pose")
    path, pose = Path(source), None
    if not path.is_file():
        path, pose = find_picture(data, source)
    if source_pose is not None:
        pose = read_pose(source_pose)
    if pose is None:
        raise ValueError(f"{source}: the pose of a picture file is unknown; give it with --source-pose")
    target_pose = read_pose(Path(target)) if target.endswith(".json") else find_picture(data, target)[1]
    picked = pick_device(device)
    generator = load_generator(checkpoint, picked)
    with torch.inference_mode():
        batch = (read_picture(path)[None], pose[None], target_pose[None])
        image = generator.transfer(*(x.to(picked) for x in batch)).image[0].cpu()
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(to_uint8(image[None])[0]).save(out)
    return image
