"""The shipped checkpoints, their cards and pictures: what a card says is what the file holds and does.

To replace the shipped generator: train and export as the card says, with ``--name shipped``; copy ``gallery.png`` and
``deciles.png`` of the run beside it; write the card anew (``python -m sdgan_lib card``); run this file. The four
systems that are compared come from a study: see CONTRIBUTING.md.
"""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from sdgan_lib.checkpoints import ARCHITECTURE, load_generator, read_exported, weights_digest
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import REFERENCES, evaluate, held_out, of_generator
from sdgan_lib.reports import CARD_NAMES, COLUMNS, model_card
from sdgan_lib.results import read_results

SHIPPED, COMPARED = Path("data/checkpoints/sdgan.safetensors"), Path("data/checkpoints/four_systems")
FILES = [SHIPPED, *(COMPARED / f"{name}.safetensors" for name in ("baseline", "pg2", "deformable", "sdgan"))]
RESULTS, LARGER = (Path("data/studies", f"{name}.safetensors") for name in ("four_systems", "larger"))
DOCS = Path("README.md"), Path("docs/four_systems.md")
GROUPS = {"same camera pairs": "same_camera", "all pairs": "all"}
TOLD = {"Deformable GAN": "deformable", "U-Net baseline": "baseline", "PG2": "pg2", "SDGAN": "sdgan"}
TOLD |= {"without stacking": "sdgan-flat", "without the adversarial term": "sdgan-no-adversarial"}
TOLD |= {
    "without composition": "sdgan-no-composition",
    "without attention and composition": "sdgan-no-attention",
}


@pytest.fixture(scope="module", params=FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def file(request):
    return request.param


def card_of(file: Path) -> Path:
    return file.with_name("README.md") if file == SHIPPED else file.with_suffix(".md")


@pytest.fixture(scope="module")
def card(file):
    return card_of(file).read_text(encoding="utf-8")


def rows_of(text: str):
    """Each row of the tables of a Markdown text: what stands above its name, its name, its cells by their headings."""
    heading: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            heading = []
        elif not heading:
            heading = cells
        elif set(line) - set("|- ") and len(cells) == len(heading):
            yield heading[0], cells[0], dict(zip(heading[1:], cells[1:], strict=True))


def half_a_digit(text: str) -> float:
    """Half of the last digit of a printed number, and what a float's own rounding takes."""
    return 1.001 * 0.5 * 10.0 ** -len(text.partition(".")[2])


@pytest.fixture(scope="module")
def figures(card, file):
    """{group: {answer: {metric: the card's own text}}}, read from the card's tables."""
    answers = {CARD_NAMES[answer]: answer for answer in read_exported(file).metrics["all"]}
    found = {}
    for heading, name, values in rows_of(card):
        if heading in GROUPS and name in answers:
            found.setdefault(GROUPS[heading], {})[answers[name]] = values
    return found


def test_the_card_is_the_one_that_the_file_gives(card, file):
    assert card == model_card(file), f"write it anew: python -m sdgan_lib card {file} --out {card_of(file)}"


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
                assert float(text) == pytest.approx(metrics[group][answer][metric], abs=half_a_digit(text))


def test_digest_and_architecture_of_the_card_are_the_files_own(card, file):
    assert re.findall(r"\b[0-9a-f]{64}\b", card) == [weights_digest(load_file(file))]
    assert f"| architecture | version {ARCHITECTURE}," in card
    exported = read_exported(file)
    assert f"{exported.steps:,} steps" in card and f"commit `{exported.commit}`" in card


def test_the_files_are_small_enough_to_ship():
    assert SHIPPED.stat().st_size <= 15e6
    assert sum(file.stat().st_size for file in FILES) <= 40e6
    for name, limit in (("gallery.png", 600_000), ("deciles.png", 400_000)):
        assert SHIPPED.with_name(name).stat().st_size <= limit, name
        with Image.open(SHIPPED.with_name(name)) as picture:
            assert picture.width > 1000
            picture.load()


@pytest.mark.slow
def test_the_shipped_generator_does_what_its_card_says():
    """Fails when the meaning of weights changed and ARCHITECTURE was not raised (or no new file shipped)."""
    test = PersonPairs("data/people", "test", pairs="same-camera")  # half of them tell, in half of the time
    assert len(test) == 500
    measured = evaluate({"model": of_generator(load_generator(SHIPPED))}, test, quiet=True).means()
    stated = read_exported(SHIPPED).metrics["same_camera"]["model"]
    for metric in ("fg_ssim", "fg_l1"):
        assert measured["same_camera"]["model"][metric] == pytest.approx(stated[metric], abs=0.002), metric


@pytest.mark.slow
def test_the_compared_systems_do_what_the_results_of_their_study_say():
    """Cards and table are of all pairs (see the tests of the cards); here every twentieth is made and measured anew."""
    test, stated = held_out("data/people"), read_results(RESULTS)
    some = torch.arange(0, len(test), 20)
    test.pairs = test.pairs[some]
    answers = {f"{file.stem}@0": of_generator(load_generator(file)) for file in FILES[1:]}
    measured = evaluate(answers, test, quiet=True)
    for name in answers:
        for metric in ("fg_ssim", "fg_l1", "ssim"):
            found, said = measured.values[name][metric], stated.values[name][metric][some]
            assert found.mean().item() == pytest.approx(said.mean().item(), abs=0.002), (name, metric)


def test_the_cards_of_the_compared_systems_say_what_their_study_measured():
    means = read_results(RESULTS).means()
    for file in FILES[1:]:
        for group, answers in read_exported(file).metrics.items():
            for metric, value in answers["model"].items():
                assert value == pytest.approx(means[group][f"{file.stem}@0"][metric], abs=1e-6), (
                    file,
                    metric,
                )


def test_the_tables_of_the_docs_say_what_their_studies_measured():
    """Every ``mean ± spread`` of README and docs, by the heading of its table and the name in its row."""
    tables = {"": read_results(RESULTS).table(), "256x128, ": read_results(LARGER).table()}
    seen = []
    for heading, name, values in rows_of("\n".join(map(Path.read_text, DOCS))):
        size = "256x128, " if heading.startswith("256x128, ") else ""
        group = GROUPS.get(heading.removeprefix(size).replace("all (1,000 pairs)", "all pairs"))
        told = {metric: cell.split(" ± ") for metric, cell in values.items() if group and "±" in cell}
        system = TOLD.get(name, name)
        for metric, texts in told.items():
            found = tables[size][group][system][metric]
            for text, value in zip(texts, (found.mean, found.spread), strict=True):
                assert float(text) == pytest.approx(value, abs=half_a_digit(text)), (heading, name, metric)
            seen.append((system, metric))
    assert {system for system, _ in seen} == {*tables[""]["all"]} - {*REFERENCES} and len(seen) > 150
