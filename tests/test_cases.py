"""Files as people have them: each fault is one line with file and remedy, and nothing is written."""

import json
import os
import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_images import bomb

from sdgan_lib import inference
from sdgan_lib.cli import main
from sdgan_lib.datasets import open_split
from sdgan_lib.images import encode_png, read_picture
from sdgan_lib.protocol import write_pose

PEOPLE = Path("data/people").absolute()
SHIPPED = Path("data/checkpoints/sdgan.safetensors").absolute()
SOURCE, TARGET = "0251_c1s1_000001_01", "0251_c1s1_000003_01"
PICTURE = PEOPLE / "people-dataset/test" / f"{SOURCE}.jpg"
STANDING = [[32, 10 + 6 * i] for i in range(18)]


def generate(tmp_path: Path, *options: object, source: object = SOURCE, target: object = TARGET) -> int:
    """`generate` into tmp_path/out/o.png, unless the options name another file."""
    chosen = {"--checkpoint": SHIPPED, "--data": PEOPLE, "--device": "cpu", "--out": tmp_path / "out/o.png"}
    chosen |= dict(zip(options[::2], options[1::2], strict=True))
    return main(
        ["generate", "--source", str(source), "--target", str(target)]
        + [str(x) for o in chosen.items() for x in o]
    )


def one_line(capsys: pytest.CaptureFixture) -> str:
    err = capsys.readouterr().err
    assert (
        err.startswith("sdgan_lib: ")
        and err.count("\n") == 1
        and err[:-1].isprintable()
        and "Remedy: " in err
    )
    return err


def pose_file(path: Path, content: object = STANDING) -> Path:
    path.write_text(json.dumps(content))
    return path


POSES = {
    "minus one": ([[-1, -1]] * 18, "write null for a missing joint"),
    "other size": ([[1500, 2000]] * 18, "outside the 128x64 picture"),
    "shares": ([[0.5, i / 18] for i in range(18)], "not shares of the picture's size"),
    "empty": ([None] * 18, "no joint is given"),
}


@pytest.mark.parametrize("role", ["--target", "--source-pose"])
@pytest.mark.parametrize("fault", POSES)
def test_a_pose_off_the_picture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture, fault: str, role: str
) -> None:
    points, message = POSES[fault]
    wrong = pose_file(tmp_path / "p.json", points)
    status = generate(tmp_path, target=wrong) if role == "--target" else generate(tmp_path, role, wrong)
    err = one_line(capsys)
    assert status == 1 and f"{wrong}: " in err and message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [(256, 128), (64, 32), (128, 96)])
def test_the_pose_of_a_named_picture_is_brought_to_the_sources_size(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}

    def render(generator: object, image: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> bytes:
        given.update(image=image, source=source, target=target)
        return encode_png(np.zeros((8, 8, 3), np.uint8))

    monkeypatch.setattr(inference, "render_png", render)
    scale = torch.tensor([size[1] / 64, size[0] / 128])
    split = open_split(PEOPLE, "test")
    source, target = (split.poses[split.names.index(f"{name}.jpg")] for name in (SOURCE, TARGET))
    large = Image.open(PICTURE).resize((size[1], size[0]))
    large.save(tmp_path / "s.png")
    write_pose((source + 0.5) * scale - 0.5, tmp_path / "s.json")
    assert generate(tmp_path, "--source-pose", tmp_path / "s.json", source=tmp_path / "s.png") == 0
    torch.testing.assert_close(given["target"], (target + 0.5) * scale - 0.5, equal_nan=True)
    assert given["image"].shape[1:] == size
    torch.testing.assert_close(given["image"], read_picture(tmp_path / "s.png"))

    monkeypatch.setattr(inference, "LARGEST", 128 * 64)
    options = ["--source-pose", tmp_path / "s.json", "--size", "128"]
    call = ["generate", "--checkpoint", SHIPPED, "--data", PEOPLE, "--source", tmp_path / "s.png", "--target", TARGET,
            *options, "64", "--out", tmp_path / "o.png"]  # fmt: skip
    assert main([str(a) for a in call]) == 0
    assert given["image"].shape[1:] == (128, 64)
    torch.testing.assert_close(given["target"], target, equal_nan=True, rtol=0, atol=1e-3)
    torch.testing.assert_close(given["source"], source, equal_nan=True, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(400, 300), (3008, 4000), (1600, 1600)])
