"""Reading data: what an item holds, which pairs there are, and that every fault is named with its remedy."""

import itertools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from sdgan_lib import datasets, protocol
from sdgan_lib.datasets import PersonPairs, check, check_dataset, open_split, split_identities
from sdgan_lib.pose import JOINT
from sdgan_lib.protocol import DatasetError, camera, identity

FIRST = "0001_c1s1_000000_01.jpg"
SECOND = "0001_c1s1_000001_01.jpg"
LAST = "0003_c2s1_000001_01.jpg"


def edit(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def annotation(root: Path, name: str = FIRST, split: str = "train") -> tuple[list[int], list[int]]:
    """(ys, xs) as the file has them, read without the library."""
    line = next(line for line in (root / f"people-annotation-{split}.csv").open() if line.startswith(name))
    _, ys, xs = line.split(":")
    return json.loads(ys), json.loads(xs)


def replace_annotation(root: Path, ys: str, xs: str, name: str = FIRST) -> None:
    old_ys, old_xs = annotation(root, name)
    edit(root / "people-annotation-train.csv", f"{name}: {old_ys}: {old_xs}", f"{name}: {ys}: {xs}")


# ---------------------------------------------------------------------------------------------- what is read


def test_item_holds_what_the_files_hold(people_root: Path) -> None:
    replace_annotation(people_root, *(str([-1, *values[1:]]) for values in annotation(people_root)))
    data = PersonPairs(people_root)
    item = next(item for item in data if item["source_name"] == FIRST and item["target_name"] == SECOND)
    assert item["same_camera"] is True
    for role, name in (("source", FIRST), ("target", SECOND)):
        picture = np.asarray(Image.open(people_root / "people-dataset/train" / name), np.float32)
        torch.testing.assert_close(item[f"{role}_image"], torch.tensor(picture).permute(2, 0, 1) / 127.5 - 1)
        mask = np.asarray(Image.open(people_root / "people-masks/train" / name.replace("jpg", "png")))
        assert torch.equal(item[f"{role}_mask"], torch.tensor(mask)[None].float())
        ys, xs = annotation(people_root, name)
        expected = torch.tensor([xs, ys]).T.float()
        expected[expected == -1] = torch.nan
        torch.testing.assert_close(item[f"{role}_pose"], expected, equal_nan=True, rtol=0, atol=0)
    assert item["source_pose"][0].isnan().all()
    assert not item["target_pose"].isnan().any()


def test_batches_come_from_the_plain_loader(people_root: Path) -> None:
    batch = next(iter(DataLoader(PersonPairs(people_root, pairs="all"), batch_size=5, num_workers=2)))
    assert batch["source_image"].shape == batch["target_image"].shape == (5, 3, 128, 64)
    assert batch["source_pose"].shape == batch["target_pose"].shape == (5, 18, 2)
    assert batch["source_mask"].shape == batch["target_mask"].shape == (5, 1, 128, 64)
    assert batch["source_image"].min() >= -1 and batch["source_image"].max() <= 1
    assert batch["same_camera"].tolist() == [True, False, False, True, False]
    assert len(batch["source_name"]) == 5


def test_same_camera_and_all_pairs(people_root: Path) -> None:
    names = [path.name for path in sorted((people_root / "people-dataset/train").iterdir())]
    person = [pair for pair in itertools.permutations(names, 2) if pair[0][:4] == pair[1][:4]]
    for choice, expected in (("all", person), ("same-camera", [p for p in person if p[0][5:7] == p[1][5:7]])):
        data = PersonPairs(people_root, pairs=choice)
        assert {(item["source_name"], item["target_name"]) for item in data} == set(expected)
        assert len(data) == len(expected)
    assert len(person) == 3 * 4 * 3 and len(expected) == 3 * 2 * 2
    with pytest.raises(ValueError, match="'same-camera' or 'all'"):
        PersonPairs(people_root, pairs="cross-camera")
    with pytest.raises(ValueError, match="split is 'val'"):
        PersonPairs(people_root, "val")


def test_pairs_are_made_when_their_file_is_missing(make_dataset: Callable[..., Path]) -> None:
    """The rule of pose-gan: ordered, one identity, hips and shoulders present, no junk."""
    root = make_dataset(pairs=False)
    images, masks = root / "people-dataset/train", root / "people-masks/train"
    table = root / "people-annotation-train.csv"
    ys, xs = annotation(root)
    for junk in ("-1_c1s1_000000_01", "-1_c1s1_000001_01", "0000_c1s1_000000_01", "0000_c1s1_000001_01"):
        (images / f"{junk}.jpg").write_bytes((images / FIRST).read_bytes())
        (masks / f"{junk}.png").write_bytes((masks / FIRST.replace("jpg", "png")).read_bytes())
        table.write_text(table.read_text() + f"{junk}.jpg: {ys}: {xs}\n")
    hip, wrist = JOINT["Lhip"], JOINT["Lwri"]
    for name, joint in ((FIRST, hip), (SECOND, wrist)):
        ys, xs = annotation(root, name)
        ys[joint] = xs[joint] = -1
        replace_annotation(root, str(ys), str(xs), name)
    names = [p.name for p in images.iterdir() if p.name[:4] in ("0001", "0002", "0003") and p.name != FIRST]
    expected = {pair for pair in itertools.permutations(names, 2) if pair[0][:4] == pair[1][:4]}
    data = PersonPairs(root, pairs="all")
    assert {(data.names[a], data.names[b]) for a, b in data.pairs.tolist()} == expected
    assert any(SECOND in pair for pair in expected)


def test_made_pairs_equal_those_of_the_file(people_root: Path) -> None:
    read = PersonPairs(people_root, "test", pairs="all").pairs
    (people_root / "people-pairs-test.csv").unlink()
    made = PersonPairs(people_root, "test", pairs="all").pairs
    assert sorted(made.tolist()) == sorted(read.tolist()) and len(made) == 2 * 4 * 3


def test_market_without_masks(make_dataset: Callable[..., Path]) -> None:
    data = PersonPairs(make_dataset(prefix="market", masks=False), "test")
    assert not data.has_masks
    assert set(data[0]) == {
        *(
            "source_image",
            "source_pose",
            "source_name",
            "target_image",
            "target_pose",
            "target_name",
            "same_camera",
        )
    }
    assert data.identities() == ["0004", "0005"]


def test_masks_can_be_left_out(people_root: Path) -> None:
    (people_root / "people-masks/train" / FIRST.replace("jpg", "png")).unlink()
    data = PersonPairs(people_root, masks=False)
    assert not data.has_masks and "source_mask" not in data[0]


def test_deepfashion_has_no_camera(make_dataset: Callable[..., Path]) -> None:
    root = make_dataset(prefix="fasion", size=(64, 64), masks=False, pairs=False)
    with pytest.raises(DatasetError, match=r"no camera.*Remedy: choose pairs='all'"):
        PersonPairs(root)
    data = PersonPairs(root, pairs="all")
    assert len(data) == 3 * 4 * 3 and data[0]["same_camera"] is False
    assert data[0]["source_image"].shape == (3, 64, 64)
    assert data.identities()[0] == "fasionWOMENDressesid0000000101"


@pytest.mark.parametrize(
    ("name", "who", "where"),
    [
        ("0432_c5s1_105323_05.jpg", "0432", 5),
        ("-1_c3s2_096719_00.jpg", "-1", 3),
        ("fasionWOMENDressesid0000271801_4full.jpg", "fasionWOMENDressesid0000271801", None),
        ("fashionWOMENBlouses_Shirtsid0000635004_1front.jpg", "fashionWOMENBlouses_Shirtsid0000635004", None),
        ("anna.jpg", "anna", None),
    ],
)
def test_names_tell_identity_and_camera(name: str, who: str, where: int | None) -> None:
    assert identity(name) == who
    assert camera(name) == where


def test_prefix_is_found_or_chosen(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    root = make_dataset(name="both", prefix="market")
    make_dataset(name="both2", prefix="people")
    assert open_split(root).layout.prefix == "market"
    for path in (tmp_path / "both2").iterdir():
        path.rename(root / path.name)
    with pytest.raises(DatasetError, match=r"more than one data set here: market, people.*prefix='market'"):
        PersonPairs(root)
    assert PersonPairs(root, prefix="people").data.layout.prefix == "people"
    with pytest.raises(DatasetError, match=r"looked for PREFIX-annotation-train\.csv"):
        PersonPairs(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        PersonPairs(tmp_path / "nowhere")


def test_tables_from_other_systems(people_root: Path) -> None:
    """A byte order mark, Windows line ends, blank lines and spaces change nothing."""
    before = PersonPairs(people_root)
    for name in ("people-annotation-train.csv", "people-pairs-train.csv"):
        text = (people_root / name).read_text().replace("\n", "\r\n").replace(",0", ", 0") + "\r\n\r\n"
        (people_root / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    after = PersonPairs(people_root)
    assert after.names == before.names and torch.equal(after.pairs, before.pairs)
    assert torch.equal(after.poses, before.poses)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.one_of(st.none(), st.tuples(st.integers(0, 63), st.integers(0, 127))), min_size=18, max_size=18
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_annotation_is_read_back(tmp_path_factory: pytest.TempPathFactory, poses: list) -> None:
    path = tmp_path_factory.mktemp("table") / "people-annotation-train.csv"
    lines = ["name:keypoints_y:keypoints_x"]
    for i, pose in enumerate(poses):
        ys, xs = ([-1 if joint is None else joint[axis] for joint in pose] for axis in (1, 0))
        lines.append(f"{i:04d}_c1s1_000000_00.jpg: {ys}: {xs}")
    path.write_text("\n".join(lines))
    rows = protocol.read_annotations(path, protocol.stop)
    for i, pose in enumerate(poses):
        row, read = rows[f"{i:04d}_c1s1_000000_00.jpg"]
        assert row == i + 2
        assert [None if joint[0] != joint[0] else tuple(joint) for joint in read.tolist()] == pose


# ------------------------------------------------------------------------------------------ size and memory


@pytest.mark.parametrize("size", [(64, 32), (256, 128), (64, 96)])
def test_resizing_moves_picture_mask_and_pose_together(people_root: Path, size: tuple[int, int]) -> None:
    """A blob around the left wrist stays around the left wrist, to a fiftieth of a pixel."""
    ys, xs = annotation(people_root)
    x, y = xs[JOINT["Lwri"]], ys[JOINT["Lwri"]]
    grid_y, grid_x = np.mgrid[:128, :64]
    blob = 255 * np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * 4**2))
    picture = Image.fromarray(np.repeat(blob[..., None].round().astype(np.uint8), 3, axis=2))
    picture.save(people_root / "people-dataset/train" / FIRST, quality=100, subsampling=0)
    Image.fromarray(blob > 60).save(people_root / "people-masks/train" / FIRST.replace("jpg", "png"))
    data = PersonPairs(people_root, size=size)
    item = next(item for item in data if item["source_name"] == FIRST)
    assert item["source_image"].shape == (3, *size) and item["source_mask"].shape == (1, *size)
    wrist = item["source_pose"][JOINT["Lwri"]]
    out_y, out_x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    picture_weight = (item["source_image"].mean(0) + 1).clamp(min=0.05) - 0.05
    for weight, tolerance in ((picture_weight, 0.05), (item["source_mask"][0], 0.3)):
        centre = torch.stack([(weight * out_x).sum(), (weight * out_y).sum()]) / weight.sum()
        torch.testing.assert_close(centre, wrist, rtol=0, atol=tolerance)


def test_construction_opens_few_pictures(
    make_dataset: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_dataset(frames=6)
    opened = []
    monkeypatch.setattr(
        datasets.Image, "open", lambda path, real=Image.open: opened.append(path) or real(path)
    )
    data = PersonPairs(root)
    assert 0 < len(opened) <= 12 < len(data.names)


def test_pictures_are_decoded_once_and_memory_is_bounded(
    people_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = datasets.read_image
    monkeypatch.setattr(datasets, "read_image", lambda *a: decoded.append(a[0]) or real(*a))
    data = PersonPairs(people_root, pairs="all")
    first, again = list(data), list(data)
    assert len(decoded) == len(set(decoded)) == len(data.names) == 12
    assert all(torch.equal(a["source_image"], b["source_image"]) for a, b in zip(first, again, strict=True))

    decoded.clear()
    list(data.subset_identities(["0001"]))
    assert decoded == []  # shared with the whole

    assert len(pickle.dumps(data)) < 50_000  # a worker does not get the pictures sent
    assert torch.equal(pickle.loads(pickle.dumps(data))[3]["target_image"], data[3]["target_image"])

    monkeypatch.setattr(datasets, "MEMORY_LIMIT", 4 * 128 * 64 * 4)  # four pictures with their masks
    data = PersonPairs(people_root, pairs="all")
    list(data)
    assert len(data._pictures.kept) == 4
    data = PersonPairs(people_root, pairs="all", keep_in_memory=False)
    list(data)
    assert len(data._pictures.kept) == 0


def test_nothing_is_written_beside_the_data(people_root: Path) -> None:
    before = sorted(people_root.rglob("*"))
    list(PersonPairs(people_root, size=(64, 32)))
    check_dataset(people_root)
    assert sorted(people_root.rglob("*")) == before


# ------------------------------------------------------------------------------------------------ identities


def test_validation_identities_are_disjoint(make_dataset: Callable[..., Path]) -> None:
    data = PersonPairs(make_dataset(), pairs="all")
    train, validation = split_identities(data, 1 / 3, seed=0)
    assert len(validation.identities()) == 1 and len(train.identities()) == 2
    assert set(train.identities()) | set(validation.identities()) == {"0001", "0002", "0003"}
    assert len(train) + len(validation) == len(data)
    for part in (train, validation):
        assert {item["source_name"][:4] for item in part} == set(part.identities())
    assert split_identities(data, 1 / 3, seed=0)[1].identities() == validation.identities()
    chosen = {split_identities(data, 1 / 3, seed)[1].identities()[0] for seed in range(20)}
    assert chosen == {"0001", "0002", "0003"}
    for fraction in (0.0, 0.1, 1.0):
        with pytest.raises(ValueError, match="leaves one of the two parts empty"):
            split_identities(data, fraction, seed=0)
    with pytest.raises(ValueError, match="no pair of identity 0009; the first is 0001"):
        data.subset_identities(["0001", "0009"])


# ----------------------------------------------------------------------------------- as people have data sets


def test_names_with_folders_and_stray_files(people_root: Path) -> None:
    """Folders in the names change nothing but the names, and files that systems leave are overlooked."""
    before = PersonPairs(people_root, pairs="all")
    first = before[0]
    for split in ("train", "test"):
        for folder in ("dataset", "masks"):
            root = people_root / f"people-{folder}" / split
            below = root / "WOMEN/Blouses"
            below.mkdir(parents=True)
            for path in list(root.glob("*.*")):
                path.rename(below / path.name)
            for stray in (root / ".DS_Store", below / "Thumbs.db", below / f"._{FIRST}"):
                stray.write_bytes(b"\0")
        for table in ("annotation", "pairs"):
            path = people_root / f"people-{table}-{split}.csv"
            head, *rows = path.read_text().splitlines()
            named = [row.replace("000", "WOMEN/Blouses/000", 1) if table == "annotation" else
                     ",".join(f"WOMEN/Blouses/{name}" for name in row.split(",")) for row in rows]  # fmt: skip
            path.write_text("\n".join([head, *named]) + "\n")
    assert check_dataset(people_root) == []
    after = PersonPairs(people_root, pairs="all")
    assert after.names == [f"WOMEN/Blouses/{name}" for name in before.names]
    assert torch.equal(after.pairs, before.pairs) and after.identities() == before.identities()
    assert torch.equal(after[0]["source_image"], first["source_image"])
    assert torch.equal(after[0]["source_mask"], first["source_mask"])


@pytest.mark.parametrize("name", ["../train/{}", "/etc/{}", "a/../../{}", "a\0{}"])
def test_names_that_lead_out_of_the_folder(people_root: Path, name: str) -> None:
    edit(people_root / TRAIN, f"\n{LAST}:", "\n" + name.format(LAST) + ":")
    problems = check_dataset(people_root)
    assert problems[0].row == 13 and "leads out of the data set" in problems[0].message


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation_is_applied_to_pictures_of_a_data_set(people_root: Path, orientation: int) -> None:
    """A set whose pictures are stored turned is the set of upright pictures."""
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    folder = people_root / "people-dataset/train"
    exif = Image.Exif()
    exif[0x112] = orientation
    upright = {}
    for path in folder.iterdir():
        picture = Image.open(path).convert("RGB")
        upright[path.name] = torch.tensor(np.asarray(picture)).permute(2, 0, 1)
        picture.transpose(turned[orientation]).save(path, format="PNG", exif=exif)
    assert check_dataset(people_root) == []
    data = PersonPairs(people_root)
    assert data.size == (128, 64)
    for item in data:
        torch.testing.assert_close((item["source_image"] + 1) * 127.5, upright[item["source_name"]].float())


def test_the_same_fault_in_many_rows_is_one_line(people_root: Path, capsys: pytest.CaptureFixture) -> None:
    lines = (people_root / TRAIN).read_text().splitlines()
    wide = [line.replace("]", ", 3]", 1) for line in lines[2:]]
    absent = [f"0009_c1s1_{i:06d}_01.jpg: {lines[1].split(': ', 1)[1]}" for i in range(12_936)]
    off = [f"{lines[1].split(': ')[0]}: {[*range(17), 500]}: {list(range(18))}"]
    (people_root / TRAIN).write_text("\n".join([lines[0], *off, *wide, *absent]) + "\n")
    for path in sorted((people_root / "people-dataset/test").iterdir())[:5]:
        truncate(path)
    for path in sorted((people_root / "people-masks/test").iterdir())[:4]:
        Image.new("1", (64, 128)).save(path)
    assert check(people_root) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "Remedy: " in line]
    for start, text, count in (
        (f"{people_root / TRAIN}, row 3: {SECOND}", "expected 18 y coordinates", "11 rows"),
        (f"{people_root / TRAIN}, row 14: there is no picture", "0009_c1s1_000000_01.jpg", "12,936 rows"),
        (f"{people_root / PAIRS}, row 2: ", "is unknown", "36 rows"),
        (f"{people_root / 'people-dataset/test'}", "the picture cannot be read", "5 files"),
        (f"{people_root / 'people-masks/test'}", "the mask marks no pixel", "4 files"),
    ):
        found = [line for line in lines if line.startswith(start) and text in line]
        assert len(found) == 1 and f"(so in {count})" in found[0], (start, lines)
    assert len(lines) < 10


@pytest.mark.parametrize("size", [(100, 50), (16, 16), (128, 72)])
def test_a_size_that_no_system_takes_is_told_by_check(
    make_dataset: Callable[..., Path], size: tuple[int, int]
) -> None:
    problems = check_dataset(make_dataset(size=size))
    assert len(problems) == 2
    for problem, split in zip(problems, ("train", "test"), strict=True):
        assert problem.path.name == split and f"the pictures are {size[0]}x{size[1]}" in problem.message
        assert "divisible by 16" in problem.remedy


def test_hostile_numbers_in_a_table(people_root: Path) -> None:
    """Each is a fault of its row, told in a line of bounded length."""
    ys, xs = annotation(people_root, LAST)
    for value in (
        "[" * 100_000,
        f"[1{'0' * 400}]",
        f"[{'1' * 5000}]",
        "[NaN]",
        "[[[]]]",
        "null",
        '"' + "a" * 9999,
    ):
        for hostile in (value, str([*ys[:-1], "VALUE"]).replace("'VALUE'", value.strip("[]"))):
            replace_annotation(people_root, hostile, str(xs), LAST)
            before = (people_root / TRAIN).read_text()
            problems = check_dataset(people_root)
            assert problems[0].path.name == TRAIN, hostile[:20]
            assert len(str(problems[0])) < 1000
            (people_root / TRAIN).write_text(before.replace(f"{LAST}: {hostile}: ", f"{LAST}: {ys}: "))


def test_what_pairs_say_of_themselves(people_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(people_root.parent)
    data = PersonPairs(people_root.name, pairs="all", masks=False)
    found = data.description()
    assert json.loads(json.dumps(found)) == found
    digest = found.pop("digest")
    assert found == {
        "name": "people", "root": str(people_root), "split": "train", "pictures": 12, "identities": 3, "pairs": 36,
        "kind": "all", "size": [128, 64], "masks": False, "licence": "",
    }  # fmt: skip
    (people_root / "LICENCE.txt").write_text("\n CC BY 4.0 \nmore\n")
    assert PersonPairs(people_root).description() | {"digest": ""} == found | {
        "kind": "same-camera", "pairs": 12, "masks": True, "licence": "CC BY 4.0", "digest": "",
    }  # fmt: skip

    def others() -> dict[str, str]:
        return {
            "the same": PersonPairs(people_root, pairs="all").description()["digest"],
            "size": PersonPairs(people_root, pairs="all", size=(64, 32)).description()["digest"],
            "kind": PersonPairs(people_root).description()["digest"],
            "part": data.subset_identities(["0001"]).description()["digest"],
            "split": PersonPairs(people_root, "test", pairs="all").description()["digest"],
        }

    digests = others()
    assert len(digest) == 64 and digests["the same"] == digest and len(set(digests.values())) == 5
    ys, xs = annotation(people_root)
    replace_annotation(people_root, str([-1, *ys[1:]]), str([-1, *xs[1:]]))
    moved = others()
    assert all((moved[key] == digests[key]) is (key == "split") for key in digests if key != "part")


# ---------------------------------------------------------------------------------------------------- faults


TRAIN, PAIRS = "people-annotation-train.csv", "people-pairs-train.csv"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def resize(path: Path) -> None:
    Image.open(path).resize((32, 64)).save(path)


def lists(root: Path) -> tuple[list[int], list[int]]:
    return annotation(root, LAST)


# name: (what is done to the data set; file, row (or None), message and remedy that must be named).
# Row faults concern the last picture, so that the others stay usable.
FAULTS: dict[str, tuple[Callable[[Path], object], str, int | None, str, str]] = {
    "missing picture": (
        lambda root: (root / "people-dataset/train" / LAST).unlink(),
        *(TRAIN, 13, f"there is no picture .*{LAST}", "add the picture or delete the row"),
    ),
    "missing mask": (
        lambda root: (root / "people-masks/train" / LAST.replace("jpg", "png")).unlink(),
        *(TRAIN, 13, "there is no mask", "add it, or remove .*people-masks"),
    ),
    "truncated JPEG": (
        lambda root: truncate(root / "people-dataset/train" / LAST),
        *(f"people-dataset/train/{LAST}", None, "truncated", "copy it again"),
    ),
    "not a picture": (
        lambda root: (root / "people-dataset/train" / LAST).write_text("hello"),
        *(f"people-dataset/train/{LAST}", None, "not a picture", "copy it again"),
    ),
    "truncated mask": (
        lambda root: truncate(root / "people-masks/train" / LAST.replace("jpg", "png")),
        *(f"people-masks/train/{LAST.replace('jpg', 'png')}", None, "truncated", "copy it again"),
    ),
    "picture of another size": (
        lambda root: resize(root / "people-dataset/train" / LAST),
        *(
            f"people-dataset/train/{LAST}",
            None,
            "it is 64x32, the others 128x64",
            "resize it and its annotation",
        ),
    ),
    "mask of another size": (
        lambda root: resize(root / "people-masks/train" / LAST.replace("jpg", "png")),
        *(
            f"people-masks/train/{LAST.replace('jpg', 'png')}",
            None,
            "it is 64x32, the others 128x64",
            "resize it",
        ),
    ),
    "mask of zeros and ones": (
        lambda root: Image.fromarray(np.ones((128, 64), np.uint8)).save(
            root / "people-masks/train" / LAST.replace("jpg", "png")
        ),
        *(f"people-masks/train/{LAST.replace('jpg', 'png')}", None, "marks no pixel", "as 255"),
    ),
    "17 joints": (
        lambda root: replace_annotation(root, *(str(values[:17]) for values in lists(root)), LAST),
        *(TRAIN, 13, f"{LAST}: expected 18 y coordinates.*got 17", "18 whole numbers, y first"),
    ),
    "np.int64 in JSON": (
        lambda root: replace_annotation(root, str([np.int64(3)] * 18), str(lists(root)[1]), LAST),
        *(TRAIN, 13, r"np\.int64\(3\).* is not a JSON list", r"NumPy 2.*json.dumps\(\[int\(v\)"),
    ),
    "not a list": (
        lambda root: replace_annotation(root, "3", str(lists(root)[1]), LAST),
        *(TRAIN, 13, "'3' is not a JSON list", "two JSON lists of 18"),
    ),
    "half a joint": (
        lambda root: replace_annotation(root, str([-1, *lists(root)[0][1:]]), str(lists(root)[1]), LAST),
        *(TRAIN, 13, "nose is missing in one coordinate only", "-1 in both"),
    ),
    "joint outside": (
        lambda root: replace_annotation(root, str(lists(root)[0]), str([64, *lists(root)[1][1:]]), LAST),
        *(TRAIN, 13, r"nose \(x = 64, y = 20\) is outside the 128x64 picture\. ", "or write -1 in both"),
    ),
    "x and y swapped": (
        lambda root: replace_annotation(root, str(lists(root)[1]), str(lists(root)[0]), LAST),
        *(TRAIN, 13, "x and y swapped would fit", "x and y look swapped: keypoints_y .* comes first"),
    ),
    "two rows for one picture": (
        lambda root: edit(root / TRAIN, f"\n{LAST}", f"\n{FIRST}"),
        *(TRAIN, 13, f"{FIRST} has row 2 already", "delete one of the two"),
    ),
    "field too many": (
        lambda root: edit(root / TRAIN, f"\n{LAST}:", f"\n{LAST}: 1:"),
        *(TRAIN, 13, "4 fields, expected 3", "write name:keypoints_y:keypoints_x"),
    ),
    "annotation columns swapped": (
        lambda root: edit(root / TRAIN, "keypoints_y:keypoints_x", "keypoints_x:keypoints_y"),
        *(
            TRAIN,
            1,
            "header is 'name:keypoints_x:keypoints_y'",
            "the columns are swapped.*keypoints_y:keypoints_x",
        ),
    ),
    "annotation header missing": (
        lambda root: edit(root / TRAIN, "name:keypoints_y:keypoints_x\n", ""),
        *(TRAIN, 1, "the header is '0001_c1s1", "write header and columns as name:keypoints_y:keypoints_x"),
    ),
    "annotation file missing": (
        lambda root: (root / TRAIN).unlink(),
        *(TRAIN, None, "no such file", "check the name"),
    ),
    "annotation file empty": (
        lambda root: (root / TRAIN).write_text("name:keypoints_y:keypoints_x\n"),
        *(TRAIN, None, "no usable row", "annotate the pictures"),
    ),
    "annotation file not text": (
        lambda root: (root / TRAIN).write_bytes((root / "people-dataset/train" / FIRST).read_bytes()),
        *(TRAIN, None, "not text", "UTF-8"),
    ),
    "picture folder missing": (
        lambda root: (root / "people-dataset/train").rename(root / "people-dataset/training"),
        *("people-dataset/train", None, "folder not found", "put the pictures there"),
    ),
    "no picture readable": (
        lambda root: [path.write_text("") for path in (root / "people-dataset/train").iterdir()],
        *("people-dataset/train", None, "no picture can be read", "copy the data set again"),
    ),
    "pair columns swapped": (
        lambda root: edit(root / PAIRS, "from,to", "to,from"),
        *(PAIRS, 1, "header is 'to,from', expected 'from,to'", "the columns are swapped: .*from,to"),
    ),
    "pair header missing": (
        lambda root: edit(root / PAIRS, "from,to\n", ""),
        *(PAIRS, 1, "the header is '0001_c1s1", "write header and columns as from,to"),
    ),
    "pair with an unknown picture": (
        lambda root: edit(root / PAIRS, f"{FIRST},{SECOND}", f"{FIRST},0001_c9s9_000000_01.jpg"),
        *(PAIRS, 2, "0001_c9s9_000000_01.jpg is unknown", "correct the annotation, or delete the row"),
    ),
    "pair of two persons": (
        lambda root: edit(root / PAIRS, f"{FIRST},{SECOND}", f"{FIRST},{LAST}"),
        *(PAIRS, 2, "0001 and 0003 are two persons", "delete the row"),
    ),
    "pair without a hip": (
        lambda root: replace_annotation(
            root, *(str([*v[:8], -1, *v[9:]]) for v in annotation(root, SECOND)), SECOND
        ),
        *(PAIRS, 2, rf"{SECOND} is junk, or lacks a hip.*so in 6 rows", "correct the annotation"),
    ),
    "pair of one": (
        lambda root: edit(root / PAIRS, f"{FIRST},{SECOND}", FIRST),
        *(PAIRS, 2, "1 fields, expected 2", "write from,to"),
    ),
    "no usable pair in the file": (
        lambda root: (root / PAIRS).write_text("from,to\n"),
        *(PAIRS, None, "no usable pair", "two pictures of one identity, both hips"),
    ),
    "no usable pair to make": (
        lambda root: (
            (root / PAIRS).unlink(),
            (root / TRAIN).write_text("".join((root / TRAIN).read_text().splitlines(True)[:2])),
        ),
        *(TRAIN, None, "no usable pair", "two pictures of one identity, both hips"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named(people_root: Path, fault: str) -> None:
    spoil, file, row, message, remedy = FAULTS[fault]
    spoil(people_root)
    where = f"{people_root / file}, row {row}: " if row else f"{people_root / file}: "
    with pytest.raises(DatasetError, match=f"{message}.*Remedy: .*{remedy}") as caught:
        for _ in PersonPairs(people_root, pairs="all"):
            pass
    assert str(caught.value).startswith(where)
    problems = check_dataset(people_root)
    assert caught.value.problem in problems


def test_check_lists_everything_at_once(people_root: Path, capsys: pytest.CaptureFixture) -> None:
    """A fault in nearly every file: none hides another, and one bad row is not blamed once for each pair."""
    assert check(people_root) == 0
    out = capsys.readouterr().out
    assert (
        "people train: 12 pictures of 3 identities, 128x64 (height x width), 36 pairs (12 of one camera)"
        in out
    )
    assert "people test: 8 pictures of 2 identities" in out and out.endswith("no problem found\n")

    table = people_root / TRAIN
    test_table = people_root / "people-annotation-test.csv"
    edit(test_table, "0005_c2s1_000000_01.jpg: [", "0005_c2s1_000000_01.jpg: [7, ")
    edit(people_root / "people-pairs-test.csv", "from,to", "to,from")
    truncate(people_root / "people-dataset/test/0004_c1s1_000000_01.jpg")
    names = ("17 joints", "pair with an unknown picture")
    for name in names:
        FAULTS[name][0](people_root)
    truncate(people_root / "people-dataset/train" / FIRST)
    truncate(people_root / "people-masks/train" / FIRST.replace("jpg", "png"))
    resize(people_root / "people-dataset/train" / SECOND)

    assert check(people_root) == 1
    out = capsys.readouterr().out
    expected = [
        *(f"{people_root / FAULTS[name][1]}, row {FAULTS[name][2]}: " for name in names),
        f"{people_root / PAIRS}, row 28: {LAST} is unknown, it has no usable row in {table} (so in 6 rows).",
        f"{test_table}, row 8: 0005_c2s1_000000_01.jpg: expected 18 y coordinates, one per joint, got 19",
        f"{people_root / 'people-pairs-test.csv'}, row 1: the header is 'to,from'",
        f"{people_root / 'people-pairs-test.csv'}: no usable pair",
        f"{people_root / 'people-dataset/test/0004_c1s1_000000_01.jpg'}: the picture cannot be read",
        f"{people_root / 'people-dataset/train' / FIRST}: the picture cannot be read",
        f"{people_root / 'people-masks/train' / FIRST.replace('jpg', 'png')}: the picture cannot be read",
        f"{people_root / 'people-dataset/train' / SECOND}: it is 64x32",
    ]
    lines = out.splitlines()
    for start in expected:
        assert sum(line.startswith(start) for line in lines) == 1, start
    assert f"{len(expected)} problems" == lines[-1]


def test_check_notices_an_identity_in_both_splits(people_root: Path) -> None:
    for folder in ("dataset", "masks"):
        for path in (people_root / f"people-{folder}/test").glob("0005*"):
            path.rename(path.with_name(path.name.replace("0005", "0003")))
    for table in ("annotation", "pairs"):
        path = people_root / f"people-{table}-test.csv"
        path.write_text(path.read_text().replace("0005", "0003"))
    (problem,) = check_dataset(people_root)
    assert problem.message == "1 identities are in both splits, 0003 among them"
    assert problem.path == people_root


def test_check_of_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert check(tmp_path) == 1
    assert "looked for" in capsys.readouterr().out


def test_one_odd_picture_does_not_speak_for_all(people_root: Path) -> None:
    resize(people_root / "people-dataset/train" / FIRST)
    assert open_split(people_root).size == (128, 64)
    assert [problem.path.name for problem in check_dataset(people_root)] == [FIRST]


def test_fault_met_in_a_worker_keeps_its_text(people_root: Path) -> None:
    truncate(people_root / "people-dataset/train" / LAST)
    with pytest.raises(DatasetError, match=rf"^[^\n]*{LAST}: the picture cannot be read[^\n]*$") as caught:
        for _ in DataLoader(PersonPairs(people_root), batch_size=4, num_workers=1):
            pass
    message = str(caught.value)
    assert (
        message.startswith(str(people_root)) and message.isprintable() and "Remedy: copy it again" in message
    )


def test_check_on_the_command_line(people_root: Path) -> None:
    command = [sys.executable, "-m", "sdgan_lib", "check", str(people_root)]
    truncate(people_root / "people-dataset/train" / LAST)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert f"{LAST}: the picture cannot be read" in done.stdout and "1 problems" in done.stdout
