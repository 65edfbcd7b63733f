"""One training step: both networks change or neither, and each loss is of the other as it stood before the step."""

import copy

import pytest
import torch
from figures import standing

from sdgan_lib.discriminators import DiscriminatorConfig
from sdgan_lib.generators import GeneratorConfig
from sdgan_lib.losses import LossConfig, Objective
from sdgan_lib.presets import Preset, Recipe, schedule
from sdgan_lib.training import Trainer, TrainingError

SIZE = (32, 32)


@pytest.fixture
def trainer() -> Trainer:
    recipe = Recipe(batch_size=2, generator_rate=1e-2, discriminator_rate=1e-2, flip=False)
    generator, discriminator = GeneratorConfig("sdgan", 4, 4, dropout=0.0), DiscriminatorConfig((4, 8))
    return Trainer(Preset(generator, discriminator, LossConfig(), recipe), device="cpu")


@pytest.fixture
def batch() -> dict:
    chance = torch.Generator().manual_seed(0)
    pictures = {
        f"{role}_image": torch.rand(2, 3, *SIZE, generator=chance) * 2 - 1 for role in ("source", "target")
    }
    return pictures | {"source_pose": standing(2, SIZE, 1), "target_pose": standing(2, SIZE, 2)}


def weights(trainer: Trainer) -> dict[str, list[torch.Tensor]]:
    """A copy of the weights of both networks."""
    networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
    return {name: [w.detach().clone() for w in network.parameters()] for name, network in networks.items()}


def changed(before: dict, after: dict) -> set[str]:
    """The networks of which any weight is another."""
    return {name for name in before if not all(map(torch.equal, before[name], after[name]))}


@pytest.mark.parametrize(
    ("loss", "term"), [("generator", "l1"), ("generator", "adversarial"), ("discriminator", "d_loss")]
)
def test_no_network_changes_when_a_term_of_either_is_not_finite(trainer, batch, monkeypatch, loss, term):
    right = getattr(Objective, loss)

    def spoiled(self, *arguments):
        total, terms = right(self, *arguments)
        return total * torch.nan, terms | {term: terms[term] * torch.nan}

    before = weights(trainer)
    with monkeypatch.context() as patch:
        patch.setattr(Objective, loss, spoiled)
        trainer.train_step(batch, 1.0)
        with pytest.raises(TrainingError, match=f"step 1: the term {term!r} is nan"):
            trainer.read()
    assert changed(before, weights(trainer)) == set()
    trainer.train_step(batch, 1.0)
    assert changed(before, weights(trainer)) == {"generator", "discriminator"}


def test_both_losses_are_of_the_networks_as_they_stood_before_the_step(trainer, batch):
    inputs, reals = trainer.prepare(batch, schedule(trainer.preset, 1.0, SIZE))
    still = copy.deepcopy(trainer.discriminator)
    generated = trainer.generator(inputs)
    _, of_discriminator = trainer.objective.discriminator(still, generated, reals, inputs)
    _, of_generator = trainer.objective.generator(still, generated, reals, inputs)
    torch.testing.assert_close(trainer.train_step(batch, 1.0), of_discriminator | of_generator)
