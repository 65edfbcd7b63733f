"""Photos of one person become a data set, and a generator learns that person from it."""

import shutil

import numpy as np
import pytest
import torch
from course import ROOT
from figures import ON_128X64
from PIL import Image

from data.frames.make import COUNT, IDENTITY, make
from sdgan_lib import frames
from sdgan_lib.checkpoints import load_checkpoint, load_generator, preset_to_dict, read_trained
from sdgan_lib.cli import main
from sdgan_lib.datasets import PersonPairs, check_dataset, open_split, read_mask
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import LIGHTNING, Person, crop_to_model, find_person, load_estimator
from sdgan_lib.evaluation import evaluate, of_generator
from sdgan_lib.frames import SHIPPED, make_frames
from sdgan_lib.pose import JOINT
from sdgan_lib.protocol import DatasetError

PHOTOS = ROOT / "data/frames/0253"


@pytest.fixture(scope="module")
def lightning():
    return load_estimator(LIGHTNING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six photos, what a folder holds besides, and three with which nothing can be done."""
    root = tmp_path_factory.mktemp("photos")
    for number in (1, 2, 3, 5, 6, 7):
        shutil.copy(PHOTOS / f"{number:02}.jpg", root / f"{number}.jpg")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "more").mkdir()
    (root / "words.txt").write_text("not a picture")
    Image.new("RGB", (64, 64), "grey").save(root / "nobody.png")
    with Image.open(PHOTOS / "12.jpg") as photo:
        photo.resize((photo.width // 5, photo.height // 5)).save(root / "small.png")
    return root


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory, lightning):
    problems = []
    root = tmp_path_factory.mktemp("made") / "frames"
    return root, make_frames([folder, folder / "1.jpg"], root, 2, problems.append, lightning), problems


def test_the_photos_are_those_that_the_script_makes(tmp_path):
    """As files they may differ from one Pillow to the next by a grey level."""
    for path in make(IDENTITY, tmp_path, 2):
        made, kept = (np.asarray(Image.open(file)).astype(int) for file in (path, PHOTOS / path.name))
        assert np.abs(made - kept).max() <= 16 and np.abs(made - kept).mean() < 0.5
    assert len(list(PHOTOS.glob("*.jpg"))) == COUNT
    other = make(IDENTITY, tmp_path / "other", 1, seed=1)[0]
    assert (
        np.abs(np.asarray(Image.open(other)).astype(int) - np.asarray(Image.open(PHOTOS / "01.jpg"))).mean()
        > 5
    )
    with pytest.raises(UserError, match=r"0999: nobody .* Remedy"):
        make("0999", tmp_path)


def test_a_folder_of_photos_becomes_a_data_set_that_is_whole(made):
    root, used, _ = made
    assert check_dataset(root) == []
    assert {split: [path.stem for path in paths] for split, paths in used.items()} == {
        "train": ["1", "3", "5", "7"],
        "test": ["2", "6"],
    }
    train, test = PersonPairs(root, "train", pairs="all"), PersonPairs(root, "test", pairs="all")
    assert (len(train), len(test)) == (4 * 3, 2) and train.has_masks and train.size == (128, 64)
    assert not train[0]["same_camera"]


def test_picture_pose_and_mask_are_those_of_the_person_in_the_photo(made, lightning):
    root, used, _ = made
    split = open_split(root, "train")
    with Image.open(used["train"][1]) as photo:
        cropped = crop_to_model(photo, find_person(photo, lightning).pose)
    picture = np.asarray(Image.open(split.image_path(1))).transpose(2, 0, 1) / 127.5 - 1
    np.testing.assert_allclose(picture, cropped.picture, atol=1 / 127)
    torch.testing.assert_close(split.poses[1], cropped.pose, rtol=0, atol=0.51, equal_nan=True)
    mask = read_mask(split.mask_path(1), split.size, split.size)[0]
    x, y = split.poses[1].nan_to_num(0).long().unbind(-1)
    on = mask[y, x][~split.poses[1].isnan().any(-1)]
    assert on.float().mean() > 0.8 and 0.1 < mask.float().mean() < 0.5


def test_each_photo_that_cannot_be_used_is_told_with_the_remedy(made):
    told = {problem.path.name: problem for problem in made[2]}
    words = {
        "words.txt": "not a picture",
        "nobody.png": "nobody was found",
        "small.png": "too small, some",
    }
    assert set(told) == set(words)
    for name, problem in told.items():
        assert words[name] in problem.message and problem.remedy


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        (["Rhip"], "a hip or a shoulder"),
        (["Rhip", "Lhip", "neck"], "neither trunk nor head"),
        (["nose", "Leye", "Reye", "Lear", "Rear", "Lank"], "only 12 of 18 joints"),
    ],
)
def test_a_person_who_cannot_be_measured_is_told(made, monkeypatch, missing, words):
    photo = made[1]["train"][0]
    pose = torch.tensor(ON_128X64).float()
    pose[[JOINT[name] for name in missing]] = torch.nan
    monkeypatch.setattr(frames, "find_person", lambda *_: Person(pose, torch.ones(18), 1.0))
    with pytest.raises(DatasetError, match=rf"{photo.name}: {words}.*Remedy"):
        make_frames([photo], made[0] / "none", 2, estimator=object())


def test_nothing_is_overwritten_and_too_few_photos_are_refused(made, tmp_path, lightning):
    root, used, _ = made
    with pytest.raises(DatasetError, match="it is there already"):
        make_frames(used["train"], root, 2, estimator=lightning)
    with pytest.raises(DatasetError, match=r"3 photos can be used, 4 are needed \(2 are held out\)"):
        make_frames(used["train"][:3], tmp_path / "few", 2, estimator=lightning)
    with pytest.raises(UserError, match="no photos: name files"):
        make_frames([], tmp_path / "few", 2, estimator=lightning)
    with pytest.raises(UserError, match="hold-out 1"):
        make_frames(used["train"], tmp_path / "few", 1, estimator=lightning)
    with pytest.raises(DatasetError, match=r"none\.jpg: no such file"):
        make_frames([tmp_path / "none.jpg"], tmp_path / "few", 2, estimator=lightning)
    assert not (tmp_path / "few").exists()


@pytest.mark.slow
def test_two_commands_teach_the_shipped_generator_a_person(folder, tmp_path, capsys):
    """Frames, then train: the person is painted better in poses of pictures that were held out, a few steps later."""
    data, runs = tmp_path / "data", tmp_path / "runs"
    photos = map(str, sorted(folder.glob("*.jpg")))
    assert main(["frames", *photos, "--out", str(data), "--hold-out", "2"]) == 0
    told = capsys.readouterr().out
    assert "train: 1.jpg, 3.jpg, 5.jpg, 7.jpg" in told and "no problem found" in told
    options = ["--data", str(data), "--runs", str(runs), "--device", "cpu"]
    assert main(["train", "--fine-tune", "--steps", "6", "--no-evaluate", *options]) == 0

    shipped, tuned = load_generator(SHIPPED), load_generator(runs / "fine-tuned/checkpoint.pt")
    answers = {"before": of_generator(shipped), "after": of_generator(tuned)}
    means = evaluate(answers, PersonPairs(data, "test", pairs="all"), quiet=True).means()["all"]
    assert means["after"]["fg_ssim"] > means["before"]["fg_ssim"] + 0.01
    assert means["after"]["fg_l1"] < means["before"]["fg_l1"]
    for name, weight in shipped.state_dict().items():
        kept = name.split(".")[0] in ("encoder", "background")
        assert torch.equal(weight, tuned.state_dict()[name]) == kept or not weight.numel(), name
    state = load_checkpoint(runs / "fine-tuned/checkpoint.pt")
    assert state["start"]["digest"] == read_trained(SHIPPED).digest
    assert state["preset"] == preset_to_dict(read_trained(SHIPPED).preset.fine_tuned())


def test_a_run_that_starts_from_a_generator_has_its_preset(made, tmp_path):
    options = ["--data", str(made[0]), "--runs", str(tmp_path), "--name", "own", "--device", "cpu"]
    options += ["--steps", "1", "--batch-size", "1", "--no-evaluate"]
    assert main(["train", "--start-from", str(SHIPPED), *options]) == 0
    own = load_checkpoint(tmp_path / "own/checkpoint.pt")["preset"]
    assert own["generator"] == preset_to_dict(read_trained(SHIPPED).preset)["generator"]
    assert own["losses"]["adversarial_weight"] > 0
