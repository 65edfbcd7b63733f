"""study.py: the file, its runs, what is measured once, differences, and the report."""

import json
import math
import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from figures import STANDING
from PIL import Image

from sdgan_lib import study
from sdgan_lib.checkpoints import export_generator, load_checkpoint
from sdgan_lib.cli import Study as Command
from sdgan_lib.cli import main
from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import REFERENCES, Estimate, held_out
from sdgan_lib.presets import PRESETS
from sdgan_lib.reports import COLUMNS, MORE, effect, effects_overview, effects_table
from sdgan_lib.study import read_study, runs_of, train_in_processes
from sdgan_lib.training import Budget, Trainer

SHIPPED = Path("data/studies/four_systems.toml")
TINY = """
steps = 2

[[entry]]
name = "plain"
preset = "baseline"
generator.width = 2
recipe.batch_size = 2
system = true
seeds = [0, 1]
says = "one stream"

[[entry]]
name = "stacked"
preset = "sdgan"
generator = { width = 2, composition = false }
recipe = { batch_size = 2, half_size = 0.0 }
system = true
seeds = [3]
against = ["plain"]
says = "three scales"
"""


class Looking:
    """Stands in for MoveNet, which would take minutes: joints and features that depend on the picture alone."""

    def look(self, pictures):
        bright = pictures.mean((1, 2, 3)).view(-1, 1, 1)
        pose = torch.tensor(STANDING) * 32 + 30 * bright
        return pose, pictures[:, 0, :6, :3].flatten(1) / 2 + 0.5, pictures.flatten(1)[:, :40].clone()


def write(folder: Path, text: str = TINY) -> Path:
    (folder / "tiny.toml").write_text(text)
    return folder / "tiny.toml"


# --- the file -------------------------------------------------------------------------------------


def test_the_study_of_the_four_systems_takes_the_presets_as_they_stand():
    """Whoever trained a preset by `train --steps 2000` has trained the study's entry of that name."""
    plan = read_study(SHIPPED)
    entries = {entry.name: entry for entry in plan.entries}
    systems = [name for name, entry in entries.items() if entry.system]
    assert {"baseline", "deformable", "sdgan"} <= set(systems)
    assert plan.budget == Budget(steps=2000)
    assert all(entries[name].preset == PRESETS[name] and entries[name].seeds == (0, 1, 2) for name in systems)
    assert all(len(entry.seeds) == 2 for entry in plan.entries if not entry.system)
    assert (
        len({entry.preset.recipe.batch_size for entry in plan.entries}) == 1
    )  # equal steps are equal pairs seen
    changed = {name: entry.preset for name, entry in entries.items()}
    assert not changed["sdgan-no-composition"].generator.composition
    assert not changed["sdgan-no-attention"].generator.attention
    assert changed["sdgan-no-adversarial"].losses == replace(PRESETS["sdgan"].losses, adversarial_weight=0.0)
    for name, like in {"sdgan-plain": "deformable", "deformable-losses": "sdgan"}.items():
        assert (changed[name].losses, changed[name].recipe) == (PRESETS[like].losses, PRESETS[like].recipe)


def test_the_study_of_larger_pictures_changes_stacking_alone():
    flat, stacked = read_study(SHIPPED.with_name("larger.toml")).entries
    assert flat.preset.generator == replace(stacked.preset.generator, system="sdgan-flat")
    assert (flat.preset.losses, flat.preset.recipe) == (stacked.preset.losses, stacked.preset.recipe)
    assert flat.seeds == stacked.seeds and stacked.against == ("sdgan-flat",)
    assert flat.preset.generator.accepts(256, 128) and flat.preset.generator.accepts(128, 64)


