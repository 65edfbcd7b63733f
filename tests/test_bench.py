"""The benchmarks measure what they say, and the deformable skip stays fast."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from figures import copy_people

from benchmarks import __main__ as program
from benchmarks import growth, measure, studio, warps
from benchmarks.__main__ import PARTS, main
from benchmarks.growth import bench_growth, exponent
from benchmarks.measure import Result, Settings, in_turn, medians, peak_memory, real_batch
from benchmarks.record import format_table
from benchmarks.step import Convolutions, make_trainer, step_pieces, warp_calls
from benchmarks.warps import SKIPS, check_skip, skip_run
from sdgan_lib import inputs
from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.inputs import make_inputs
from sdgan_lib.presets import PRESETS
from sdgan_lib.warping import body_mask, deformable_skip

LAPTOP = PRESETS["sdgan"].generator.channels[:4]


@pytest.fixture
def tiny(monkeypatch):
    """The preset sdgan, made small, so that a whole benchmark takes seconds."""
    preset = PRESETS["sdgan"].with_width(4)
    recipe = replace(preset.recipe, batch_size=2, adversarial_start=0.0)
    preset = replace(preset, discriminator=DiscriminatorConfig((4, 8)), recipe=recipe)
    monkeypatch.setitem(PRESETS, "sdgan", preset)
    return preset


# The guard of the deformable skip


@pytest.mark.slow
def test_the_deformable_skip_equals_its_reference():
    check_skip(Settings(), LAPTOP, 2)


def test_a_wrong_skip_is_noticed(monkeypatch):
    monkeypatch.setattr(warps, "deformable_skip", lambda f, w: deformable_skip(f, w) + 3e-5 * f)
    with pytest.raises(AssertionError, match="not close"):
        check_skip(Settings(), LAPTOP, 2)


@pytest.mark.slow
def test_the_deformable_skip_is_much_faster_and_smaller_than_its_reference():
    runs = {who: skip_run(Settings(), skip, LAPTOP, 2) for who, skip in SKIPS.items()}
    assert peak_memory(runs["ours"], "cpu") <= peak_memory(runs["reference"], "cpu") / 4
    ratios = []
    for _ in range(3):  # a noisy neighbour gets three chances
        times = in_turn(runs, Settings(seconds=0.1), rounds=3)
        ratios.append(np.median(medians(times["reference"]) / medians(times["ours"])))
        if ratios[-1] >= 2.5:
            return
    pytest.fail(f"the reference took only {ratios} times as long as the deformable skip")


# What is measured


def test_convolutions_are_noted_counted_and_replayed():
    x, w = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3, requires_grad=True)
    with Convolutions() as noted:
        y = F.conv2d(x.to(memory_format=torch.channels_last), w, padding=1)
        torch.relu(y).sum().backward()
    (forward, arguments), (backward, _) = noted.calls
    assert (forward, backward) == Convolutions.KERNELS
    assert arguments[0].is_contiguous(memory_format=torch.channels_last)
    multiply_adds = (
        2 * 8 * 8 * 5 * 3 * 3 * 3
    )  # of the forward pass, and as many for the one gradient that is wanted
    x_bytes, w_bytes, y_bytes = 4 * x.numel(), 4 * w.numel(), 4 * y.numel()
    assert noted.work() == [
        (multiply_adds, x_bytes + w_bytes + y_bytes),
        (multiply_adds, y_bytes + x_bytes + w_bytes + w_bytes),
    ]
    with Convolutions() as again:
        noted.replay()
    assert [function for function, _ in again.calls] == [forward, backward]


def test_a_training_step_is_taken_apart_whole(tiny):
    """The pieces do the convolutions of the whole step, none left out and none twice."""
    batch = real_batch(Settings(), 2)
    late = replace(tiny, recipe=replace(tiny.recipe, adversarial_start=0.5))
    for progress in (0.0, 1.0):
        trainer = make_trainer(Settings(), late)
        before = [w.detach().clone() for w in trainer.generator.parameters()]
        with Convolutions() as whole:
            trainer.train_step(batch, progress)
        assert all(torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters(), strict=True))
        pieces = step_pieces(trainer, iter([batch]), progress)
        assert list(pieces)[:3] == ["data", "inputs", "heat maps"]
        with Convolutions() as parts:
            for name in (
                "inputs",
                "heat maps",
                "move",
                "move back",
                "forward",
                "backward",
                "discriminators",
                "update",
            ):
                pieces[name]()
        assert sorted(map(describe, parts.calls)) == sorted(map(describe, whole.calls))


def test_body_masks_count_with_what_is_prepared(tiny, monkeypatch):
    pieces = step_pieces(make_trainer(Settings(), tiny), iter([real_batch(Settings(), 2)]), 1.0)
    drawn = []
    monkeypatch.setattr(inputs, "body_mask", lambda *a: drawn.append(a) or body_mask(*a))
    pieces["inputs"]()
    assert len(drawn) == 2  # the attention's and the loss's
    pieces["discriminators"]()
    assert len(drawn) == 2
    pieces["forward"]()
    assert len(drawn) == 4  # those of the inputs that it makes anew


def describe(call) -> str:
    function, arguments = call
    return f"{function} {[x.shape if isinstance(x, torch.Tensor) else x for x in arguments]}"


def test_the_warps_of_a_generator_are_noted(tiny):
    batch = real_batch(Settings(), 2)
    given = make_inputs(batch["source_image"], batch["source_pose"], batch["target_pose"])
    calls = warp_calls(make_trainer(Settings(), tiny).generator, given)
    skips = [a[0] for f, a in calls if f.func is deformable_skip]
    assert [list(x.shape) for x in skips] == [[2, 4 << i, 128 >> i, 64 >> i] for i in (3, 2, 1, 0)]
    assert all(x.is_leaf and x.requires_grad for x in skips)


def test_peak_memory_of_a_known_run():
    mib = 2**18  # float32 numbers

    def run() -> None:
        a = torch.zeros(4 * mib)
        b = a + 1  # 8 MiB
        del a
        c = torch.zeros(12 * mib)  # 16 MiB, the peak
        del b, c
        torch.zeros(9 * mib)

    assert peak_memory(run, "cpu") == 16 * 2**20


def test_exponent():
    assert exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_targets_and_table():
    missed, met, plain = (
        Result("p", "one", "a", 3.0, 2.0, 4.0, "x", at_least=4),
        Result("p", "two", "b", 3000.0, 3000.0, 3000.0, "ms", at_most=3000),
        Result("p", "two", "a", 4.5, 4.5, 4.5, "x", at_least=4),
    )
    assert (missed.met, met.met, plain.met) == (False, True, True)
    assert Result("p", "one", "c", 3.0, 3.0, 3.0, "ms").met is None
    assert format_table([missed, met, plain]).splitlines() == [
        "|  | unit | target | one | two |",
        "| --- | --- | --- | --- | --- |",
        "| a | x | ≥ 4 | 3 (2–4) **missed** | 4.5 met |",
        "| b | ms | ≤ 3000 |  | 3000 met |",
    ]


@pytest.mark.slow
def test_the_command(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(measure, "ROUNDS", 1)
    data, out = copy_people(tmp_path / "people"), tmp_path / "deep" / "bench.json"
    command = ["--device", "cpu", "--presets", "sdgan", "--parts", "step", "slider", "--threads", "1"]
    command += ["--data", str(data)]
    threads = torch.get_num_threads()
    assert main([*command, "--seconds", "0.01", "--out", str(out), "--figures", str(tmp_path)]) == 0
    torch.set_num_threads(threads)
    record = json.loads(out.read_text(encoding="utf-8"))
    assert {"cpu", "cores", "threads", "torch", "python"} <= set(record["machine"])
    assert record["parts"] == ["step", "slider"] and record["date"][:2] == "20"
    table = capsys.readouterr().out
    for r in record["results"]:
        assert f"| {r['figure']} | {r['unit']} |" in table and f" | {r['subject']} |" in table
        assert np.isfinite([r["low"], r["value"], r["high"]]).all() and r["low"] <= r["value"] <= r["high"], r
    found = {r["figure"]: r for r in record["results"] if r["subject"] == "sdgan"}
    ratio = found["step / its convolutions"]
    assert ratio["at_most"] == 1.5 and ratio["met"] == (ratio["value"] <= 1.5) and ratio["value"] > 1
    assert 0 < found["data, heat maps and warps / step"]["value"] < 200
    assert sum(r["part"] == "slider" for r in record["results"]) == 2


def test_growth_is_fitted_and_drawn(monkeypatch, tmp_path):
    points = {str(n): (n, lambda n=n: torch.zeros(n * 2**18).add_(1)) for n in (1, 2, 4)}
    monkeypatch.setattr(growth, "growth_series", lambda settings: {"sum against length": points})
    results = {r.figure: r for r in bench_growth(Settings(seconds=0.01, figures=tmp_path))}
    assert results["length 4: peak memory"].value == pytest.approx(4, rel=1e-4)
    assert results["length: exponent of memory"].value == pytest.approx(1, rel=1e-4)
    assert results["length: exponent of memory"].met
    assert (tmp_path / "growth-cpu.png").stat().st_size > 5000


def test_unknown_names_and_a_missing_data_set_are_refused(tmp_path, capsys):
    for option, name, known in (("--presets", "huge", "baseline"), ("--parts", "speed", "warps")):
        with pytest.raises(SystemExit):
            main([option, name])
        told = capsys.readouterr().err
        assert name in told and known in told
    assert (
        main(["--parts", "warps", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "x.json")]) == 1
    )
    assert "none" in capsys.readouterr().err and not (tmp_path / "x.json").exists()


def test_the_command_offers_every_part_and_the_readme_of_the_benchmarks_explains_it():
    assert program.Bench().parts == tuple(PARTS)
    text = (Path(__file__).parents[1] / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert all(f"- **`{part}`.**" in text for part in PARTS)


def test_the_studio_without_a_browser_is_left_out_with_a_word(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(studio, "find_chromium", lambda: None)
    threads = torch.get_num_threads()
    assert main(["--parts", "studio", "--threads", "1", "--out", str(tmp_path / "bench.json")]) == 0
    torch.set_num_threads(threads)
    told = capsys.readouterr().out
    assert "studio: not measured, as there is no Chromium" in told and "0 of 0 targets" in told
