"""What many tests draw on: a standing figure, a few of the embedded people, a HEIC file."""

import shutil
from io import BytesIO
from pathlib import Path

import pillow_heif
import torch
from PIL import Image
from torch import Tensor

# (x, y) in shares of width and height, in the order of JOINTS
STANDING = [
    (0.50, 0.13), (0.50, 0.22),
    (0.35, 0.23), (0.28, 0.36), (0.26, 0.48), (0.65, 0.23), (0.72, 0.36), (0.74, 0.48),
    (0.41, 0.50), (0.40, 0.69), (0.39, 0.88), (0.59, 0.50), (0.60, 0.69), (0.61, 0.88),
    (0.47, 0.11), (0.53, 0.11), (0.43, 0.12), (0.57, 0.12),
]  # fmt: skip


# A standing person on a 128 x 64 picture: (x, y) of the 18 joints.
ON_128X64 = (
    *((32, 20), (32, 32), (24, 33), (20, 46), (18, 58), (40, 33), (44, 46), (46, 58)),
    *((27, 62), (26, 86), (25, 110), (37, 62), (38, 86), (39, 110)),
    *((30, 17), (34, 17), (28, 19), (36, 19)),
)


def standing(batch: int, size: tuple[int, int], seed: int = 0) -> Tensor:
    """Poses ``[batch, 18, 2]`` of a standing figure, each joint off by up to 4 % of the size; all joints present."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.tensor(STANDING) + 0.08 * (torch.rand(batch, 18, 2, generator=generator) - 0.5)
    return shares * torch.tensor([size[1], size[0]]) - 0.5


PEOPLE = Path("data/people")


def copy_people(target: Path, train: int = 3, test: int = 2) -> Path:
    """A small data set in ``target``: the first identities of each split of the embedded people, and their pairs."""
    for split, count in (("train", train), ("test", test)):
        lines = (PEOPLE / f"people-annotation-{split}.csv").read_text().splitlines()
        pairs = (PEOPLE / f"people-pairs-{split}.csv").read_text().splitlines()
        chosen = sorted({line[:4] for line in pairs[1:]})[:count]
        for name, table in (("annotation", lines), ("pairs", pairs)):
            kept = [table[0]] + [line for line in table[1:] if line[:4] in chosen]
            target.mkdir(parents=True, exist_ok=True)
            (target / f"people-{name}-{split}.csv").write_text("\n".join(kept) + "\n")
        for folder in ("dataset", "masks"):
            (target / f"people-{folder}" / split).mkdir(parents=True)
            for identity in chosen:
                for file in (PEOPLE / f"people-{folder}" / split).glob(f"{identity}_*"):
                    shutil.copy(file, target / f"people-{folder}" / split)
    return target


def differences(a, b, path: str = "") -> list[str]:
    """Where two states of a run (nested dictionaries and lists of tensors and plain values) differ."""
    if isinstance(a, dict):
        alone = [f"{path}/{key}" for key in a.keys() ^ b.keys()]
        return alone + [
            d for key in a.keys() & b.keys() for d in differences(a[key], b[key], f"{path}/{key}")
        ]
    if isinstance(a, list | tuple):
        return [
            d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{path}/{i}")
        ]
    same = torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b
    return [] if same else [path]


def heic(picture: Image.Image, exif: Image.Exif | None = None) -> bytes:
    """A picture as the bytes of a HEIC file, almost without loss; Pillow does not learn the format by it."""
    content = BytesIO()
    exif = None if exif is None else exif.tobytes()
    pillow_heif.from_pillow(picture).save(content, quality=-1, chroma=444, exif=exif)
    return content.getvalue()
