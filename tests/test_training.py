import copy
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from figures import differences, standing
from torch.utils.data import Dataset

from sdgan_lib import training
from sdgan_lib.batches import ShuffledBatches
from sdgan_lib.checkpoints import (
    CheckpointError,
    Start,
    export_generator,
    load_checkpoint,
    load_generator,
    load_start,
    read_exported,
)
from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.errors import UserError
from sdgan_lib.generators import Generator, GeneratorConfig
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.inputs import Generated, make_inputs
from sdgan_lib.losses import LossConfig
from sdgan_lib.presets import PRESETS, Preset, Recipe, schedule
from sdgan_lib.systems import SYSTEMS, System
from sdgan_lib.training import Budget, Trainer, TrainingError, read_log, train

SIZE = (32, 32)


def tiny(system="sdgan", losses=None, **recipe) -> Preset:
    return Preset(
        GeneratorConfig(system, width=4, depth=4, dropout=0.3),
        DiscriminatorConfig((4, 8)),
        losses or LossConfig(),
        Recipe(**{"batch_size": 3, "generator_rate": 1e-3, **recipe}),
    )


class Blobs(Dataset):
    """Figures painted as blobs of one colour per pair at the joints: enough to learn something from."""

    def __init__(self, count=10):
        self.poses = standing(2 * count, SIZE)
        self.colours = torch.rand(count, 3, 1, 1, generator=torch.Generator().manual_seed(1)) * 2 - 1

    def __len__(self):
        return len(self.colours)

    def __getitem__(self, i):
        item = {}
        for role, k in (("source", 2 * i), ("target", 2 * i + 1)):
            ink = heatmaps(self.poses[k : k + 1], *SIZE)[0].amax(0, keepdim=True)
            item[f"{role}_image"] = ink * self.colours[i] + (1 - ink) * 0.2
            item[f"{role}_pose"] = self.poses[k]
        return item


def collate(dataset, indices):
    return torch.utils.data.default_collate([dataset[i] for i in indices])


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "losses",
    [LossConfig(), LossConfig("hinge", r1_weight=1.0, nearest_weight=1.0), LossConfig(adversarial_weight=0)],
)
def test_a_step_changes_the_weights_and_learning_lowers_l1(system, losses):
    trainer = Trainer(tiny(system, losses, flip=False), device="cpu")
    batch = collate(Blobs(), range(4))
    before = [p.clone() for p in trainer.generator.parameters()]
    first = trainer.train_step(batch)
    same = [torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters(), strict=True)]
    assert any(same) == SYSTEMS[system].staged and not all(same)
    for _ in range(12):
        last = trainer.train_step(batch)
    assert last["l1"] < 0.9 * first["l1"]
    named = {"l1"} | ({"d_loss", "adversarial"} if losses.adversarial_weight else set())
    named |= ({"r1"} if losses.r1_weight else set()) | ({"nearest"} if losses.nearest_weight else set())
    assert set(first) == named


@pytest.mark.slow
def test_the_discriminator_learns_to_tell_real_from_generated():
    """With labels swapped, or a generator step that also trains the discriminator, this cannot hold."""
    trainer = Trainer(tiny(discriminator_rate=1e-2, generator_rate=0.0, flip=False), device="cpu")
    batch = collate(Blobs(), range(4))
    losses = [trainer.train_step(batch)["d_loss"] for _ in range(60)]
    assert losses[-1] < 0.6 * losses[0]
    inputs = make_inputs(batch["source_image"], batch["source_pose"], batch["target_pose"])
    with torch.no_grad():
        real = trainer.discriminator(trainer.discriminator.reals(batch["target_image"]), inputs)
        fake = trainer.discriminator(trainer.generator(inputs).images, inputs)
    assert all(r.mean() > f.mean() for r, f in zip(real, fake, strict=True))


def test_a_second_trainer_of_one_process_has_a_precision_of_its_own(monkeypatch):
    halved = []
    convolve = torch.nn.Conv2d.forward

    def noting(layer, x):
        halved.append(torch.is_autocast_enabled("cpu"))
        return convolve(layer, x)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", noting)
    for precision in ("no", "bf16", "no"):
        halved.clear()
        Trainer(tiny(), device="cpu", mixed_precision=precision).train_step(collate(Blobs(), range(4)))
        assert set(halved) == {precision == "bf16"}


