"""The files of data sets and poses: what is written is what is read, in every form that the field writes."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sdgan_lib.errors import UserError
from sdgan_lib.pose import JOINT, JOINTS
from sdgan_lib.protocol import (
    DatasetError,
    camera,
    find_layout,
    identity,
    is_junk,
    is_stray,
    make_pairs,
    misplaced,
    read_annotations,
    read_pairs,
    read_pose,
    stop,
    write_annotations,
    write_pairs,
    write_pose,
)

PEOPLE = Path("data/people")
POINTS = [[i + 1, 2 * i + 1] for i in range(18)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_embedded_tables_are_written_byte_for_byte(tmp_path: Path, split: str) -> None:
    layout = find_layout(PEOPLE)
    rows = read_annotations(layout.annotations(split), stop)
    names, poses = list(rows), torch.stack([pose for _, pose in rows.values()])
    write_annotations(tmp_path / "a.csv", names, poses)
    assert (tmp_path / "a.csv").read_bytes() == layout.annotations(split).read_bytes()
    pairs = read_pairs(layout.pairs(split), layout.annotations(split), names, poses, stop)
    write_pairs(tmp_path / "p.csv", names, pairs)
    assert (tmp_path / "p.csv").read_bytes() == layout.pairs(split).read_bytes()
    if split == "train":
        assert sorted(make_pairs(names, poses).tolist()) == sorted(pairs.tolist())


@pytest.mark.parametrize("name", ["a:b.jpg", "a\nb.jpg", " a.jpg", "", 'a".jpg', "a\x1b.jpg"])
def test_a_name_that_a_table_cannot_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a table"):
        write_annotations(tmp_path / "a.csv", [name], torch.zeros(1, 18, 2))
    with pytest.raises(ValueError, match="cannot stand in a table"):
        write_pairs(tmp_path / "p.csv", [name.replace(":", ","), "b.jpg"], torch.tensor([[0, 1]]))
    assert not list(tmp_path.iterdir())


def test_names_with_folders() -> None:
    assert identity("MEN/Denim/id_00000080/01_1_front.jpg") == "MEN/Denim/id_00000080/01"
    assert identity("MEN/Denim/id_00000080/01_7_additional.jpg") == "MEN/Denim/id_00000080/01"
    assert identity("MEN/Denim/id_00000081/01_1_front.jpg") != identity(
        "MEN/Denim/id_00000080/01_1_front.jpg"
    )
    assert identity("a/0432_c5s1_105323_05.jpg") == "0432" and camera("a/0432_c5s1_105323_05.jpg") == 5
    assert is_junk("a/-1_c3s2_096719_00.jpg") and not is_junk("a/0001_c3s2_096719_00.jpg")
    assert [is_stray(name) for name in (".DS_Store", "a/Thumbs.db", "a/._b.jpg", "desktop.ini", "b.jpg")] == [
        True, True, True, True, False,
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- poses


def openpose(points: list, **person: object) -> dict:
    numbers = [value for point in points for value in (*point, 0.9)]
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": numbers, **person}]}


def coco() -> list[float]:
    """COCO's 17 key points: joint i of its order at (i, 10 + i), none missing."""
    return [value for i in range(17) for value in (i, 10 + i, 2)]


def test_the_pose_that_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pose.json"
    pose = torch.rand(18, 2) * 60
    pose[4] = torch.nan
    write_pose(pose, path)
    torch.testing.assert_close(read_pose(path), pose, equal_nan=True, atol=1e-3, rtol=0)
    assert [p.name for p in path.parent.iterdir()] == ["pose.json"]
    with pytest.raises(ValueError):
        write_pose(pose * math.inf, path)
    with pytest.raises(ValueError, match=r"\[18, 2\]"):
        write_pose(pose[None], path)
    torch.testing.assert_close(read_pose(path), pose, equal_nan=True, atol=1e-3, rtol=0)


def read(tmp_path: Path, content: object) -> torch.Tensor:
    path = tmp_path / "t.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_pose(path)


