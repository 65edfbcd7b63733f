"""PG2: two stages in one run, each with its own terms, its own weights and its own rates."""

import pytest
import torch
from figures import differences, standing
from test_training import SIZE, Blobs, collate, tiny

from sdgan_lib.checkpoints import load_checkpoint, load_generator, save_checkpoint
from sdgan_lib.errors import UserError
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.losses import LossConfig
from sdgan_lib.pg2 import PG2Generator, ResidualUNet
from sdgan_lib.presets import PRESETS, schedule
from sdgan_lib.systems import System
from sdgan_lib.training import Trainer

START = 0.5


def staged(losses=None, **recipe):
    return tiny("pg2", losses or LossConfig(person_weight=1.0), adversarial_start=START, flip=False, **recipe)


def weights(network) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def changed(before: dict, network) -> set[str]:
    """The parts of a network of which a weight has moved; all that have moved must have moved as a whole."""
    moved = {name for name, p in network.named_parameters() if not torch.equal(before[name], p)}
    parts = {name.partition(".")[0] for name in moved}
    assert moved == {name for name in before if name.partition(".")[0] in parts}
    return parts


def made_by(generator, size=SIZE):
    torch.manual_seed(0)
    with torch.no_grad():
        return generator.transfer(
            torch.rand(2, 3, *size) * 2 - 1, standing(2, size), standing(2, size, seed=1)
        )


def test_stage_two_begins_with_the_coarse_picture():
    generator = make_generator(GeneratorConfig("pg2", width=4, depth=4))
    coarse, refined = made_by(generator).images
    assert torch.equal(coarse, refined) and coarse.std() > 0
    torch.nn.init.normal_(generator.refinement.last.weight)
    coarse, refined = made_by(generator).images
    assert (refined - coarse).abs().mean() > 0.01


def test_what_is_added_is_a_map_of_its_own_and_both_pictures_stay_in_range():
    generator = make_generator(GeneratorConfig("pg2", width=4, depth=4))
    with torch.no_grad():
        generator.refinement.last.bias += torch.tensor([0.1, -0.2, 5.0])
    coarse, refined = made_by(generator).images
    torch.testing.assert_close(refined[:, 0], (coarse[:, 0] + 0.1).clamp(max=1))
    torch.testing.assert_close(refined[:, 1], (coarse[:, 1] - 0.2).clamp(min=-1))
    assert (refined[:, 2] == 1).all() and coarse.abs().max() <= 1


def test_the_coarse_stage_learns_alone_then_stands_still():
    trainer = Trainer(staged(), device="cpu")
    batch, discriminator = collate(Blobs(), range(4)), weights(trainer.discriminator)
    for progress, part, terms in (
        (0.0, "coarse", {"l1"}),
        (START, "refinement", {"l1", "d_loss", "adversarial"}),
    ):
        learned = []
        for _ in range(8):
            before = weights(trainer.generator)
            learned.append(trainer.train_step(batch, progress))
            if len(learned) > 1 or part == "coarse":  # from zero, the last layer moves first
                assert changed(before, trainer.generator) == {part}
        assert set(learned[0]) == terms
        assert learned[-1]["l1"] < learned[0]["l1"]
        assert bool(changed(discriminator, trainer.discriminator)) == (part == "refinement")
        coarse, refined = made_by(trainer.generator).images
        assert torch.equal(coarse, refined) == (part == "coarse")


def test_no_stage_gets_a_gradient_from_the_other_nor_the_coarse_one_from_the_discriminator():
    trainer = Trainer(staged(LossConfig(nearest_weight=1.0)), device="cpu")
    inputs, reals, _ = trainer.prepare(collate(Blobs(), range(3)), schedule(trainer.preset, 0.0, SIZE))
    for discriminator, part in ((None, "coarse"), (trainer.discriminator, "refinement")):
        loss, _ = trainer.objective.generator(discriminator, trainer.generator(inputs), reals, inputs)
        trainer.generator.zero_grad()
        loss.backward()
        with_gradient = {
            n.partition(".")[0] for n, p in trainer.generator.named_parameters() if p.grad is not None
        }
        assert with_gradient == {part}