def test_the_average_follows_the_generator_slowly():
    trainer = Trainer(tiny(ema_decay=0.9), device="cpu")
    batch = collate(Blobs(), range(3))
    shadow = None
    for i in range(4):
        trainer.train_step(batch)
        weight = next(trainer.generator.parameters()).detach()
        decay = min(0.9, (1 + i) / (10 + i))
        shadow = weight.clone() if shadow is None else shadow * decay + weight * (1 - decay)
        torch.testing.assert_close(next(trainer.averaged.module.parameters()).detach(), shadow)


def test_rates_fall_to_a_fiftieth_over_the_last_share():
    trainer = Trainer(tiny(generator_rate=1.0, discriminator_rate=0.5, decay_share=0.5), device="cpu")
    batch = collate(Blobs(), range(2))
    for progress, factor in ((0.0, 1.0), (0.5, 1.0), (0.75, 0.51), (1.0, 0.02)):
        stage = schedule(trainer.preset, progress, SIZE)
        assert (stage.generator_rate, stage.discriminator_rate) == pytest.approx((factor, 0.5 * factor))
        trainer.train_step(batch, progress)
        assert trainer.generator_optimiser.param_groups[0]["lr"] == pytest.approx(factor)
        assert trainer.discriminator_optimiser.param_groups[0]["lr"] == pytest.approx(0.5 * factor)


def test_the_discriminators_come_in_when_the_recipe_says(tmp_path):
    trainer = Trainer(tiny(adversarial_start=0.5), device="cpu")
    batch = collate(Blobs(), range(3))
    before = [p.clone() for p in trainer.discriminator.parameters()]
    assert set(trainer.train_step(batch, 0.49)) == {"l1"}
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters(), strict=True))
    assert set(trainer.train_step(batch, 0.5)) == {"l1", "d_loss", "adversarial"}
    assert not any(torch.equal(a, b) for a, b in zip(before, trainer.discriminator.parameters(), strict=True))


@pytest.mark.parametrize(
    ("depth", "adversarial_start", "sides"),
    [(3, 0.5, [16] * 4 + [32] * 6), (3, 0.2, [16] * 2 + [32] * 8), (4, 0.5, [32] * 10)],
)
def test_a_run_begins_at_half_size_until_the_discriminators_come_in_where_the_depth_allows(
    tmp_path, monkeypatch, depth, adversarial_start, sides
):
    preset = tiny(half_size=0.4, adversarial_start=adversarial_start)
    preset = replace(preset, generator=replace(preset.generator, depth=depth))
    seen, prepare = [], Trainer.prepare

    def noting(trainer, batch, stage):
        inputs, reals, truth = prepare(trainer, batch, stage)
        seen.append(reals[-1].shape[-1])
        assert inputs.size == stage.size == (seen[-1], seen[-1])
        return inputs, reals, truth

    monkeypatch.setattr(Trainer, "prepare", noting)
    train(Blobs(), preset, tmp_path, Budget(steps=10), device="cpu", quiet=True)
    assert seen == sides


def test_budget_in_minutes_and_steps():
    assert Budget(2.0).progress(999, 60.0) == 0.5
    assert Budget(2.0, steps=10).progress(5, 1e9) == 0.5
    assert Budget(1.0).progress(0, 100.0) == 1.0
    for wrong in ({"minutes": 0.0}, {"minutes": -1.0}, {"steps": 0}):
        with pytest.raises(ValueError, match="minutes > 0 and steps >= 1"):
            Budget(**wrong)


def test_a_budget_in_minutes_ends_with_the_step_that_reaches_it(tmp_path, monkeypatch):
    now, step = [100.0], Trainer.train_step

    def lasting_a_second(trainer, batch, progress):
        now[0] += 1.0
        return step(trainer, batch, progress)

    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Trainer, "train_step", lasting_a_second)
    train(Blobs(), tiny(), tmp_path, Budget(minutes=0.05), device="cpu", quiet=True)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert (state["step"], state["seconds"]) == (3, 3.0)