def test_openpose(tmp_path: Path) -> None:
    expected = torch.tensor(POINTS).float()
    assert torch.equal(read(tmp_path, openpose(POINTS)), expected)
    middle, feet = [99, 99], [[98, 98]] * 6
    body_25 = [*POINTS[:8], middle, *POINTS[8:], *feet]
    assert torch.equal(read(tmp_path, "\ufeff" + json.dumps(openpose(body_25))), expected)
    missing = openpose(POINTS)
    missing["people"][0]["pose_keypoints_2d"][3 * 4 : 3 * 5] = [0, 0, 0]
    found = read(tmp_path, missing)
    assert found[4].isnan().all() and torch.equal(found[5:], expected[5:])


@pytest.mark.parametrize("wrap", [dict, lambda a: [a], lambda a: {"images": [], "annotations": [a]}])
def test_coco(tmp_path: Path, wrap: Callable[[dict], object]) -> None:
    """An annotation by itself, in a list of results, in a whole file."""
    numbers = coco()
    numbers[3 * 9 : 3 * 10] = [0, 0, 0]  # left wrist
    pose = read(tmp_path, wrap({"keypoints": numbers, "num_keypoints": 16, "bbox": [0, 0, 9, 9]}))
    order = ("nose", "Leye", "Reye", "Lear", "Rear", "Lsho", "Rsho", "Lelb", "Relb", "Lwri", "Rwri", "Lhip", "Rhip",
             "Lkne", "Rkne", "Lank", "Rank")  # fmt: skip
    for i, name in enumerate(order):
        expected = [math.nan] * 2 if name == "Lwri" else [i, 10 + i]
        torch.testing.assert_close(pose[JOINT[name]], torch.tensor(expected).float(), equal_nan=True)
    assert pose[JOINT["neck"]].tolist() == [5.5, 15.5]
    numbers[3 * 5 + 2] = 0  # left shoulder
    assert read(tmp_path, wrap({"keypoints": numbers}))[JOINT["neck"]].isnan().all()


@pytest.mark.parametrize("form", ["points", "openpose", "coco"])
def test_every_form_that_is_written_is_read(tmp_path: Path, form: str) -> None:
    pose = torch.tensor(POINTS).float() + torch.rand(18, 2, generator=torch.Generator().manual_seed(0))
    pose[JOINT["neck"]] = (
        pose[JOINT["Rsho"]] + pose[JOINT["Lsho"]]
    ) / 2  # where COCO, which has none, puts it
    pose[[JOINT["Rwri"], JOINT["Lear"]]] = torch.nan
    path = tmp_path / "pose.json"
    write_pose(pose, path, form)
    torch.testing.assert_close(read_pose(path), pose, equal_nan=True, atol=1e-3, rtol=0)
    kind = {"points": (list, 18), "openpose": (dict, 2), "coco": (list, 1)}[form]
    found = json.loads(path.read_text())
    assert (type(found), len(found)) == kind


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="points, openpose, coco, not 'openPose'"):
        write_pose(torch.zeros(18, 2), tmp_path / "pose.json", "openPose")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (POINTS[:17], "17 entries instead of a list of 18 joints"),
        ({"nose": [1, 2]}, "dict instead of a list"),
        ([*POINTS[:4], [1], *POINTS[5:]], r"joint 4 \(Rwri\) is \[1\]"),
        ([*POINTS[:7], ["1", 2], *POINTS[8:]], r"joint 7 \(Lwri\)"),
        ([*POINTS[:7], [True, 2], *POINTS[8:]], r"joint 7 \(Lwri\)"),
        ([*POINTS[:7], [10**400, 2], *POINTS[8:]], r"joint 7 \(Lwri\)"),
        ([*POINTS[:7], [1e308, 2], *POINTS[8:]], r"joint 7 \(Lwri\)"),
        ("[[1, 2],", "not JSON"),
        ("[" + ", ".join(["[1e999, 1]"] * 18) + "]", r"joint 0 \(nose\)"),
        ("[" + ", ".join(["[NaN, 1]"] * 18) + "]", "NaN is no JSON"),
        ("[" + ", ".join(["[Infinity, 1]"] * 18) + "]", "Infinity is no JSON"),
        ("[" + ",".join(["[1" + "0" * 400 + ",1]"] * 18) + "]", r"joint 0 \(nose\)"),
        ("[" + "1" * 5000 + "]", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "{}," * 500_000 + "{}]", "more than 1,048,576 bytes"),
        ("", "not JSON"),
        ({"people": []}, "0 people instead of one"),
        ({"people": [{}, {}]}, "2 people instead of one: keep the one"),
        ({"people": [{}]}, "no 'pose_keypoints_2d'"),
        (openpose(POINTS[:15]), "45 numbers instead of 3 x 18 or 3 x 25 for its OpenPose joints"),
        ({"people": [{"pose_keypoints_2d": ["x"] * 54}]}, "'x' among its OpenPose joints"),
        ({"keypoints": coco()[:-3]}, "48 numbers instead of 3 x 17 for its COCO key points"),
        ({"annotations": [{"keypoints": coco()}] * 2}, "2 annotations instead of one"),
    ],
)
def test_a_pose_file_that_is_wrong_is_named(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 't.json'}: ")
    assert "null for a missing joint" in str(caught.value) and len(str(caught.value)) < 700


