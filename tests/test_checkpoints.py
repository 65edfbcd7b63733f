import os
import pickle
import subprocess
import sys

import pytest
import torch
from figures import standing

from sdgan_lib.checkpoints import (
    CheckpointError,
    export_generator,
    load_checkpoint,
    load_generator,
    preset_from_dict,
    preset_to_dict,
    save_checkpoint,
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


def test_an_exported_generator_makes_the_same_pictures(tmp_path):
    torch.manual_seed(0)
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=3))
    state = {"preset": preset_to_dict(preset), "ema": make_generator(preset.generator).state_dict()}
    save_checkpoint(tmp_path / "c.pt", {**state, "step": 5, "seed": 0})
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