def test_a_finished_run_is_not_overwritten_and_nothing_cannot_be_resumed(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        train(Blobs(), tiny(), tmp_path, Budget(steps=1), device="cpu", resume=True, quiet=True)
    train(Blobs(), tiny(), tmp_path, Budget(steps=1), device="cpu", quiet=True)
    with pytest.raises(CheckpointError, match="--resume"):
        train(Blobs(), tiny(), tmp_path, Budget(steps=1), device="cpu", quiet=True)


RUN = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
import test_training as t
t.train(t.Blobs(), t.tiny(), Path(sys.argv[1]), t.Budget(steps=int(sys.argv[2])), device="cpu", quiet=True,
        resume=sys.argv[3] == "resume", checkpoint_minutes=0)
"""


def run_script(*arguments) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", RUN, *map(str, arguments)])


@pytest.mark.slow
def test_a_run_killed_mid_epoch_and_resumed_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path):
    steps = 24
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_script(whole, steps, "fresh").wait() == 0
    process = run_script(broken, steps, "fresh")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:  # killed somewhere in the second or third epoch of 10 pairs
        if (broken / "checkpoint.pt").exists() and load_checkpoint(broken / "checkpoint.pt")["step"] >= 5:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    stopped = load_checkpoint(broken / "checkpoint.pt")["step"]
    assert 5 <= stopped < steps
    assert run_script(broken, steps, "resume").wait() == 0

    a, b = load_checkpoint(whole / "checkpoint.pt"), load_checkpoint(broken / "checkpoint.pt")
    for state in (a, b):
        del state["seconds"]
    assert differences(a, b) == []
    logs = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in read_log(r)] for r in (whole, broken)
    ]
    assert logs[0] == logs[1] and [line["step"] for line in logs[0]] == [10, 20]


class Intruded(Blobs):
    """Whose pictures are read while a second training wants the same folder."""

    def __init__(self, run):
        super().__init__()
        self.run, self.told = run, []

    def __getitem__(self, i):
        before = {path.name: path.read_bytes() for path in self.run.iterdir()}
        with pytest.raises(UserError, match="another process is training there") as refused:
            train(Blobs(), tiny(), self.run, Budget(steps=9), device="cpu", quiet=True, resume=True)
        assert before == {path.name: path.read_bytes() for path in self.run.iterdir()}
        self.told.append(str(refused.value))
        return super().__getitem__(i)


def test_a_folder_has_one_training_at_a_time_and_is_free_again_afterwards(tmp_path):
    pairs = Intruded(tmp_path)
    train(pairs, tiny(), tmp_path, Budget(steps=1), device="cpu", quiet=True)
    assert len(pairs.told) >= 3 and all(str(tmp_path) in told and "Remedy" in told for told in pairs.told)
    train(Blobs(), tiny(), tmp_path, Budget(steps=2), device="cpu", quiet=True, resume=True)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 2


def test_a_resumed_run_keeps_its_own_preset_and_seed_and_cuts_the_log(tmp_path):
    train(Blobs(), tiny(), tmp_path, Budget(steps=2), seed=7, device="cpu", quiet=True)
    (tmp_path / "log.jsonl").write_text('{"step": 10}\n')  # logged by steps that the checkpoint does not hold
    train(Blobs(), PRESETS["baseline"], tmp_path, Budget(steps=3), device="cpu", quiet=True, resume=True)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert (state["step"], state["seed"], state["preset"]["generator"]["width"]) == (3, 7, 4)
    assert read_log(tmp_path) == []


class Poisoned(Blobs):
    def __getitem__(self, i):
        item = super().__getitem__(i)
        if i == self.poisoned:
            item["target_image"] = item["target_image"] * torch.nan
        return item


def test_a_run_starts_from_a_trained_generator_and_notes_all_that_went_into_it(tmp_path):
    preset = tiny(half_size=0.9, adversarial_start=0.9, generator_rate=1e-9, discriminator_rate=1e-9)
    options = {"device": "cpu", "quiet": True}
    first = load_checkpoint(train(Blobs(), preset, tmp_path / "first", Budget(steps=4), **options))
    assert first["start"] is None
    export_generator(tmp_path / "first" / "checkpoint.pt", tmp_path / "g.safetensors")
    for i, file in enumerate([tmp_path / "first" / "checkpoint.pt", tmp_path / "g.safetensors"]):
        run = tmp_path / f"second{i}"
        second = load_checkpoint(train(Blobs(), preset, run, Budget(steps=3), seed=1, start=file, **options))
        for name, weight in first["ema"].items():  # of another seed, with rates next to nothing
            torch.testing.assert_close(second["ema"][name], weight, atol=1e-3, rtol=1e-3)
        assert second["step"] == 3 and second["start"]["steps"] == 4
        assert second["preset"]["recipe"]["half_size"] == 0.0
    assert second["start"]["digest"] == read_exported(tmp_path / "g.safetensors").digest
    train(Blobs(), preset, run, Budget(steps=5), resume=True, **options)
    exported = export_generator(run / "checkpoint.pt", tmp_path / "second.safetensors")
    assert read_exported(tmp_path / "second.safetensors").start == exported.start == Start(**second["start"])
    for file in (run / "checkpoint.pt", tmp_path / "second.safetensors"):
        assert load_start(file)[1].steps == 4 + 5


def test_a_run_does_not_start_from_another_generator(tmp_path):
    path = train(Blobs(), tiny("deformable"), tmp_path / "a", Budget(steps=1), device="cpu", quiet=True)
    message = r"a/checkpoint\.pt: not .* with system 'deformable' instead of 'sdgan'; choose its --system"
    with pytest.raises(CheckpointError, match=message):
        train(Blobs(), tiny(), tmp_path / "b", Budget(steps=1), device="cpu", quiet=True, start=path)
    assert not (tmp_path / "b").exists()


def test_a_loss_that_is_not_finite_stops_with_step_term_and_last_good_checkpoint(tmp_path):
    order = [i for _, batch in zip(range(3), ShuffledBatches(10, 3, 0), strict=False) for i in batch]
    people = Poisoned()
    people.poisoned = order[7]  # drawn in step 3
    with pytest.raises(TrainingError, match=r"step 3: the term 'd_loss' is nan.*checkpoint\.pt, step 2"):
        train(people, tiny(), tmp_path, Budget(steps=9), device="cpu", quiet=True, checkpoint_minutes=0)
    good = load_checkpoint(tmp_path / "checkpoint.pt")
    assert all(v.isfinite().all() for v in good["generator"].values())


def test_weights_that_are_not_finite_are_never_saved(tmp_path, monkeypatch):
    """A finite loss can still send a weight to infinity; the checkpoint before it must survive."""
    real_step = Trainer.train_step

    def step(self, batch, progress):
        terms = real_step(self, batch, progress)
        if self.step == 2:
            next(self.generator.parameters()).data.fill_(torch.inf)
        return terms

    monkeypatch.setattr(Trainer, "train_step", step)
    with pytest.raises(TrainingError, match=r"step 2.*generator.*step 1"):
        train(Blobs(), tiny(), tmp_path, Budget(steps=9), device="cpu", quiet=True, checkpoint_minutes=0)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 1


@pytest.mark.slow
def test_ctrl_c_saves_and_leaves(tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            RUN.replace("checkpoint_minutes=0", "checkpoint_minutes=99"),
            tmp_path,
            "99999",
            "fresh",
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (tmp_path / "log.jsonl").exists() and (tmp_path / "log.jsonl").stat().st_size:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode != 0
    step = load_checkpoint(tmp_path / "checkpoint.pt")["step"]
    assert step >= 10
    assert f"interrupted at step {step}" in message and "--resume" in message


def test_the_log_is_cut_where_a_resumed_run_begins(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps({"step": s}) + "\n" for s in (10, 20, 30)) + '{"step": 4')
    training._cut_log(path, 20)
    assert [line["step"] for line in read_log(Path(tmp_path))] == [10, 20]


def test_the_papers_presets_are_the_papers():
    preset = PRESETS["sdgan-paper"]
    assert preset.recipe.batch_size == 4 and preset.losses.l1_weight == 100
    assert preset.with_width(8).generator == replace(preset.generator, width=8)


# --- what a step changes, and what it does not


def weights_of(trainer):
    networks = (trainer.generator, trainer.discriminator)
    return [weight.detach().clone() for network in networks for weight in network.parameters()]


@pytest.mark.parametrize("spoiled", ["generator", "discriminator"])
def test_a_term_that_is_not_finite_changes_neither_network_and_is_told_when_it_is_read(spoiled, monkeypatch):
    """Also where only the generator's own term is spoiled, which is computed last."""
    trainer = Trainer(tiny(flip=False), device="cpu")
    batch = collate(Blobs(), range(3))
    trainer.train_step(batch)
    before, real = weights_of(trainer), getattr(trainer.objective, spoiled)

    def spoil(*arguments):
        loss, terms = real(*arguments)
        return loss * torch.nan, terms | {"l1" if spoiled == "generator" else "d_loss": loss * torch.inf}

    monkeypatch.setattr(trainer.objective, spoiled, spoil)
    trainer.train_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(trainer), strict=True))
    monkeypatch.undo()
    trainer.train_step(batch)  # a good step after the bad one does not hide it
    name = "l1" if spoiled == "generator" else "d_loss"
    with pytest.raises(TrainingError, match=rf"^step 2: the term '{name}' is inf$"):
        trainer.read()
    assert trainer.read() == {}
    assert not all(torch.equal(a, b) for a, b in zip(before, weights_of(trainer), strict=True))


