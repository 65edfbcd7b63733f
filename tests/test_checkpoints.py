import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from figures import standing
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sdgan_lib.checkpoints import (
    ARCHITECTURE,
    CheckpointError,
    export_generator,
    load_checkpoint,
    load_generator,
    preset_from_dict,
    preset_to_dict,
    read_exported,
    save_checkpoint,
    weights_digest,
)
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.presets import PRESETS, Preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_the_round_trip_through_a_file(name, tmp_path):
    save_checkpoint(tmp_path / "c.pt", {"preset": preset_to_dict(PRESETS[name])})
    assert preset_from_dict(load_checkpoint(tmp_path / "c.pt")["preset"]) == PRESETS[name]


def test_a_generator_comes_back_with_its_averaged_weights(tmp_path):
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=3))
    generator = make_generator(preset.generator)
    save_checkpoint(tmp_path / "c.pt", {"preset": preset_to_dict(preset), "ema": generator.state_dict()})
    loaded = load_generator(tmp_path / "c.pt")
    assert not loaded.training
    for (name, a), b in zip(generator.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    for name, write in (("torch.pt", torch.save), ("raw.pt", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        write({"format": "sdgan-checkpoint-1", "ema": Evil()}, tmp_path / name)
        with pytest.raises(CheckpointError, match="nothing of it was executed"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_missing_truncated_foreign_and_misfitting_files_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    save_checkpoint(tmp_path / "c.pt", {"ema": torch.zeros(1000)})
    whole = (tmp_path / "c.pt").read_bytes()
    for share in (0.0, 0.3, 0.9):
        (tmp_path / "cut.pt").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            load_checkpoint(tmp_path / "cut.pt")
    torch.save({"format": "other"}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="'other'"):
        load_checkpoint(tmp_path / "other.pt")
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=3))
    narrower = make_generator(GeneratorConfig("sdgan", width=4, depth=3))
    save_checkpoint(tmp_path / "w.pt", {"preset": preset_to_dict(preset), "ema": narrower.state_dict()})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_generator(tmp_path / "w.pt")


def write_run(folder):
    """A run's checkpoint, `c.pt`, of a small generator."""
    torch.manual_seed(0)
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=3))
    state = {"preset": preset_to_dict(preset), "ema": make_generator(preset.generator).state_dict()}
    save_checkpoint(folder / "c.pt", {**state, "step": 5, "seconds": 93.0, "seed": 7})
    return preset


def test_a_run_of_other_networks_is_refused_and_a_run_of_the_first_version_need_not_say_so(tmp_path):
    write_run(tmp_path)
    state = load_checkpoint(tmp_path / "c.pt")
    assert state["architecture"] == ARCHITECTURE
    torch.save({**state, "architecture": ARCHITECTURE + 1}, tmp_path / "newer.pt")
    for read in (load_checkpoint, load_generator):
        with pytest.raises(
            CheckpointError, match=rf"newer\.pt: made for version {ARCHITECTURE + 1} .* train anew"
        ):
            read(tmp_path / "newer.pt")
    del state["architecture"]
    torch.save(state, tmp_path / "older.pt")
    if ARCHITECTURE == 1:
        load_generator(tmp_path / "older.pt")
    else:
        with pytest.raises(CheckpointError, match="made for version 1"):
            load_generator(tmp_path / "older.pt")