def test_the_person_counts_for_more_in_both_stages():
    trainer = Trainer(staged(), device="cpu")
    inputs, reals, _ = trainer.prepare(collate(Blobs(), range(3)), schedule(trainer.preset, 0.0, SIZE))
    made = trainer.generator(inputs)
    for i, discriminator in enumerate((None, trainer.discriminator)):
        _, terms = trainer.objective.generator(discriminator, made, reals, inputs)
        by_hand = ((made.images[i] - reals[i]).abs() * (1 + inputs.target_body)).mean()
        torch.testing.assert_close(terms["l1"], by_hand)


def test_rates_fall_within_each_stage():
    preset = staged(generator_rate=1.0, decay_share=0.5)
    rates = {
        p: schedule(preset, p, SIZE).generator_rate for p in (0.0, 0.25, 0.375, 0.4999, 0.5, 0.75, 0.875, 1.0)
    }
    assert list(rates.values()) == pytest.approx([1, 1, 0.51, 0.02, 1, 1, 0.51, 0.02], abs=1e-3)
    coarse_alone = staged(LossConfig(adversarial_weight=0), generator_rate=1.0, decay_share=0.5)
    assert schedule(coarse_alone, 0.75, SIZE).generator_rate == pytest.approx(0.51)


def test_a_run_cut_in_either_stage_goes_on_bit_for_bit(tmp_path):
    """Adam knows nothing yet, or nothing more, of the stage that stands still."""
    plan, batch = (0.0, 0.2, START, 0.8), collate(Blobs(), range(3))
    states = []
    for cuts in ((), (1, 3)):
        trainer = Trainer(staged(half_size=0.1), device="cpu")
        for step, progress in enumerate(plan):
            if step in cuts:
                save_checkpoint(tmp_path / "cut.pt", trainer.state())
                trainer = Trainer(trainer.preset, device="cpu")
                trainer.load_state(load_checkpoint(tmp_path / "cut.pt"))
            trainer.train_step(batch, progress)
        states.append(trainer.state())
    assert differences(*states) == []
    save_checkpoint(tmp_path / "last.pt", states[0] | {"data": {}})
    generator = load_generator(tmp_path / "last.pt")
    assert isinstance(generator, PG2Generator) and not torch.equal(*made_by(generator).images)


def test_the_coarse_stage_at_the_papers_width_has_the_published_codes_weights():
    """Counted layer by layer in its models.py: 128 hidden channels, 5 blocks, 64 numbers between."""
    with torch.device("meta"):
        generator = make_generator(PRESETS["pg2-paper"].generator)
    count = lambda network: sum(p.numel() for p in network.parameters())  # noqa: E731
    assert count(generator.coarse) == 70_795_075
    assert len(generator.refinement.encoder) == len(generator.coarse.encoder) - 2
    laptop = {name: make_generator(PRESETS[name].generator) for name in ("baseline", "pg2", "sdgan")}
    sizes = {name: count(network) for name, network in laptop.items()}
    assert sizes["baseline"] < sizes["pg2"] < sizes["sdgan"]


def test_only_the_bottleneck_carries_one_corner_to_the_other():
    """At 256 pixels no convolution of such a network sees so far: the gradient says what a pixel depends on."""
    torch.manual_seed(0)
    x = torch.rand(1, 3, 256, 128, requires_grad=True)
    for bottleneck in (True, False):
        network = ResidualUNet(3, (4, 8, 12, 16, 20), bottleneck)
        (gradient,) = torch.autograd.grad(network(x)[..., 0, 0].sum(), x)
        assert gradient[..., 0, 0].any()
        assert bool(gradient[..., -8:, -8:].any()) == bottleneck


def test_what_cannot_be_staged_is_refused(monkeypatch):
    for judged in ((), (0, 1)):
        with pytest.raises(ValueError, match="both kinds"):
            System("m:C", scales=(1, 1), judged=judged, staged=True)
    monkeypatch.setattr("accelerate.Accelerator.num_processes", 2)
    with pytest.raises(UserError, match="one process"):
        Trainer(staged(), device="cpu")