def test_an_entry_is_its_preset_with_what_it_changes(tmp_path):
    plain, stacked = read_study(write(tmp_path)).entries
    before = PRESETS["baseline"]
    assert plain.preset == replace(
        before, generator=replace(before.generator, width=2), recipe=replace(before.recipe, batch_size=2)
    )
    assert (stacked.seeds, stacked.against, stacked.says) == ((3,), ("plain",), "three scales")
    runs = [run.name for run in runs_of(read_study(write(tmp_path)), tmp_path)]
    assert runs == ["plain@0", "stacked@3", "plain@1"]  # the first seed of each before the second of any


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("steps = 2", "steps = ", "tiny.toml: not TOML .*line 2"),
        ("steps = 2", "", "no budget, or two"),
        ("steps = 2", "steps = 0", "steps >= 1"),
        ("steps = 2", 'steps = "2"', "budget"),
        ("steps = 2", "steps = 2\nwidth = 4", "unknown: width"),
        ('"baseline"', '"unet"', "'plain': preset is one of baseline, .*, not 'unet'"),
        ("width = 2\n", "widht = 2\n", "'plain': generator.widht is unknown; generator has system, width"),
        ("width = 2\n", 'width = "2"\n', "'plain': generator.width is '2', and not a whole number"),
        ("composition = false", 'composition = "false"', "'stacked': .*and not true or false"),
        ("width = 2\n", "levels = [4, 8]\n", "'plain': levels needs depth"),
        ("half_size = 0.0", "half_size = 2", "'stacked': half_size is a share"),
        ("half_size = 0.0", "betas = [0.5]", "'stacked': recipe.betas is .*a list as the default"),
        ("system = true", "sytem = true", "'plain': sytem is unknown; an entry has name, preset, seeds"),
        ("seeds = [0, 1]\n", "", "'plain': seeds is missing"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "'plain': seeds are different"),
        ("seeds = [0, 1]", "seeds = [true]", "'plain': seeds is"),
        ('name = "stacked"', 'name = "plain"', "'plain' is there twice"),
        ('name = "stacked"', 'name = "a/b"', "'a/b': its name is that of a folder"),
        ('name = "stacked"', 'name = "warp_only"', "no reference's"),
        (
            'against = ["plain"]',
            'against = ["plane"]',
            "'stacked': against 'plane'.*Remedy: name one of plain",
        ),
        ("[[entry]]", "[entry]", "tiny.toml: "),
    ],
)
def test_faults_of_the_file_name_file_entry_and_remedy(tmp_path, old, new, told):
    path = write(tmp_path, TINY.replace(old, new, 2 if old == "[[entry]]" else 1))
    with pytest.raises(UserError, match=told) as caught:
        read_study(path)
    assert str(path) in str(caught.value) and "Remedy: " in str(caught.value)