def test_both_losses_are_of_the_networks_as_they_stood_before_the_step():
    trainer = Trainer(tiny(flip=False, losses=LossConfig(feature_weight=1.0)), device="cpu")
    trainer.generator.eval()  # no dropout: twice the same pictures
    batch = collate(Blobs(), range(3))
    inputs, reals, _ = trainer.prepare(batch, schedule(trainer.preset, 0.0, SIZE))
    still = copy.deepcopy(trainer.discriminator)
    generated = trainer.generator(inputs)
    _, of_discriminator = trainer.objective.discriminator(still, generated, reals, inputs)
    _, of_generator = trainer.objective.generator(still, generated, reals, inputs)
    torch.testing.assert_close(trainer.train_step(batch), of_discriminator | of_generator)


def test_a_loss_that_is_not_finite_though_its_terms_are_changes_nothing_and_is_told(monkeypatch):
    trainer = Trainer(tiny(flip=False, adversarial_start=1.0), device="cpu")
    batch = collate(Blobs(), range(3))
    real, before = trainer.objective.generator, weights_of(trainer)

    def spoil(*arguments):
        loss, terms = real(*arguments)
        return loss * torch.nan, terms

    monkeypatch.setattr(trainer.objective, "generator", spoil)
    trainer.train_step(batch)
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(trainer), strict=True))
    with pytest.raises(TrainingError, match=r"step 1: .*loss.* is nan"):
        trainer.read()


