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
from sdgan_lib.reports import CARD_NAMES, COLUMNS, effect, model_card
from sdgan_lib.results import read_results

SHIPPED, COMPARED = Path("data/checkpoints/sdgan.safetensors"), Path("data/checkpoints/four_systems")
FILES = [SHIPPED, *(COMPARED / f"{name}.safetensors" for name in ("baseline", "pg2", "deformable", "sdgan"))]
LONGER = Path("data/studies/longer.safetensors")
STUDIES = {"256x128": Path("data/studies/larger.safetensors"), "8,000 steps": LONGER}
STUDIES |= {"": Path("data/studies/four_systems.safetensors")}
"""Results by what the headings of their tables begin with; every heading begins as the last one does."""
DOCS = Path("README.md"), Path("docs/four_systems.md")
GROUPS = {"same camera pairs": "same_camera", "all pairs": "all"}
TOLD = {
    "U-Net baseline": "baseline",
    "PG2": "pg2",
    "Deformable GAN": "deformable",
    "SDGAN": "sdgan",
    "without stacking": "sdgan-flat",
    "without the adversarial term": "sdgan-no-adversarial",
    "without composition": "sdgan-no-composition",
    "without attention and composition": "sdgan-no-attention",
    "SDGAN with Deformable GAN's losses": "sdgan-plain",
    "the same without attention": "sdgan-plain-no-attention",
    "Deformable GAN with SDGAN's losses": "deformable-losses",
} | {told: reference for reference, told in CARD_NAMES.items() if reference in REFERENCES}
"""What README and docs call the answers of the studies."""


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


def docs() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCS)


def place_of(heading: str) -> tuple[str, str | None]:
    """Which of :data:`STUDIES` a table is of, and which group of pairs; ``256x128, all (1,000 pairs)`` say."""
    study = next(filter(heading.startswith, STUDIES))
    return study, GROUPS.get(
        re.sub(r" \([\d,]+ pairs\)$", " pairs", heading.removeprefix(study).removeprefix(", "))
    )


def check_printed(text: str, value: float, *where: str) -> None:
    """A printed number is the value, to half of its last digit and what a float's own rounding takes."""
    half = 0.5 * 10.0 ** -len(text.partition(".")[2])
    assert float(text) == pytest.approx(value, abs=1.001 * half), where


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
                check_printed(text, metrics[group][answer][metric], answer, metric)


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
    test, stated = held_out("data/people"), read_results(LONGER)
    some = torch.arange(0, len(test), 20)
    test.pairs = test.pairs[some]
    answers = {f"{file.stem}@0": of_generator(load_generator(file)) for file in FILES[1:]}
    measured = evaluate(answers, test, quiet=True)
    for name in answers:
        for metric in ("fg_ssim", "fg_l1", "ssim"):
            found, said = measured.values[name][metric], stated.values[name][metric][some]
            assert found.mean().item() == pytest.approx(said.mean().item(), abs=0.002), (name, metric)


def test_the_cards_of_the_compared_systems_say_what_their_study_measured():
    means = read_results(LONGER).means()
    for file in FILES[1:]:
        for group, answers in read_exported(file).metrics.items():
            for metric, value in answers["model"].items():
                assert value == pytest.approx(means[group][f"{file.stem}@0"][metric], abs=1e-6), (
                    file,
                    metric,
                )


def numbers_of(cell: str) -> dict[str, str]:
    """What a cell of a study's table states of an estimate, as text: mean, mean ± spread, or low to high."""
    if " to " in cell:
        return dict(zip(("low", "high"), cell.split(" to "), strict=True))
    return dict(zip(("mean", "spread"), cell.split(" ± "), strict=False)) if cell != "–" else {}


def test_the_tables_of_the_docs_say_what_their_studies_measured():
    """Every number of README and docs below a metric, by the heading of its table and the name in its row."""
    tables = {study: read_results(file).table() for study, file in STUDIES.items()}
    seen = {study: set() for study in tables}
    for heading, name, values in rows_of(docs()):
        study, group = place_of(heading)
        system = TOLD.get(name, name)
        found = tables[study].get(group, {}).get(system, {})
        for metric, cell in values.items():
            for part, text in numbers_of(cell).items() if found else ():
                check_printed(
                    text, getattr(found[metric.removesuffix(", 95 %")], part), heading, name, metric
                )
                seen[study].add((system, metric, part))
    for study, table in tables.items():
        assert {system for system, *_ in seen[study]} >= {*table["all"]} - {*REFERENCES}, study
    assert {part for _, _, part in seen[""]} == {"mean", "spread", "low", "high"} and len(seen[""]) > 250


CHANGED = {
    "stacking": ("sdgan-flat", "sdgan"),
    "the adversarial term": ("sdgan-no-adversarial", "sdgan"),
    "composition": ("sdgan-no-composition", "sdgan"),
    "attention, where composition is gone": ("sdgan-no-attention", "sdgan-no-composition"),
    "the paper's stacking alone": ("sdgan-plain-no-attention", "deformable"),
    "attention on top of it": ("sdgan-plain", "sdgan-plain-no-attention"),
    "both, the paper's networks": ("sdgan-plain", "deformable"),
    "SDGAN's losses in Deformable GAN": ("deformable-losses", "deformable"),
    "SDGAN's networks, same losses": ("sdgan", "deformable-losses"),
    "128x64": ("sdgan", "sdgan-flat"),
    "256x128": ("sdgan", "sdgan-flat"),
}
"""Rows of differences: whose, against whom."""


def test_the_differences_in_the_docs_are_those_of_their_studies():
    """``+0.006 (0.004 to 0.007; 0.004) better``: mean, interval over people, spread over seeds, and what that says."""
    results = {study: read_results(file) for study, file in STUDIES.items()}
    number, seen = r"[-+]?\d+\.\d+", set()
    shape = re.compile(
        rf"({number})(?: \(({number}) to ({number})(?:; ({number}))?\))? (better|worse|no|one seed)"
    )
    for heading, name, values in rows_of(docs().replace("−", "-")):
        both = CHANGED.get(name, tuple(name.split(" against ")))
        if len(both) == 2:
            study, group = place_of(heading or f"{name}, all pairs".removeprefix("128x64, "))
            found = results[study].difference(*both)[group]
            for metric, cell in values.items():
                *texts, verdict = shape.fullmatch(cell).groups()
                assert effect(metric, found[metric]) == verdict, (heading, name, metric)
                for part, text in zip(("mean", "low", "high", "spread"), texts, strict=True):
                    if text:
                        check_printed(text, getattr(found[metric], part), heading, name, metric)
                seen.add((study, *both, group, metric))
    assert len(seen) > 60 and {study for study, *_ in seen} == {*results}


def test_the_rows_of_the_shipped_generator_say_what_its_file_holds():
    """The README states the card's numbers."""
    metrics, seen = read_exported(SHIPPED).metrics, set()
    for heading, name, values in rows_of(docs()):
        for metric, text in values.items() if name == "SDGAN, shipped" else ():
            study, group = place_of(heading)
            check_printed(text, metrics[group]["model"][metric], heading, metric)
            seen.add((study, group, metric))
    assert len(seen) == 18
