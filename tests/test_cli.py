import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from figures import copy_people
from PIL import Image

from sdgan_lib.checkpoints import load_checkpoint
from sdgan_lib.cli import Check, main
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import crop_to_model, find_person
from sdgan_lib.evaluation import REFERENCES, evaluate, of_generator
from sdgan_lib.generators import make_generator
from sdgan_lib.images import to_uint8
from sdgan_lib.motion import WALK, read_poses, write_poses
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
        ".lock",
        "checkpoint.pt",
        "log.jsonl",
        "metrics.json",
        "table.md",
        "gallery.png",
        "deciles.png",
    }
    metrics = json.loads((run / "metrics.json").read_text())["metrics"]
    assert {g: list(a) for g, a in metrics.items()} == {
        g: ["model", *REFERENCES] for g in ("same_camera", "all")
    }
    found = {name: means["pck"] for name, means in metrics["all"].items() if "pck" in means}
    assert found.keys() == {"model", *REFERENCES} - {"fill_source"}  # nobody is in the filled source
    assert found["target_itself"] > 0.8 > found["copy_source"]
    state = load_checkpoint(run / "checkpoint.pt")
    assert (state["step"], state["seed"], state["preset"]["generator"]["width"]) == (12, 3, 4)
    with Image.open(run / "gallery.png") as gallery:
        assert gallery.width > 7 * 64


@pytest.mark.slow
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
        assert model["fg_l1"] < 0.98 * before[group]["model"]["fg_l1"], group
        assert model["fg_ssim"] > 1.1 * before[group]["model"]["fg_ssim"], group
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