def test_a_photo_of_another_size_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is decoded, naming the sizes and the option that helps."""
    Image.new("RGB", size[::-1]).save(tmp_path / "p.png")
    pose = pose_file(tmp_path / "p.json")
    monkeypatch.setattr(inference, "decode", lambda image: pytest.fail("it was decoded"))
    assert generate(tmp_path, "--source-pose", pose, source=tmp_path / "p.png", target=pose) == 1
    err = one_line(capsys)
    assert f"{size[0]}x{size[1]}" in err and "divisible by 16" in err and "--size" in err


@pytest.mark.parametrize("size", [("0", "64"), ("-16", "-32"), ("100", "64"), ("16384", "16384")])
def test_an_impossible_size_is_told_by_its_option(
    tmp_path: Path, capsys: pytest.CaptureFixture, size: tuple[str, str]
) -> None:
    call = ["generate", "--checkpoint", SHIPPED, "--data", PEOPLE, "--source", SOURCE, "--target", TARGET, "--size",
            *size, "--out", tmp_path / "o.png"]  # fmt: skip
    assert main([str(a) for a in call]) == 1
    assert f"--size: {size[0]}x{size[1]}" in one_line(capsys) and not (tmp_path / "o.png").exists()


def test_a_photo_that_lies_on_its_side(tmp_path: Path) -> None:
    """The picture that is made is that of the upright photo."""
    exif = Image.Exif()
    exif[0x112] = 6
    upright = Image.open(PICTURE)
    upright.save(tmp_path / "u.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "s.png", exif=exif)
    pose = pose_file(tmp_path / "p.json")
    made = []
    for name in ("u", "s"):
        out = tmp_path / f"{name}-out.png"
        source = tmp_path / f"{name}.png"
        assert generate(tmp_path, "--source-pose", pose, "--out", out, source=source) == 0
        made.append(read_picture(out))
    assert made[0].shape == (3, 128, 64) and torch.equal(*made)


def place(tmp_path: Path) -> dict[str, tuple[dict, str]]:
    """name: (what of `generate` is wrong, what the line must hold)."""
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "link")
    long = "n" * 300
    return {
        "pose is a folder": ({"target": tmp_path / "folder.json"}, "it is a folder: name a file"),
        "source pose is a folder": ({"--source-pose": tmp_path}, "it is a folder: name a file"),
        "long target": ({"target": f"{long}.json"}, "choose a shorter name"),
        "long source": ({"source": long}, "neither a file nor an annotated picture"),
        "long out": ({"--out": tmp_path / f"{long}.png"}, "choose a shorter name"),
        "out in a file": ({"--out": tmp_path / "file/x.png"}, "name a folder there"),
        "out is a folder": ({"--out": tmp_path / "folder.png"}, "it is a folder: name a file"),
        "out is no picture": ({"--out": tmp_path / "x.txt"}, "choose one of .png"),
        "data is a file": ({"--data": tmp_path / "file"}, "it is a file"),
        "no data": ({"--data": tmp_path / "none"}, "there is no such folder"),
        "link to itself": ({"target": tmp_path / "link/a.json"}, "lead in a circle"),
        "name with an escape": ({"source": "a\x1b]0;owned\x07"}, r"a\x1b]0;owned\x07"),
        "bomb": ({"source": tmp_path / "bomb.png", "--source-pose": tmp_path / "p.json"}, "too large"),
    }


PLACES = (
    "pose is a folder", "source pose is a folder", "long target", "long source", "long out", "out in a file",
    "out is a folder", "out is no picture", "data is a file", "no data", "link to itself", "name with an escape",
    "bomb",
)  # fmt: skip


@pytest.mark.parametrize("fault", PLACES)
def test_faults_of_files_end_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture, fault: str) -> None:
    (tmp_path / "folder.png").mkdir()
    pose_file(tmp_path / "p.json")
    bomb(tmp_path / "bomb.png")
    wrong, message = place(tmp_path)[fault]
    roles = {key: wrong[key] for key in ("source", "target") if key in wrong}
    options = [x for key, value in wrong.items() if key not in roles for x in (key, value)]
    before = sorted(tmp_path.rglob("*"))
    assert generate(tmp_path, *options, **roles) == 1
    assert message in one_line(capsys)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("what", ["table", "pictures", "picture", "folder"])
@pytest.mark.parametrize("command", ["check", "doctor"])
def test_what_may_not_be_read_is_named(
    people_root: Path, capsys: pytest.CaptureFixture, command: str, what: str
) -> None:
    pictures = people_root / "people-dataset/train"
    path = {"table": people_root / "people-annotation-train.csv", "pictures": pictures,
            "picture": sorted(pictures.iterdir())[0], "folder": people_root}[what]  # fmt: skip
    for parent in people_root.parents:
        if parent.is_relative_to(tempfile.gettempdir()) and parent != Path(tempfile.gettempdir()):
            parent.chmod(0o755)
    path.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        status = main(
            ["check", str(people_root)] if command == "check" else ["doctor", "--data", str(people_root)]
        )
    finally:
        os.seteuid(was)
        path.chmod(stat.S_IRWXU)
    out = capsys.readouterr().out
    assert status == 1
    assert any(str(path) in line and "permission denied" in line for line in out.splitlines()), out


@pytest.mark.parametrize("command", ["check", "doctor"])
@pytest.mark.parametrize(
    "what", ["annotation is a folder", "pairs are a folder", "pictures are a file", "bombs"]
)
def test_a_broken_data_set_is_told(
    people_root: Path, capsys: pytest.CaptureFixture, command: str, what: str
) -> None:
    table, pairs = people_root / "people-annotation-train.csv", people_root / "people-pairs-train.csv"
    pictures = people_root / "people-dataset/train"
    if what == "bombs":
        for path in pictures.iterdir():
            bomb(path)
        message = f"{pictures}: no picture can be read"
    elif what == "pictures are a file":
        pictures.rename(people_root / "away")
        pictures.write_text("")
        message = f"{pictures}: folder not found"
    else:
        path = table if what == "annotation is a folder" else pairs
        path.unlink()
        path.mkdir()
        message = f"{path}: is a directory. Remedy: it is a folder: name a file"
    assert (
        main(["check", str(people_root)] if command == "check" else ["doctor", "--data", str(people_root)])
        == 1
    )
    assert message in capsys.readouterr().out


def test_control_characters_in_a_data_set_stay_escaped(
    people_root: Path, capsys: pytest.CaptureFixture
) -> None:
    table = people_root / "people-annotation-train.csv"
    table.write_text(table.read_text() + "a\x1b]0;owned\x07.jpg: [1]: [1]\n\x9b31m.jpg: [\x1b]: [1]\n")
    assert main(["check", str(people_root)]) == 1
    out = capsys.readouterr().out
    assert r"a\x1b]0;owned\x07.jpg" in out and out.replace("\n", "").isprintable()