def test_a_step_reads_no_number_from_the_device(monkeypatch):
    """Every ``item`` or ``bool`` of a term would make a GPU wait; they are read together, when they are logged."""
    trainer = Trainer(tiny(flip=False), device="cpu")
    batch = collate(Blobs(), range(3))
    trainer.train_step(batch)
    read = []

    class Noting(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            if "local_scalar_dense" in str(function) and arguments[0].is_floating_point():
                read.append(str(function))
            return function(*arguments, **(options or {}))

    with Noting():
        trainer.train_step(batch)
        assert read == []
        trainer.read()
        float(torch.ones(()))
    assert len(read) >= 1, "the check itself sees what is read"


def test_checkpoint_log_and_bar_are_the_main_processes(tmp_path, monkeypatch, capsys):
    train(Blobs(), tiny(), tmp_path / "main", Budget(steps=10), device="cpu")
    assert "training" in capsys.readouterr().err
    monkeypatch.setattr(Accelerator, "is_main_process", property(lambda self: False))
    train(Blobs(), tiny(), tmp_path / "other", Budget(steps=10), device="cpu")
    assert not (tmp_path / "other").exists() and "training" not in capsys.readouterr().err


def test_the_scaler_of_half_precision_is_part_of_the_state():
    """Its scale is found by trial; a resumed run that began anew would throw steps away."""
    trainer = Trainer(tiny(), device="cpu")
    assert trainer.state()["scaler"] is None
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    try:
        trainer.train_step(collate(Blobs(), range(3)))
        state = trainer.state()
        assert state["scaler"]["scale"] == 1024.0
        trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
        trainer.load_state(state)
        assert trainer.accelerator.scaler.get_scale() == 1024.0
    finally:
        trainer.accelerator.scaler = None


def test_with_a_scaler_too_a_spoiled_term_changes_neither_network(monkeypatch):
    trainer = Trainer(tiny(flip=False), device="cpu")
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    try:
        batch = collate(Blobs(), range(3))
        trainer.train_step(batch)
        before, real = weights_of(trainer), trainer.objective.generator
        monkeypatch.setattr(
            trainer.objective,
            "generator",
            lambda *a: (real(*a)[0] * torch.nan, {"l1": real(*a)[0] * torch.nan}),
        )
        trainer.train_step(batch)
        assert all(torch.equal(a, b) for a, b in zip(before, weights_of(trainer), strict=True))
        monkeypatch.undo()
        trainer.train_step(batch)
        assert not any(torch.equal(a, b) for a, b in zip(before[:3], weights_of(trainer)[:3], strict=True))
    finally:
        trainer.accelerator.scaler = None


# --- a further system


class Refining(Generator):
    """Two full-size pictures, a coarse one and a better one, as PG2 makes them."""

    def __init__(self, config):
        super().__init__(config)
        self.coarse, self.fine = torch.nn.Conv2d(3 + 36, 3, 3, padding=1), torch.nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, inputs):
        first = self.coarse(inputs.condition(1)).tanh()
        second = (first + self.fine(torch.cat([inputs.source_image, first], 1))).tanh()
        return Generated([first, second], [])


