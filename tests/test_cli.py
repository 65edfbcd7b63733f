import json
import subprocess
import sys

import pytest
import torch
from figures import copy_people
from PIL import Image

from sdgan_lib.checkpoints import load_checkpoint
from sdgan_lib.cli import main
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import REFERENCES, evaluate, of_generator
from sdgan_lib.generators import make_generator
from sdgan_lib.presets import PRESETS
from sdgan_lib.protocol import read_pose, write_pose


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return copy_people(tmp_path_factory.mktemp("people"), train=4, test=2)


@pytest.fixture(scope="module")
def run(people, tmp_path_factory):
    """A short run of the main job, as a user starts it."""
    runs = tmp_path_factory.mktemp("runs")
    command = [
        "train",
        "--data",
        people,
        "--steps",
        12,
        "--width",
        4,
        "--name",
        "try",
        "--runs",
        runs,
        "--seed",
        3,
    ]
    assert main([str(a) for a in [*command, "--device", "cpu"]]) == 0
    return runs / "try"


def test_the_main_job_leaves_its_results(run):
    assert {p.name for p in run.iterdir()} == {
        "checkpoint.pt",
        "log.jsonl",
        "metrics.json",
        "gallery.png",
        "deciles.png",
    }
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    assert {g: list(a) for g, a in metrics.items()} == {
        g: ["model", *REFERENCES] for g in ("same_camera", "all")
    }
    state = load_checkpoint(run / "checkpoint.pt")
    assert (state["step"], state["seed"], state["preset"]["generator"]["width"]) == (12, 3, 4)
    with Image.open(run / "gallery.png") as gallery:
        assert gallery.width > 7 * 64


def test_thirty_steps_of_training_show_on_people_never_seen(tmp_path):
    """End to end with the preset as it is: training must move the answer well beyond where it started.

    An untrained generator answers with the warped source, so beating the copied source proves nothing.
    """
    people = copy_people(tmp_path / "people", train=30, test=3)
    command = ["train", "--data", people, "--steps", 30, "--runs", tmp_path, "--device", "cpu"]
    assert main([str(a) for a in command]) == 0
    trained = json.loads((tmp_path / "sdgan" / "metrics.json").read_text())["metrics"]

    test = PersonPairs(people, "test", pairs="all")
    torch.manual_seed(0)
    untrained = make_generator(PRESETS["sdgan"].generator).eval()
    before = evaluate({"model": of_generator(untrained)}, test, quiet=True).means()
    for group, answers in trained.items():
        model = answers["model"]
        assert model["fg_l1"] < 0.95 * before[group]["model"]["fg_l1"], group
        assert model["fg_ssim"] > 1.05 * before[group]["model"]["fg_ssim"], group
        for name in ("copy_source", "mean_picture"):
            assert model["fg_l1"] < answers[name]["fg_l1"], (group, name)
            assert model["fg_ssim"] > answers[name]["fg_ssim"], (group, name)
            assert model["fg_psnr"] > answers[name]["fg_psnr"], (group, name)


def test_resume_goes_on(run, people, capsys):
    command = [
        "train",
        "--data",
        people,
        "--steps",
        14,
        "--name",
        "try",
        "--runs",
        run.parent,
        "--device",
        "cpu",
    ]
    assert main([str(a) for a in command]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([str(a) for a in [*command, "--resume", "--no-evaluate"]]) == 0
    assert load_checkpoint(run / "checkpoint.pt")["step"] == 14


def test_evaluate_repeats_the_table(run, people, capsys):
    assert main(["evaluate", str(run / "checkpoint.pt"), "--data", str(people), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("same-camera", "warp_only", "fg_ssim", "gallery.png"))


def test_generate_by_name_by_file_and_from_an_exported_checkpoint_agree(run, people, tmp_path):
    item = PersonPairs(people, "test", pairs="all")[0]
    source, target = item["source_name"], item["target_name"]
    write_pose(item["source_pose"], tmp_path / "source.json")
    write_pose(item["target_pose"], tmp_path / "target.json")
    picture = people / "people-dataset" / "test" / source
    assert main(["export", str(run / "checkpoint.pt"), str(tmp_path / "g.safetensors")]) == 0
    common = ["--data", str(people), "--device", "cpu"]
    calls = {
        "name": [str(run / "checkpoint.pt"), source, "--target", target],
        "file": [str(run / "checkpoint.pt"), str(picture), "--target", str(tmp_path / "target.json"),
                 "--source-pose", str(tmp_path / "source.json")],
        "exported": [str(tmp_path / "g.safetensors"), source, "--target", target],
    }  # fmt: skip
    made = {}
    for name, (checkpoint, source_argument, *rest) in calls.items():
        out = tmp_path / f"{name}.png"
        arguments = [
            "generate",
            "--checkpoint",
            checkpoint,
            "--source",
            source_argument,
            *rest,
            "--out",
            str(out),
        ]
        assert main(arguments + common) == 0
        with Image.open(out) as image:
            assert image.size == (64, 128)
            made[name] = torch.tensor(list(image.tobytes()), dtype=torch.float)
    assert torch.equal(made["name"], made["file"])
    assert (made["name"] - made["exported"]).abs().max() <= 6
    with Image.open(picture) as image:
        assert not torch.equal(
            made["name"], torch.tensor(list(image.convert("RGB").tobytes()), dtype=torch.float)
        )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["generate", "--target", "x"], "--source"),
        (
            ["generate", "--source", "nobody", "--target", "nobody"],
            "nobody: neither a file nor an annotated picture",
        ),
        (["evaluate", "none.pt"], "none.pt: no such checkpoint"),
        (["train", "--data", "nowhere"], "nowhere"),
    ],
)
def test_faults_of_the_user_end_in_one_line(arguments, message, people, capsys):
    if arguments[0] == "generate":
        arguments = [*arguments, "--data", str(people)]
    assert main(arguments) == 1
    err = capsys.readouterr().err.strip()
    assert message in err and "Traceback" not in err


def test_pose_files_are_checked_joint_by_joint(tmp_path):
    path = tmp_path / "pose.json"
    pose = torch.rand(18, 2) * 60
    pose[4] = torch.nan
    write_pose(pose, path)
    torch.testing.assert_close(read_pose(path), pose, equal_nan=True, atol=1e-3, rtol=0)
    good = [[1, 2]] * 18
    for wrong, message in (
        (good[:17], "17 entries"),
        ({"nose": [1, 2]}, "dict"),
        ([*good[:4], [1], *good[5:]], r"joint 4 \(Rwri\)"),
        ([*good[:7], ["1", 2], *good[8:]], r"joint 7 \(Lwri\)"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=message):
            read_pose(path)
    path.write_text("[[1, 2],")
    with pytest.raises(ValueError, match="not JSON"):
        read_pose(path)
    with pytest.raises(ValueError, match="no such pose file"):
        read_pose(tmp_path / "none.json")


def test_help_names_every_option():
    out = subprocess.run(
        [sys.executable, "-m", "sdgan_lib", "train", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("minutes", "steps", "system", "data", "width", "name", "seed", "resume", "device"):
        assert f"--{option}" in out


def test_check_passes_on_a_whole_data_set_and_fails_on_a_broken_one(people, tmp_path, capsys):
    assert main(["check", str(people)]) == 0
    broken = copy_people(tmp_path / "broken", train=1, test=1)
    next((broken / "people-dataset" / "train").iterdir()).unlink()
    assert main(["check", str(broken)]) == 1
    assert "people-dataset" in capsys.readouterr().out