@pytest.mark.slow
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
    checkpoint = shutil.copy(run / "checkpoint.pt", tmp_path)  # another test may have trained the run further
    assert main(["export", str(checkpoint), str(tmp_path / "g.safetensors")]) == 0
    common = ["--data", str(people), "--device", "cpu"]
    calls = {
        "name": [str(checkpoint), source, "--target", target],
        "file": [str(checkpoint), str(picture), "--target", str(tmp_path / "target.json"),
                 "--source-pose", str(tmp_path / "source.json")],
        "exported": [str(tmp_path / "g.safetensors"), source, "--target", target],
    }  # fmt: skip
    made = {}
    for name, (file, source_argument, *rest) in calls.items():
        out = tmp_path / f"{name}.png"
        arguments = [
            "generate",
            "--checkpoint",
            file,
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


def test_animate_by_name_and_by_files_and_as_a_strip(run, people, tmp_path):
    item = PersonPairs(people, "test", pairs="all")[0]
    source = item["source_name"]
    write_pose(item["source_pose"], tmp_path / "source.json")
    picture = people / "people-dataset" / "test" / source
    checkpoint = shutil.copy(run / "checkpoint.pt", tmp_path)
    common = ["--checkpoint", str(checkpoint), "--data", str(people), "--device", "cpu"]
    name, file, strip = (tmp_path / out for out in ("name.gif", "deep/file.gif", "strip.png"))
    assert main(["animate", "--source", source, "--out", str(name), *common]) == 0
    files = ["--source", str(picture), "--source-pose", str(tmp_path / "source.json"), "--poses", str(WALK)]
    assert main(["animate", *files, "--out", str(file), *common]) == 0
    assert name.read_bytes() == file.read_bytes()
    with Image.open(name) as gif:
        assert gif.n_frames == 12 and gif.size == (3 * 64, 3 * 128)
        gif.seek(5)
        sixth = torch.tensor(np.asarray(gif.convert("RGB")).astype(int))
    larger = tmp_path / "larger.json"
    write_poses(2 * read_poses(WALK) + 5, larger, (300, 150))
    assert main(["animate", "--source", source, "--poses", str(larger), "--out", str(file), *common]) == 0
    with Image.open(file) as gif:
        gif.seek(5)
        fitted = torch.tensor(np.asarray(gif.convert("RGB")).astype(int))
    assert (fitted - sixth).abs().float().mean() < 2, "poses of any size are brought to the person's"
    assert main(["animate", *files, "--out", str(strip), "--scale", "1", *common]) == 0
    with Image.open(strip) as image:
        assert image.size == (12 * 64, 128)
        cut = torch.tensor(np.asarray(image)[:, 5 * 64 : 6 * 64].astype(int))
    assert (sixth[1::3, 1::3] - cut).abs().float().mean() < 4, "frames of the strip are those of the GIF"


def test_a_photo_needs_no_pose(people, tmp_path, capsys):
    """The person is found in a larger picture and cut out as if it were one of the data set's."""
    test = PersonPairs(people, "test", pairs="all")
    item, last = test[0], test[len(test) - 1]
    with Image.open(people / "people-dataset" / "test" / item["source_name"]) as small:
        photo = Image.new("RGB", (900, 600), (90, 120, 90))
        photo.paste(small.resize((256, 512), Image.Resampling.BICUBIC), (500, 60))
    photo.save(tmp_path / "me.jpg", quality=95)
    common = ["--checkpoint", "data/checkpoints/sdgan.safetensors", "--data", str(people), "--device", "cpu"]

    def made(source, *options):
        assert main([*options, "--source", str(source), "--out", str(tmp_path / "made.png"), *common]) == 0
        with Image.open(tmp_path / "made.png") as image:
            return np.asarray(image).astype(float)

    by_name = ["generate", "--target", item["target_name"]]
    photographed, named = made(tmp_path / "me.jpg", *by_name), made(item["source_name"], *by_name)
    assert photographed.shape == named.shape == (128, 64, 3)
    far = np.abs(made(last["source_name"], *by_name) - named).mean()
    assert np.abs(photographed - named).mean() < 0.6 * far, "much the same picture as with its own pose"

    # a pose in pixels of the photo lands where the person stands: its own pose changes little
    write_pose((item["source_pose"] + 0.5) * 4 - 0.5 + torch.tensor([500, 60]), tmp_path / "there.json")
    still = made(tmp_path / "me.jpg", "generate", "--target", str(tmp_path / "there.json"))
    with Image.open(tmp_path / "me.jpg") as photo:
        cropped = to_uint8(crop_to_model(photo, find_person(photo).pose).picture).astype(float)
    assert np.abs(still - cropped).mean() < 13
    assert made(tmp_path / "me.jpg", "animate", "--scale", "1").shape == (128, 12 * 64, 3)

    Image.new("RGB", (300, 200), "grey").save(tmp_path / "nobody.png")
    for command in (by_name, ["animate"]):
        arguments = [*command, "--source", str(tmp_path / "nobody.png"), "--out", str(tmp_path / "none.png")]
        assert main([*arguments, *common]) == 1
        err = capsys.readouterr().err
        assert "nobody.png: nobody was found in it. Remedy: " in err and "--source-pose" in err
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        (
            ["--out", "me.mp4"],
            "me.mp4: its ending '.mp4' is not that of a moving picture. Remedy: choose .gif",
        ),
        (["--poses", "swim"], "swim: no sequence of poses"),
        (["--poses", "none.json"], "none.json: no such file"),
        (["--scale", "0"], "--scale 0: a whole number of 1 to 16"),
        (["--frames-per-second", "60"], "--frames-per-second 60: more than 0 and at most 50"),
        (["--source", "nobody"], "nobody: neither a file nor an annotated picture"),
        (["--checkpoint", "none.pt"], "none.pt: no such checkpoint"),
        (["--size", "100", "50"], "100x50 (height x width) is not a size that this generator takes"),
    ],
)
def test_animate_names_what_is_wrong(options, message, people, tmp_path, capsys):
    defaults = {"--source": "0251_c1s1_000001_01", "--out": str(tmp_path / "me.gif"), "--data": str(people)}
    arguments = [*(a for option in defaults.items() if option[0] not in options for a in option), *options]
    assert main(["animate", *arguments, "--device", "cpu"]) == 1
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments, message",
    [
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


@pytest.mark.parametrize("option", ["--source", "--target"])
def test_generate_needs_a_person_and_a_pose(option, capsys):
    other = {"--source": "--target", "--target": "--source"}[option]
    with pytest.raises(SystemExit) as caught:
        main(["generate", other, "x"])
    assert caught.value.code == 2 and option in capsys.readouterr().err


def of_the_user():
    """Each kind of fault that ends in one line, with what the line must hold."""
    return {
        "told": (UserError("a.txt: wrong\x1b[31m"), r"a.txt: wrong\x1b[31m"),
        "no permission": (
            PermissionError(errno.EACCES, "Permission denied", "a.txt"),
            "a.txt: permission denied. Rem",
        ),
        "full disk": (
            OSError(errno.ENOSPC, "No space left on device"),
            "no space left on device. Remedy: free some",
        ),
        "long name": (OSError(errno.ENAMETOOLONG, "File name too long", "n" * 300), "choose a shorter name"),
        "control characters": (
            FileNotFoundError(errno.ENOENT, "No such file", "a\x1b]0;b\x07"),
            r"a\x1b]0;b\x07: no such",
        ),
    }


@pytest.mark.parametrize("fault", of_the_user())
def test_faults_of_files_and_the_system_end_in_one_line(fault, monkeypatch, capsys):
    error, text = of_the_user()[fault]

    def run(self):
        raise error

    monkeypatch.setattr(Check, "run", run)
    assert main(["check"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("sdgan_lib: ") and text in err and err.count("\n") == 1 and err[:-1].isprintable()


@pytest.mark.parametrize(
    "fail",
    [
        lambda: torch.zeros(2) + torch.zeros(3),  # RuntimeError
        lambda: torch.nn.functional.interpolate(torch.zeros(1, 1, 2, 2)),  # ValueError
        lambda: {}["key"],
    ],
    ids=["RuntimeError", "ValueError", "KeyError"],
)
def test_a_fault_of_the_code_keeps_its_traceback(fail, monkeypatch):
    with pytest.raises((RuntimeError, ValueError, KeyError)) as expected:
        fail()
    monkeypatch.setattr(Check, "run", lambda self: fail())
    with pytest.raises(expected.type) as caught:
        main(["check"])
    assert str(caught.value) == str(expected.value) and caught.traceback[-1].name != "main"


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    def run(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Check, "run", run)
    assert main(["check"]) == 130 and capsys.readouterr().err == ""


def test_a_terminal_that_cannot_print_every_character(people, tmp_path):
    broken = copy_people(tmp_path / "größe", train=1, test=1)
    next((broken / "people-dataset" / "train").iterdir()).unlink()
    command = [sys.executable, "-m", "sdgan_lib", "check", str(broken)]
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 1 and b"gr\\xf6\\xdfe" in done.stdout and b"Traceback" not in done.stderr


def test_a_reader_that_has_gone(people):
    """`check | head -0`: nothing is said, and no traceback."""
    command = f"{sys.executable} -m sdgan_lib check {people} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


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
    with pytest.raises(ValueError, match=r"not JSON .*null for a missing joint"):
        read_pose(path)
    with pytest.raises(ValueError, match="no such file or directory"):
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