def test_a_system_with_two_pictures_of_which_one_is_judged_is_a_class_and_an_entry(tmp_path, monkeypatch):
    monkeypatch.setitem(SYSTEMS, "refining", System(f"{__name__}:Refining", scales=(1, 1), judged=(1,)))
    preset = replace(tiny(flip=False), generator=GeneratorConfig("refining", width=4, depth=4))
    trainer = Trainer(preset, device="cpu")
    assert trainer.discriminator.factors == (1,)
    batch = collate(Blobs(), range(4))
    first = trainer.train_step(batch)
    for _ in range(10):
        last = trainer.train_step(batch)
    assert set(first) == {"l1", "d_loss", "adversarial"} and last["l1"] < first["l1"]
    # Both pictures have their L1 term, and the adversarial term reaches the coarse one only through the fine one.
    inputs, reals, _ = trainer.prepare(batch, schedule(preset, 0.0, SIZE))
    made = trainer.generator(inputs)
    assert len(reals) == 2 and torch.equal(reals[0], reals[1])
    _, terms = trainer.objective.generator(trainer.discriminator, made, reals, inputs)
    by_hand = sum((image - real).abs().mean() for image, real in zip(made.images, reals, strict=True))
    torch.testing.assert_close(terms["l1"], by_hand)
    path = train(Blobs(), preset, tmp_path, Budget(steps=2), device="cpu", quiet=True)
    assert isinstance(load_generator(path), Refining)


@pytest.mark.parametrize(("scales", "judged"), [((2,), (0,)), ((), ()), ((2, 1), (2,))])
def test_an_entry_that_cannot_be_is_refused(scales, judged):
    with pytest.raises(ValueError, match="full size"):
        System("m:C", scales, judged)


def test_the_baseline_draws_no_warps(monkeypatch):
    for name in ("limb_warps", "body_mask"):
        monkeypatch.setattr(f"sdgan_lib.inputs.{name}", lambda *a, **k: pytest.fail("drawn and never read"))
    Trainer(tiny("baseline"), device="cpu").train_step(collate(Blobs(), range(2)))


def test_a_size_that_cannot_be_trained_is_told_before_a_folder_is_made(tmp_path):
    class Described(Blobs):
        def description(self):
            return {"pairs": len(self), "size": [30, 32]}

    with pytest.raises(UserError, match="divisible by 16"):
        train(Described(), tiny(), tmp_path / "run", Budget(steps=1), device="cpu", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_broken_log_names_itself_and_the_line(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 10}\nnonsense\n')
    with pytest.raises(UserError, match=r"log\.jsonl, line 2: .*Remedy"):
        read_log(tmp_path)


def test_half_precision_without_a_gpu_is_told():
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        Trainer(tiny(), device="cpu", mixed_precision="fp16")
