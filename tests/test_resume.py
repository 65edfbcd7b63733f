"""A resumed run is the run that was interrupted: its pairs, its sizes, its seed, whatever the command line says."""

import shutil

import pytest
from figures import copy_people, differences

from sdgan_lib.checkpoints import load_checkpoint
from sdgan_lib.cli import main
from sdgan_lib.training import Trainer, read_log

OWN = ("--pairs", "all", "--batch-size", 3, "--width", 4, "--seed", 5, "--checkpoint-minutes", 0)
"""Choices that are not those of the preset."""


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return copy_people(tmp_path_factory.mktemp("other") / "people", train=2, test=1)


def train(runs, *options) -> int:
    """The command line's train; its exit status."""
    command = ["train", "--runs", runs, "--name", "r", "--device", "cpu", "--no-evaluate", *options]
    return main([str(part) for part in command])


def interrupted(runs, monkeypatch, after: int, *options) -> None:
    """A run whose process ends within a step, after so many whole ones."""
    step = Trainer.train_step

    def dying(self, batch, progress):
        if self.step == after:
            raise KeyboardInterrupt
        return step(self, batch, progress)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "train_step", dying)
        assert train(runs, *options) == 130
    assert load_checkpoint(runs / "r" / "checkpoint.pt")["step"] == after


@pytest.mark.slow
def test_all_pairs_in_other_batches_of_other_data_go_on_bit_for_bit(people, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole, "--data", people, *OWN, "--steps", 12) == 0
    interrupted(broken, monkeypatch, 5, "--data", people, *OWN, "--steps", 12)
    assert (
        train(broken, "--resume") == 0
    )  # says nothing: pairs, batch, width, seed, data and budget are the run's own
    states = [load_checkpoint(runs / "r" / "checkpoint.pt") for runs in (whole, broken)]
    assert states[1]["data"]["kind"] == "all" and states[1]["data"]["root"] == str(people.resolve())
    assert differences(*({k: v for k, v in state.items() if k != "seconds"} for state in states)) == []
    logs = [[line | {"seconds": 0} for line in read_log(runs / "r")] for runs in (whole, broken)]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [10]


@pytest.mark.parametrize(
    ("option", "own"),
    [
        (("--pairs", "same-camera"), "all"),
        (("--batch-size", 8), "3"),
        (("--width", 8), "4"),
        (("--seed", 0), "5"),
        (("--system", "baseline"), "sdgan"),
        (("--system", "sdgan-paper"), "sdgan"),
        (("--start-from", "data/checkpoints/sdgan.safetensors"), "fresh weights"),
    ],
)
def test_an_option_that_contradicts_the_run_is_refused_with_both_values(
    people, tmp_path, capsys, option, own
):
    assert train(tmp_path, "--data", people, *OWN, "--steps", 1) == 0
    before = (tmp_path / "r" / "checkpoint.pt").read_bytes()
    assert train(tmp_path, "--resume", "--steps", 2, *option) == 1
    told = capsys.readouterr().err
    assert f"{option[0]} {option[1]} contradicts {tmp_path / 'r'}, which was started with {own}" in told
    assert (tmp_path / "r" / "checkpoint.pt").read_bytes() == before


def test_an_option_that_says_what_the_run_is_anyway_is_taken(people, tmp_path):
    assert train(tmp_path, "--data", people, *OWN, "--steps", 1) == 0
    assert train(tmp_path, "--resume", "--data", people, "--system", "sdgan", *OWN, "--steps", 2) == 0
    assert load_checkpoint(tmp_path / "r" / "checkpoint.pt")["step"] == 2


def test_data_that_have_moved_are_found_by_what_they_are_and_others_are_refused(people, tmp_path, capsys):
    moved = shutil.copytree(people, tmp_path / "before")
    assert train(tmp_path, "--data", moved, *OWN, "--steps", 1) == 0
    moved = moved.rename(tmp_path / "after")
    assert train(tmp_path, "--resume", "--steps", 2) == 1
    assert f"{tmp_path / 'before'}: there is no such folder" in capsys.readouterr().err
    assert train(tmp_path, "--resume", "--steps", 2, "--data", moved) == 0
    lines = (moved / "people-pairs-train.csv").read_text().splitlines()
    (moved / "people-pairs-train.csv").write_text("\n".join(lines[:-1]) + "\n")
    assert train(tmp_path, "--resume", "--steps", 3, "--data", moved) == 1
    told = capsys.readouterr().err
    assert (
        f"was started with {len(lines) - 1:,} pairs (all)" in told and f"not with {len(lines) - 2:,}" in told
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--batch-size", 0),
        ("--width", 0),
        ("--minutes", "nan"),
        ("--minutes", 0),
        ("--steps", 0),
        ("--seed", -1),
        ("--seed", 2**40),
        ("--checkpoint-minutes", "inf"),
        ("--workers", -1),
    ],
)
def test_impossible_numbers_are_told_by_the_options_name_before_anything_is_written(
    people, tmp_path, capsys, option, value
):
    assert train(tmp_path / "runs", "--data", people, option, value) == 1
    assert f"{option} {value}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b", "a\nb"])
def test_a_name_is_that_of_one_folder(people, tmp_path, capsys, name):
    command = ["train", "--data", people, "--runs", tmp_path / "runs", "--name", name]
    assert main([str(part) for part in command]) == 1
    assert "--name" in capsys.readouterr().err and not (tmp_path / "runs").exists()
