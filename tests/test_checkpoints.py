import json
import os
import pickle
import subprocess
import sys
import zipfile

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
    write_run(tmp_path)
    generator = load_checkpoint(tmp_path / "c.pt")["ema"]
    loaded = load_generator(tmp_path / "c.pt")
    assert not loaded.training
    for (name, a), b in zip(generator.items(), loaded.state_dict().values(), strict=True):
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
    write_run(tmp_path)
    state = load_checkpoint(tmp_path / "c.pt")
    for width in (4, 10**9):  # the second would take more memory than there is, were it made to be compared
        preset = preset_to_dict(Preset(GeneratorConfig("sdgan", width=width, depth=3)))
        save_checkpoint(tmp_path / "w.pt", {**state, "preset": preset})
        with pytest.raises(CheckpointError, match="do not fit"):
            load_generator(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": None}, "preset"),
        ({"preset": {}}, "a preset has generator, discriminator, losses, recipe"),
        ({"preset": {"generator": {"newer": 1}}}, "generator has newer, which this version does not know"),
        ({"preset": {"recipe": {"batch_size": "many"}}}, "recipe: "),
        ({"ema": 3}, "damaged, or made by another version"),
        ({"seed": None}, "'seed' is missing"),
    ],
)
def test_a_run_of_another_version_is_told_in_one_line(tmp_path, change, message):
    write_run(tmp_path)
    state = load_checkpoint(tmp_path / "c.pt")
    for key, value in change.items():
        if key == "preset" and value:
            value = {part: {**fields, **value.get(part, {})} for part, fields in state["preset"].items()}
        state[key] = value
        if value is None:
            del state[key]
    torch.save(state, tmp_path / "v.pt")
    with pytest.raises(CheckpointError, match=rf"v\.pt: .*{message}") as told:
        load_generator(tmp_path / "v.pt")
    assert "\n" not in str(told.value)


def test_one_changed_bit_of_a_run_is_noticed(tmp_path):
    write_run(tmp_path)
    weight = load_checkpoint(tmp_path / "c.pt")["ema"]["heads.2.layers.0.weight"]
    data = bytearray((tmp_path / "c.pt").read_bytes())
    data[bytes(data).find(bytes(weight.untyped_storage())) + 7] ^= 0x40
    (tmp_path / "c.pt").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"c\.pt: .*damaged .*checksum"):
        load_checkpoint(tmp_path / "c.pt")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    with pytest.raises(CheckpointError, match=r"bomb\.pt: .*compressed"):
        load_checkpoint(tmp_path / "bomb.pt")


def test_no_message_advises_to_turn_the_protection_off(tmp_path):
    torch.save({"format": print}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="nothing of it was executed") as told:
        load_checkpoint(tmp_path / "x.pt")
    assert "weights_only" not in str(told.value)


def test_the_stacked_generator_of_the_first_months_keeps_loading(tmp_path):
    """Its tensors had other names: one decoder for all scales, and pose_up for the pose upsamplers."""
    write_run(tmp_path, depth=4)
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    weights = {}
    for name, value in load_file(tmp_path / "g.safetensors").items():
        kind, scale, rest = [*name.split(".", 2), "", ""][:3]
        if kind == "decoders":
            block, rest = rest.split(".", 1)
            name = f"decoder.{int(block) + {'0': 0, '1': 2, '2': 3}[scale]}.{rest}"
        weights[name.replace("ups.", "pose_up.", 1) if kind == "ups" else name] = value
    assert {name.split(".")[0] for name in weights} == {"encoder", "decoder", "pose_up", "heads"}
    with safe_open(tmp_path / "g.safetensors", framework="pt") as file:
        metadata = {**file.metadata(), "digest": weights_digest(weights)}
    save_file(weights, tmp_path / "old.safetensors", metadata)
    new, old = (load_generator(tmp_path / f"{name}.safetensors").state_dict() for name in ("g", "old"))
    assert all(torch.equal(new[name], old[name]) for name in new)


def write_run(folder, depth=3):
    """A run's checkpoint, `c.pt`, of a small generator."""
    torch.manual_seed(0)
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=depth))
    state = {"preset": preset_to_dict(preset), "ema": make_generator(preset.generator).state_dict()}
    state |= {"step": 5, "seconds": 93.0, "seed": 7, "start": None, "data": {"pairs": 10}}
    save_checkpoint(folder / "c.pt", state)
    return preset


def test_a_run_of_other_networks_is_refused(tmp_path):
    write_run(tmp_path)
    state = load_checkpoint(tmp_path / "c.pt")
    assert state["architecture"] == ARCHITECTURE
    torch.save({**state, "architecture": ARCHITECTURE + 1}, tmp_path / "newer.pt")
    for read in (load_checkpoint, load_generator):
        with pytest.raises(
            CheckpointError, match=rf"newer\.pt: made for version {ARCHITECTURE + 1} .* train anew"
        ):
            read(tmp_path / "newer.pt")


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
    test = {"pairs": 4, "groups": {"all": 4}}
    (tmp_path / "metrics.json").write_text(json.dumps({"test": test, "metrics": metrics}))
    written = export_generator(tmp_path / "c.pt", tmp_path / "new" / "with.safetensors", commit="abc1234")
    read = read_exported(tmp_path / "new" / "with.safetensors")
    assert (read.preset, read.steps, read.minutes, read.seed) == (preset, 5, 1.55, 7)
    assert (read.commit, read.metrics, read.test, read.data) == ("abc1234", metrics, test, {"pairs": 10})
    assert written.metrics == metrics and weights_digest(written.weights) == weights_digest(read.weights)
    without = read_exported(tmp_path / "without.safetensors")
    assert (without.commit, without.metrics, without.test) == ("", None, None)
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
    metrics.write_text("[]")
    with pytest.raises(CheckpointError, match=r"metrics\.json: it holds no metrics"):
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


@pytest.mark.slow
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
