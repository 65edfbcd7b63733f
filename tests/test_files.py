"""Files are written whole or not at all, read within limits, and every fault is one line."""

import errno
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sdgan_lib.errors import UserError, printable
from sdgan_lib.files import explain, parse_json, read_json, read_text, whole, write_whole
from sdgan_lib.pose import check_pose


def test_what_is_written_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_whole(path, "old")
    assert path.read_text() == "old"
    with pytest.raises(RuntimeError, match="in the middle"), whole(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError("in the middle")
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_the_temporary_file_is_always_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a link laid in its way is followed, nor a file there overwritten; a link as the name is replaced."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda size: "known")
    trap = tmp_path / ".known.part.txt"
    trap.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a.txt", "x")
    monkeypatch.undo()
    (tmp_path / "link.txt").symlink_to(victim)
    write_whole(tmp_path / "link.txt", "x")
    assert victim.read_text() == "precious" and (tmp_path / "link.txt").read_text() == "x"


def test_a_device_or_a_folder_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for call in (lambda path: write_whole(path, ""), read_text):
        with pytest.raises(UserError, match="pipe: a device or a pipe"):
            call(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        write_whole(tmp_path, "")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "pipe"]


def save_by_torch(path: Path) -> None:
    with path.open("wb") as file:
        torch.save(torch.zeros(1 << 18), file)


@pytest.mark.parametrize(
    "save",
    [
        lambda path: path.write_bytes(bytes(1 << 20)),
        save_by_torch,
        lambda path: save_file({"a": torch.zeros(1 << 18)}, path),
    ],
    ids=["bytes", "torch", "safetensors"],
)
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, save: Callable[[Path], object]) -> None:
    """Each writer's own way of saying so becomes the system's words about the file that was meant."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[0][1]))
    try:
        with pytest.raises(OSError) as caught, whole(path) as temporary:
            save(temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert caught.value.errno == errno.EFBIG
    assert str(explain(caught.value)).startswith(f"{path}: file too large. Remedy: ")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_text_is_read_within_limits(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_text(path) == "[1]" and read_json(path) == [1]
    assert parse_json("\ufeff[2]") == [2]
    with pytest.raises(UserError, match=r"a\.json: more than 4 bytes"):
        read_text(path, limit=4)
    for content, message in (
        (b"\xff\xfe", "not text .* write it as UTF-8"),
        (b"[1,", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"1" * 10_000 + b"]", "not JSON"),
        (b"[NaN, -Infinity]", "NaN is no JSON"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"a\\.json: .*{message}"):
            read_json(path)
    for place, message in (
        (tmp_path, "it is a folder: name a file"),
        (tmp_path / "none", "no such file or directory. Remedy: check the name"),
        (path / "b", "a part of its path is a file"),
        (tmp_path / ("n" * 300), "choose a shorter name"),
        (tmp_path / "a\0b", r"a\\x00b: not a name of a file"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_text(place)
        assert "\n" not in str(caught.value)


def test_no_control_character_reaches_the_terminal() -> None:
    assert printable("né\x1b[31m\n\x9b\u202e\ud800 b") == r"né\x1b[31m\n\x9b\u202e\ud800 b"
    assert str(UserError("a\x1b]0;x\x07b\nc")) == r"a\x1b]0;x\x07b\nc"
    assert str(explain(OSError("first\nlast"), "a.pt")).startswith("a.pt: last. Remedy: ")


def test_a_pose_has_one_shape() -> None:
    check_pose(torch.zeros(2, 18, 2))
    check_pose(torch.zeros(18, 2), batched=False)
    for pose, batched, message in (
        (torch.zeros(18, 2), True, r"target_pose must have shape \[B, 18, 2\], got \[18, 2\]"),
        (torch.zeros(1, 18, 2), False, r"target_pose must have shape \[18, 2\], got \[1, 18, 2\]"),
        (torch.zeros(2, 17, 2), True, r"got \[2, 17, 2\]"),
        (torch.zeros(18, 2, dtype=torch.int64), False, "must be a float tensor"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            check_pose(pose, "target_pose", batched)
        assert not isinstance(caught.value, UserError)
