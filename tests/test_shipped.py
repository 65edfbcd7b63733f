"""The shipped checkpoints, their cards and pictures: what a card says is what the file holds and does.

To replace a shipped file: train and export as the card says, with ``--name shipped``; copy ``gallery.png`` and
``deciles.png`` of the run beside it; write the card anew (``python -m sdgan_lib card``); run this file.
"""

import re
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from sdgan_lib.checkpoints import ARCHITECTURE, load_generator, read_exported, weights_digest
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import evaluate, of_generator
from sdgan_lib.reports import CARD_NAMES, COLUMNS, model_card

FILES = [Path("data/checkpoints/sdgan.safetensors")]
GROUPS = {"same camera pairs": "same_camera", "all pairs": "all"}


@pytest.fixture(scope="module", params=FILES, ids=lambda file: file.parent.name)
def file(request):
    return request.param


@pytest.fixture(scope="module")
def card(file):
    return (file.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def figures(card, file):
    """{group: {answer: {metric: the card's own text}}}, read from the card's tables."""
    answers = {CARD_NAMES[answer]: answer for answer in read_exported(file).metrics["all"]}
    found = {}
    for line in card.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in GROUPS:
            group, metrics = found.setdefault(GROUPS[cells[0]], {}), cells[1:]
        elif cells[0] in answers:
            group[answers[cells[0]]] = dict(zip(metrics, cells[1:], strict=True))
    return found


def test_the_card_is_the_one_that_the_file_gives(card, file):
    assert card == model_card(file), f"write it anew: python -m sdgan_lib card {file}"


def test_every_figure_of_the_card_is_the_files_own(figures, file):
    metrics = read_exported(file).metrics
    assert set(figures) == set(metrics) == {"same_camera", "all"}
    for group, answers in figures.items():
        assert set(answers) == set(metrics[group]) and len(answers) >= 4
        for answer, values in answers.items():
            assert set(values) >= {*COLUMNS, *metrics[group][answer]}
            for metric, text in values.items():
                if metric not in metrics[group][answer]:
                    assert text == "–"
                    continue
                half = 0.5 * 10.0 ** -len(text.partition(".")[2])
                assert float(text) == pytest.approx(metrics[group][answer][metric], abs=1.001 * half)


def test_digest_and_architecture_of_the_card_are_the_files_own(card, file):
    assert re.findall(r"\b[0-9a-f]{64}\b", card) == [weights_digest(load_file(file))]
    assert f"| architecture | version {ARCHITECTURE}," in card
    exported = read_exported(file)
    assert f"{exported.steps:,} steps" in card and f"commit `{exported.commit}`" in card


def test_the_files_are_small_enough_to_ship(file):
    assert file.stat().st_size <= 15e6
    for name, limit in (("gallery.png", 600_000), ("deciles.png", 400_000)):
        assert (file.parent / name).stat().st_size <= limit, name
        with Image.open(file.parent / name) as picture:
            assert picture.width > 1000
            picture.load()


@pytest.mark.slow
def test_the_shipped_generator_does_what_its_card_says(figures, file):
    """Fails when the meaning of weights changed and ARCHITECTURE was not raised (or no new file shipped)."""
    test = PersonPairs("data/people", "test", pairs="same-camera")  # half of them tell, in half of the time
    assert len(test) == 500
    measured = evaluate({"model": of_generator(load_generator(file))}, test, quiet=True).means()
    for metric in ("fg_ssim", "fg_l1"):
        stated = float(figures["same_camera"]["model"][metric])
        assert measured["same_camera"]["model"][metric] == pytest.approx(stated, abs=0.002), metric