STANDING = torch.tensor([[32.0, 10 + 6 * i] for i in range(18)])
INSIDE = STANDING.clone().fill_(-0.25)
INSIDE[1] = 60


@pytest.mark.parametrize(
    ("pose", "message", "remedy"),
    [
        (
            torch.full((18, 2), -1.0),
            r"nose \(x = -1, y = -1\) is outside the 128x64 picture",
            "write null for a miss",
        ),
        (STANDING.index_fill(0, torch.tensor([4]), -1), "Rwri", "write null for a missing joint"),
        (STANDING * 4, "nose .* outside the 128x64", "pixels of this picture"),
        (STANDING.flip(1), "x and y swapped would fit", "exchange them"),
        (STANDING / 128, "within one pixel of the top left", "not shares of the picture's size"),
        (STANDING * torch.nan, "no joint is given", "write the joints that are seen"),
        (STANDING.index_fill(0, torch.tensor([4]), torch.inf), r"Rwri \(x = inf", "pixels of this picture"),
    ],
)
def test_a_pose_must_lie_on_its_picture(pose: torch.Tensor, message: str, remedy: str) -> None:
    found = misplaced(pose, (128, 64))
    assert found is not None
    with pytest.raises(UserError, match=message):
        raise UserError(found[0])
    assert remedy in found[1]


def test_a_pose_that_lies_on_its_picture() -> None:
    one = torch.full((len(JOINTS), 2), torch.nan)
    one[3] = torch.tensor([0.0, 0.0])
    for pose in (STANDING, INSIDE, one, STANDING.index_fill(0, torch.tensor([4]), torch.nan)):
        assert misplaced(pose, (128, 64)) is None


# ---------------------------------------------------------------------------------------------------- places


def test_stray_files_make_no_second_data_set(people_root: Path) -> None:
    for name in ("._people-annotation-train.csv", ".hidden-dataset"):
        (people_root / name).write_bytes(b"\0")
    assert find_layout(people_root).prefix == "people"


def test_where_a_relative_folder_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=f"data/people: there is no such folder in {tmp_path}"):
        find_layout("data/people")
    (tmp_path / "f").write_text("")
    with pytest.raises(DatasetError, match=f"f: it is a file in {tmp_path}"):
        find_layout("f")
    with pytest.raises(DatasetError, match=rf"^\.: no data set here, in {tmp_path}"):
        find_layout(".")
    with pytest.raises(UserError, match=f"t.json: no such file or directory in {tmp_path}"):
        read_pose("t.json")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(DatasetError, match="a working directory that is gone"):
        find_layout("data/people")