# --- runs and report ------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped_and_measures_nothing_twice(
    make_dataset, tmp_path, monkeypatch, capsys
):
    people = make_dataset(size=(32, 32))
    pairs = people / "people-pairs-test.csv"
    pairs.write_text(
        "\n".join(pairs.read_text().splitlines()[:1:-2]).join(["from,to\n", "\n"])
    )  # of both persons
    file, runs = write(tmp_path), tmp_path / "runs"
    common = [str(file), "--runs", str(runs), "--data", str(people), "--device", "cpu", "--quiet"]
    step = Trainer.train_step

    def interrupted(trainer, *arguments):
        if trainer.scales != (1,):
            signal.raise_signal(signal.SIGINT)
        return step(trainer, *arguments)

    with monkeypatch.context() as patch:  # Ctrl-C in the first step of the second run
        patch.setattr(Trainer, "train_step", interrupted)
        assert main(["study", *common]) == 130
    assert load_checkpoint(runs / "stacked@3" / "checkpoint.pt")["step"] == 1
    assert not (runs / "plain@1").exists() and not (runs / "table.md").exists()

    monkeypatch.setattr(study, "load_estimator", lambda device: Looking())
    evaluated = []
    evaluate = study.evaluate
    monkeypatch.setattr(
        study, "evaluate", lambda a, *r, **k: evaluated.append(list(a)) or evaluate(a, *r, **k)
    )
    capsys.readouterr()
    assert main(["study", *common, "--only", "stacked"]) == 0
    said = capsys.readouterr().out
    assert (
        "stacked@3: goes on" in said and "stacked@3: 2 steps, 4 pairs seen" in said and "plain@1" not in said
    )
    assert evaluated == [["plain@0"], ["stacked@3"], list(REFERENCES)]
    first = json.loads((runs / "metrics.json").read_text())
    assert main(["study", *common]) == 0
    assert evaluated[3:] == [["plain@1"]]  # all else was kept
    files = {name: (runs / name).read_bytes() for name in ("table.md", "effects.md", "metrics.json")}
    kept = runs / "plain@0" / study.VALUES
    kept.write_bytes(b"no")
    assert main(["study", *common, "--no-train"]) == 0
    assert evaluated[4:] == [["plain@0"]]  # and what is kept says the same as what is measured anew
    assert files == {name: (runs / name).read_bytes() for name in files}
    last = json.loads(files["metrics.json"])
    for group, answers in first["metrics"].items():
        assert {name: last["metrics"][group][name] for name in answers} == answers
    assert last["runs"]["plain@1"]["pairs_seen"] == 4
    table = files["table.md"].decode()
    assert "3 of 3 runs, 2 steps each" in table
    assert re.search(
        r"\| plain \| one stream \| 0, 1 \| 0\.\d\d \| 4 \| 0\.\d \|", table
    )  # seeds, weights, pairs seen, minutes
    gap = last["metrics"]["all"]["stacked@3"]["fg_l1"] - sum(
        last["metrics"]["all"][f"plain@{seed}"]["fg_l1"] / 2 for seed in (0, 1)
    )
    assert last["effects"]["stacked against plain"]["all"]["fg_l1"]["mean"] == pytest.approx(gap)
    own = json.loads((runs / "plain@0" / "metrics.json").read_text())
    assert own["metrics"]["all"]["model"] == last["metrics"]["all"]["plain@0"]
    assert set(own["metrics"]["all"]) == {"model", *REFERENCES}
    exported = export_generator(runs / "plain@0" / "checkpoint.pt", tmp_path / "plain.safetensors")
    assert exported.metrics == own["metrics"]
    sizes = {name: Image.open(runs / name).size for name in ("fig4.png", "fig5.png")}
    assert sizes["fig4.png"][0] > 5 * 64 and sizes["fig5.png"][0] > 6 * 64  # columns

    test, digest = held_out(people), last["runs"]["plain@0"]["digest"]

    def measure():
        return study.measured(kept, lambda: 1 / 0, test, digest, Looking)

    assert list(measure().values) == ["plain@0"]
    changes = [
        (study, "ARCHITECTURE", 0),
        (test, "pairs", test.pairs.flip(0)),
        (study.metrics, "__file__", __file__),
    ]
    for changed in changes:  # networks, pairs, or metrics: what was measured is of no use
        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(*changed)
            measure()

    capsys.readouterr()
    write(tmp_path, TINY.replace("width = 2\n", "width = 3\n"))
    assert main(["study", *common]) == 1
    assert "plain@0: it was begun with another recipe" in (said := capsys.readouterr().err)
    assert "generator.width 2 instead of 3" in said and "Remedy: " in said
    write(tmp_path)
    assert main(["study", *common, "--steps", "3"]) == 1
    assert "budget '2 steps' instead of '3 steps'" in capsys.readouterr().err
    assert main(["study", *common, "--only", "sdgan"]) == 1
    assert "--only sdgan: " in capsys.readouterr().err