def test_an_exported_generator_makes_the_same_pictures(tmp_path):
    write_run(tmp_path)
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    whole, small = load_generator(tmp_path / "c.pt"), load_generator(tmp_path / "g.safetensors")
    assert small.config == whole.config
    inputs = torch.rand(2, 3, 64, 32) * 2 - 1, standing(2, (64, 32)), standing(2, (64, 32), seed=1)
    torch.testing.assert_close(
        small.transfer(*inputs).image, whole.transfer(*inputs).image, atol=2e-2, rtol=0
    )

    data = (tmp_path / "g.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    for name, message in (("cut", "damaged"), ("none", "no such checkpoint")):
        with pytest.raises(CheckpointError, match=rf"{name}\.safetensors: {message}"):
            load_generator(tmp_path / f"{name}.safetensors")


def test_an_exported_file_says_where_it_comes_from(tmp_path):
    preset = write_run(tmp_path)
    export_generator(tmp_path / "c.pt", tmp_path / "without.safetensors")
    metrics = {"all": {"model": {"fg_ssim": 0.1 + 0.2}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    written = export_generator(tmp_path / "c.pt", tmp_path / "new" / "with.safetensors", commit="abc1234")
    read = read_exported(tmp_path / "new" / "with.safetensors")
    assert (read.preset, read.steps, read.minutes, read.seed) == (preset, 5, 1.55, 7)
    assert (read.commit, read.metrics) == ("abc1234", metrics)
    assert written.metrics == metrics and weights_digest(written.weights) == weights_digest(read.weights)
    without = read_exported(tmp_path / "without.safetensors")
    assert (without.commit, without.metrics) == ("", None)
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"with.safetensors"}


def test_metrics_of_another_state_of_the_run_are_not_taken_along(tmp_path):
    write_run(tmp_path)
    metrics = tmp_path / "metrics.json"
    metrics.write_text("{}")
    then = (tmp_path / "c.pt").stat().st_mtime - 10
    os.utime(metrics, (then, then))
    with pytest.raises(CheckpointError, match=r"metrics\.json: older than c\.pt.*evaluate .*c\.pt"):
        export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    metrics.write_text("{")
    with pytest.raises(CheckpointError, match=r"metrics\.json: not JSON"):
        export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    assert not (tmp_path / "g.safetensors").exists()


def test_the_digest_tells_every_change_of_weights_and_nothing_else():
    weights = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.0), "c": torch.zeros(0, 2)}
    digest = weights_digest(weights)
    assert len(digest) == 64 and int(digest, 16)
    same = {name: weights[name] for name in "cba"}
    strided = weights["a"].T.contiguous().T
    assert not strided.is_contiguous() and torch.equal(strided, weights["a"])
    assert weights_digest(same) == digest == weights_digest({**weights, "a": strided})
    swapped = {"a": weights["b"], "b": weights["a"], "c": weights["c"]}
    renamed = {"a": weights["a"], "d": weights["b"], "c": weights["c"]}
    off = weights["a"].clone()
    off[1, 2] = torch.nextafter(off[1, 2], torch.tensor(9.0))
    others = [
        swapped,
        renamed,
        {**weights, "a": off},
        {**weights, "a": weights["a"].view(3, 2)},
        {**weights, "a": weights["a"].view(torch.int32)},
        {**weights, "d": torch.zeros(0)},
        {"a": weights["a"], "b": weights["b"]},
    ]
    assert len({digest, *map(weights_digest, others)}) == len(others) + 1


def test_damaged_and_foreign_exported_files_are_told_apart(tmp_path):
    write_run(tmp_path)
    path, bad = tmp_path / "g.safetensors", tmp_path / "bad.safetensors"
    export_generator(tmp_path / "c.pt", path)
    load_generator(path)

    data = bytearray(path.read_bytes())
    data[-100] ^= 1  # one bit of one weight: a safetensors file that reads well
    bad.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"bad\.safetensors: damaged, its weights do not match"):
        load_generator(bad)

    weights = load_file(path)
    with safe_open(path, framework="pt") as f:
        metadata = f.metadata()
    for change, message in (
        ({"architecture": str(ARCHITECTURE + 1)}, f"made for version {ARCHITECTURE + 1}"),
        ({"format": "sdgan-checkpoint-1"}, "format 'sdgan-checkpoint-1'.*export it anew"),
        ({"digest": None}, "description is damaged.*digest"),
        ({"architecture": "x"}, "description is damaged"),
        ({"preset": "{"}, "description is damaged"),
        ({"preset": "{}"}, "description is damaged"),
        ({"preset": metadata["preset"].replace('"width"', '"breadth"')}, "description is damaged"),
        ({"steps": "many"}, "description is damaged"),
    ):
        changed = {key: value for key, value in (metadata | change).items() if value is not None}
        save_file(weights, bad, changed)
        with pytest.raises(CheckpointError, match=rf"bad\.safetensors: .*{message}"):
            load_generator(bad)
    save_file(dict(reversed(weights.items())), bad, dict(reversed(metadata.items())))
    load_generator(bad)


WRITER = """
import sys, torch
from pathlib import Path
from sdgan_lib.checkpoints import save_checkpoint
print("ready", flush=True)
for i in range(10**6):
    save_checkpoint(Path(sys.argv[1]), {"i": i, "a": torch.full((500_000,), float(i)), "b": torch.tensor(float(i))})
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "c.pt"
    for delay in (0.05, 0.111, 0.2):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        while not path.exists():
            pass
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(delay)
        process.kill()
        process.wait()
        state = load_checkpoint(path)
        assert (state["a"] == state["i"]).all() and state["b"] == state["i"]