def test_runs_in_processes_share_the_cores_and_stop_together(tmp_path):
    note = "import os, sys; open(sys.argv[1], 'w').write(os.environ['OMP_NUM_THREADS']); sys.exit(int(sys.argv[2]))"
    commands = {f"{i}": [sys.executable, "-c", note, str(tmp_path / f"{i}"), f"{i % 2}"] for i in range(3)}
    assert train_in_processes(commands, jobs=2) == ["1"]
    threads = str(max(1, os.cpu_count() // 2))
    assert [(tmp_path / f"{i}").read_text() for i in range(3)] == [threads] * 3

    wait = (
        "import signal, sys, time, pathlib; p = pathlib.Path(sys.argv[1])\n"
        "signal.signal(signal.SIGINT, lambda *a: (p.write_text('saved'), sys.exit(130)))\n"
        "p.write_text('began'); time.sleep(60)"
    )
    commands = {f"{i}": [sys.executable, "-c", wait, str(tmp_path / f"w{i}")] for i in range(3)}
    began = [tmp_path / "w0", tmp_path / "w1"]

    def interrupt():
        while not all(path.exists() and path.read_text() for path in began):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)  # to the process, as Ctrl-C

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        train_in_processes(commands, jobs=2)
    assert [path.read_text() for path in began] == ["saved"] * 2 and not (tmp_path / "w2").exists()


def test_a_process_is_told_all_that_decides_a_run():
    command = Command(Path("f.toml"), runs=Path("r"), data=Path("d"), steps=7, device="cpu", jobs=4).command(
        "a@1"
    )
    told = "study f.toml --runs r --data d --only a@1 --device cpu --steps 7 --no-evaluate --quiet"
    assert command[1:] == ["-m", "sdgan_lib", *told.split()]


# --- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "estimate", "says"),
    [
        ("fg_ssim", (0.1, 0.05, 0.08, 0.12), "better"),
        ("fg_l1", (0.1, 0.05, 0.08, 0.12), "worse"),
        ("fg_l1", (-0.1, 0.05, -0.12, -0.08), "better"),
        ("fg_ssim", (0.1, 0.15, 0.08, 0.12), "no"),  # seeds differ more
        ("fg_ssim", (0.1, 0.05, -0.01, 0.2), "no"),  # people differ more
        ("fg_ssim", (0.1, math.nan, 0.08, 0.12), "one seed"),
        ("kd_movenet", (-2.0, 0.5, -3.0, -1.0), "better"),
        ("fd_movenet", (-2.0, 0.5, math.nan, math.nan), ""),  # a metric without an interval
        ("speckle", (0.1, 0.05, 0.08, 0.12), ""),
        ("pck", (math.nan, math.nan, math.nan, math.nan), ""),
    ],
)
def test_an_effect_is_beyond_seeds_and_people(metric, estimate, says):
    assert effect(metric, Estimate(*estimate)) == says


def test_the_tables_of_effects_have_a_row_for_each_metric_and_each_comparison():
    values = {metric: Estimate(-0.1, 0.05, -0.12, -0.08) for metric in COLUMNS} | {"pck": Estimate(math.nan)}
    values |= dict.fromkeys(MORE, Estimate(math.nan))
    both = {"same_camera": values, "all": values}
    lines = effects_table(both).splitlines()
    heads = "95 % over people | spread over seeds | effect"
    assert lines[0] == f"| metric | same camera pairs | {heads} | all pairs | {heads} |"
    rows = {line.split(" | ")[0].strip("| "): line for line in lines[2:]}
    assert set(rows) == set(COLUMNS) - {"pck"}  # those that were measured
    assert rows["fg_ssim"] == "| fg_ssim" + " | -0.100 | -0.120 to -0.080 | 0.050 | worse" * 2 + " |"
    more = values | {"pckh": Estimate(0.2, 0.3, 0.1, 0.3)}
    first, second = effects_overview(
        {"a against b": both, "c against b": {"same_camera": more, "all": more}}
    ).split("\n\n")
    assert first.splitlines() == [
        "| same camera pairs | fg_ssim | fg_l1 | pckh |",
        "|---|---|---|---|",
        "| a against b | -0.100 worse | -0.100 better | -0.100 worse |",
        "| c against b | -0.100 worse | -0.100 better | +0.200 no |",
    ]
    assert second == first.replace("same camera", "all")
