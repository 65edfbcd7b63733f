"""reports.py: tables, galleries, tenths, the files of an evaluation, and the card, which says what is recorded only."""

import copy
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from figures import copy_people
from PIL import Image

from sdgan_lib import reports
from sdgan_lib.checkpoints import (
    CheckpointError,
    export_generator,
    preset_to_dict,
    read_exported,
    save_checkpoint,
)
from sdgan_lib.cli import Evaluate, main
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import REFERENCES, Estimate, evaluate, of_generator, references, warp_only
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.images import to_uint8
from sdgan_lib.metrics import METRICS
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.protocol import identity
from sdgan_lib.reports import (
    MARK,
    NOT_RECORDED,
    decile_pairs,
    from_means,
    make_deciles,
    make_gallery,
    markdown_table,
    model_card,
    text_table,
    too_few_for_tenths,
    write_card,
    write_reports,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return copy_people(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def test(root):
    return PersonPairs(root, "test", pairs="all")


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return make_generator(GeneratorConfig("sdgan", width=2, depth=4)).eval()


@pytest.fixture(scope="module")
def result(root, test, generator):
    train = PersonPairs(root, "train", pairs="all")
    return evaluate({"model": of_generator(generator)} | references(train), test, quiet=True)


# --- tables ---------------------------------------------------------------------------------------

TWO_DIGITS = ("psnr", "fg_psnr", "speckle")


@pytest.mark.parametrize(
    ("write", "gap", "titles"),
    [
        (text_table, r" {2,}", {"same_camera": "same-camera pairs", "all": "all pairs"}),
        (markdown_table, r" \| ", {"same_camera": "same camera pairs", "all": "all pairs"}),
    ],
)
def test_tables_hold_each_figure_in_the_column_of_its_metric(write, gap, titles, result):
    table = result.table()
    shown, columns = {}, []
    for line in write(table).splitlines():
        first, *cells = re.split(gap, line.strip("| "))
        if first in titles.values():
            columns = cells
            of_group = shown.setdefault(first, {})
            assert write is markdown_table or len(line) <= 80  # of a terminal
        elif first in table["all"]:
            of_group.setdefault(first, {}).update(zip(columns, cells, strict=True))
    for group, systems in table.items():
        found = shown[titles[group]]
        assert set(found) == set(systems)
        for system, values in systems.items():
            for metric in METRICS:
                if write is text_table and metric.endswith(
                    "own_range"
                ):  # of use beside published figures only
                    assert metric not in found[system]
                    continue
                mean = f"{values[metric].mean:.{2 if metric in TWO_DIGITS else 3}f}"
                assert found[system][metric].rstrip("*") == re.sub("inf|nan", "–", mean)
            if write is markdown_table:
                ends = f"{values['fg_ssim'].low:.3f} to {values['fg_ssim'].high:.3f}"
                assert found[system]["fg_ssim, 95 %"] == ends


def table_of(**means):
    return {"all": {name: {m: Estimate(*values) for m in METRICS} for name, values in means.items()}}


def test_the_best_of_a_column_is_marked_and_spread_and_interval_shown_where_there_are_any():
    table = table_of(new=(0.5, 0.01, 0.4, 0.625), warp_only=(0.25,))
    _, person, person_warp, _, _, place, place_warp, headline, *_ = text_table(table).splitlines()
    new, warp = person + place, person_warp + place_warp
    assert new.count("0.500 ± 0.010*") == 5 and new.count("0.50 ± 0.01*") == 2  # higher is better
    assert (
        warp.count("0.250*") == 4 and warp.count("*") == 4
    )  # l1, fg_l1, head_l1 and uncovered_l1; not speckle
    one = "0.500 (95 % over people: 0.400 to 0.625), 2.00 x warp_only"
    assert headline == f"new: fg_ssim {one}; fg_l1 {one}; pck {one.partition(',')[0]}"
    ceiling = table | {"all": table["all"] | table_of(target_itself=(0.8,))["all"]}
    assert (
        ", 0.62 x target_itself" in text_table(ceiling) and ceiling["all"]["new"]["pck"].mean / 0.8 == 0.625
    )
    plain = table_of(new=(0.5,))
    assert text_table(plain).splitlines()[5] == "new: fg_ssim 0.500; fg_l1 0.500; pck 0.500"
    plain["all"]["new"]["pck"] = Estimate(float("nan"))  # not measured
    assert text_table(plain).splitlines()[5] == "new: fg_ssim 0.500; fg_l1 0.500"
    assert "| 0.500 ± 0.010 |" in markdown_table(table) and "| 0.400 to 0.625 |" in markdown_table(table)
    assert "*" not in markdown_table(table) and "95 %" not in markdown_table(plain)
    assert "| theirs |" in markdown_table(plain, {"new": "theirs"})


def test_the_ceiling_is_not_marked_as_the_best_and_what_is_undefined_is_a_dash():
    table = table_of(new=(0.5,), warp_only=(0.25,), target_itself=(1.0,))
    tied = table_of(new=(0.5,), target_itself=(0.5,))
    both = text_table(table | {"tied": tied["all"]}).splitlines()
    marks = sum(line.count("*") for line in both if line.startswith("new "))
    assert marks == 7 + 11  # of the eleven metrics with a best, first all but those of L1, then all
    rows = [line for line in text_table(tied).splitlines() if line.startswith("target_itself")]
    assert len(rows) == 2 and "*" not in "".join(rows)
    for name in ("new", "target_itself"):
        table["all"][name]["uncovered_l1"] = Estimate(float("nan"))
        table["all"][name]["psnr"] = Estimate(float("inf"))
    text, markdown = text_table(table), markdown_table(table)
    for name, dashes in {"new": 2, "warp_only": 0, "target_itself": 2}.items():
        for lines in (text.splitlines(), markdown.replace("| ", "").splitlines()):
            assert "".join(line for line in lines if line.startswith(name)).count("–") == dashes
    assert re.search(r"nan|inf", text + markdown) is None
    table["all"]["warp_only"]["fg_ssim"] = Estimate(0.3, low=0.2, high=0.4)  # the others have no interval
    assert markdown_table(table).count("| – |") == 4 + 2 and "– to –" not in markdown_table(table)
    place = next(line for line in text.splitlines()[5:] if line.startswith("warp_only"))
    assert place.split()[1] == "0.250*"  # the only uncovered_l1 that is defined is the best


def test_metrics_of_sets_have_a_block_where_they_were_measured_and_real_pictures_are_not_the_best():
    table = table_of(new=(0.5,), copy_source=(0.25,), target_itself=(1.0,))
    assert "kd_movenet" not in text_table(table) + markdown_table(table)
    for name, value in {"new": 7.5, "copy_source": 0.125, "target_itself": 0.0}.items():
        table["all"][name] |= {"kd_movenet": Estimate(value, low=value - 1, high=value + 1)}
        table["all"][name] |= {"lpips": Estimate(value), "fd_movenet": Estimate(value)}
    lines = text_table(table).splitlines()
    first = next(i for i, line in enumerate(lines) if "kd_movenet" in line)
    assert [line.split() for line in lines[first : first + 4]] == [
        ["all", "pairs", "kd_movenet", "lpips"],
        ["new", "7.50*", "7.500"],
        ["copy_source", "0.12", "0.125*"],
        ["target_itself", "0.00", "0.000"],
    ]
    assert (
        "kernel distance" in lines[-3]
        and "kd_movenet 7.50 (95 % over people: 6.50 to 8.50)" in lines[first + 4]
    )
    markdown = markdown_table(table)
    assert (
        "| kd_movenet | lpips | fd_movenet | ssim_own_range |" in markdown and "| 6.50 to 8.50 |" in markdown
    )


# --- pictures -------------------------------------------------------------------------------------


def test_gallery_shows_all_columns(test, generator):
    rows, shown = 5, {"warp only": warp_only}
    picture = make_gallery(shown, test, generator=generator, rows=rows)
    assert picture.width > 7 * 64 * 3 and picture.height > rows * 128 * 3
    assert make_gallery(shown, test, generator=generator, rows=rows).tobytes() == picture.tobytes()
    assert make_gallery(shown, test, generator=generator, rows=rows, seed=1).tobytes() != picture.tobytes()
    narrow = make_gallery(shown, test, rows=rows)
    assert (picture.width - narrow.width) == 3 * (64 * 3 + 6)  # the generator's three pictures
    columns = {"warp only": warp_only, "high output": of_generator(generator)}
    with_answer = np.asarray(make_gallery(columns, test, rows=rows))
    assert np.array_equal(with_answer[-380:, -190:-10], np.asarray(picture)[-380:, -190:-10])


class Pairs:
    """``count`` pairs; pair i shows person i modulo ``persons``."""

    def __init__(self, count, persons):
        self.names = [f"{i % persons:04d}_c1s1_{i:06d}_01.jpg" for i in range(count)]
        self.pairs = torch.arange(count)[:, None].expand(count, 2)


def test_pairs_of_each_tenth_are_drawn_by_rule():
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    scores = torch.empty(200)
    scores[order] = torch.linspace(1, 0, 200)  # order[0] is the best
    rank = {int(pair): i for i, pair in enumerate(order)}
    chosen = decile_pairs(Pairs(200, 200), scores, rows=4)
    ranks = {name: [rank[pair] for pair in pairs] for name, pairs in chosen.items()}
    assert ranks == {"best": [2, 7, 12, 17], "middle": [92, 97, 102, 107], "worst": [182, 187, 192, 197]}

    pairs = Pairs(200, 14)  # persons repeat: twelve pairs, still twelve persons, each pair within its tenth
    chosen = decile_pairs(pairs, scores, rows=4)
    shown = [identity(pairs.names[i]) for group in chosen.values() for i in group]
    assert len(shown) == len(set(shown)) == 12
    for name, (low, high) in {"best": (0, 20), "middle": (90, 110), "worst": (180, 200)}.items():
        assert all(low <= rank[i] < high for i in chosen[name])
        assert sorted(rank[i] for i in chosen[name]) == [rank[i] for i in chosen[name]]
    assert all(len(group) == 4 for group in decile_pairs(Pairs(200, 1), scores, rows=4).values())

    scores[order[:50]] = torch.nan
    chosen = decile_pairs(Pairs(200, 200), scores, rows=1)
    assert [rank[i] for group in chosen.values() for i in group] == [57, 125, 192]


def test_deciles_show_the_pairs_with_their_scores(test, generator):
    answer = of_generator(generator)
    scores = torch.linspace(0, 1, len(test))
    picture = make_deciles(answer, test, scores)
    assert picture.width > 3 * 4 * 128 and picture.height > 256
    assert make_deciles(answer, test, scores).tobytes() == picture.tobytes()
    assert make_deciles(answer, test, scores / 2).size == picture.size
    assert make_deciles(answer, test, scores / 2).tobytes() != picture.tobytes()  # the labels
    assert make_deciles(answer, test, scores.flip(0)).tobytes() != picture.tobytes()
    chosen = decile_pairs(test, scores)
    block = picture.width // 3
    for number, pair in enumerate(group[0] for group in chosen.values()):
        target = to_uint8(test[pair]["target_image"])
        part = np.asarray(picture.crop((number * block, 0, (number + 1) * block, picture.height)))
        assert smallest_difference(part, target) <= 4


def smallest_difference(sheet, picture):
    """Largest difference of any pixel where ``picture``, enlarged twice, lies best on ``sheet``."""
    height, width = (2 * n for n in picture.shape[:2])
    corner = abs(sheet[:-height, :-width].astype(int) - picture[0, 0]).max(-1) <= 4
    found = [
        abs(sheet[y : y + height : 2, x : x + width : 2].astype(int) - picture).max()
        for y, x in zip(*corner.nonzero(), strict=True)
        if 30 <= y < 90
    ]
    return min(found, default=255)


def test_too_few_pairs_for_tenths_are_told(test, generator):
    fewer = copy.copy(test)
    fewer.pairs = test.pairs[:3]
    with pytest.raises(UserError, match="3 test pairs are too few"):
        make_deciles(of_generator(generator), fewer, torch.ones(3))
    for count in range(200):
        enough = all(decile_pairs(Pairs(count, 1), torch.ones(count)).values()) if count else False
        assert bool(too_few_for_tenths(count)) != enough
    assert too_few_for_tenths(9) == "" and too_few_for_tenths(1)


# --- files ----------------------------------------------------------------------------------------


def test_the_files_of_an_evaluation(result, test, generator, tmp_path):
    answers = {"model": of_generator(generator)}
    written = write_reports(result, answers, test, tmp_path / "new", generator=generator)
    assert [path.name for path in written] == ["metrics.json", "table.md", "gallery.png", "deciles.png"]
    assert sorted(written) == sorted((tmp_path / "new").iterdir())
    content = json.loads(written[0].read_text())
    assert content["metrics"] == result.means()
    assert not re.search("NaN|Infinity", written[0].read_text())  # of which JSON knows nothing
    groups = {"same_camera": int(result.same_camera.sum()), "all": len(test)}
    assert content["test"] == test.description() | {"groups": groups}
    assert written[1].read_text() == markdown_table(result.table()) + "\n"


def test_few_pairs_are_no_reason_to_lose_the_table(test, generator, tmp_path):
    fewer = copy.copy(test)
    fewer.pairs = test.pairs[:2]
    answers = {"a@0": of_generator(generator), "a@1": warp_only}
    written = write_reports(evaluate(answers, fewer, quiet=True), answers, fewer, tmp_path)
    assert [path.name for path in written] == ["metrics.json", "table.md", "gallery.png"]
    assert "| a | " in written[1].read_text() and "±" in written[1].read_text()


def names(*checkpoints, **options):
    evaluate = Evaluate(checkpoints, **options)
    return {name: str(path) for name, (_, path) in evaluate.named().items()}, str(evaluate.folder())


def test_answers_are_named_by_their_runs_unless_named_otherwise(tmp_path, monkeypatch):
    assert names() == ({"model": "runs/sdgan/checkpoint.pt"}, "runs/sdgan")
    assert names("a/checkpoint.pt") == ({"model": "a/checkpoint.pt"}, "a")
    assert names("mine.safetensors") == ({"model": "mine.safetensors"}, "runs/evaluation")
    both = {"a@1": "runs/a@1/checkpoint.pt", "b": "c/b.safetensors"}
    assert names("runs/a@1/checkpoint.pt", "c/b.safetensors") == (both, "runs/evaluation")
    assert names("x@0=a/checkpoint.pt", pictures=("y=theirs",)) == (
        {"x@0": "a/checkpoint.pt", "y": "theirs"},
        "runs/evaluation",
    )
    assert names(pictures=("out/theirs",), out=tmp_path) == ({"theirs": "out/theirs"}, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.pt").write_bytes(b"")
    assert names("a=b.pt", "c.pt")[0] == {"a=b": "a=b.pt", "c": "c.pt"}  # a file that is there
    with pytest.raises(UserError, match="its name 'a' is empty or taken"):
        names("a/checkpoint.pt", "b/a.safetensors")
    with pytest.raises(UserError, match="its name 'warp_only' is empty or taken"):
        names("a.pt", "warp_only=b.pt")


def save(path, preset, **state):
    torch.manual_seed(0)
    weights = make_generator(preset.generator).state_dict()
    state = {"step": 1234, "seconds": 180.0, "seed": 5, "start": None, "data": None} | state
    save_checkpoint(path, {"preset": preset_to_dict(preset), "ema": weights, **state})


SMALL = Preset(GeneratorConfig("sdgan", width=2, depth=4))


@pytest.mark.slow
def test_generators_and_pictures_of_other_programs_are_evaluated_at_once(root, test, tmp_path, capsys):
    for seed in (0, 1):
        save(tmp_path / f"net@{seed}" / "checkpoint.pt", SMALL)
    item = [test[i] for i in range(len(test))]
    (tmp_path / "theirs").mkdir()
    for pair in item:
        picture = Image.fromarray(to_uint8(pair["target_image"]))
        picture.save(tmp_path / "theirs" / f"{pair['source_name']}___{pair['target_name']}_vis.png")
    command = ["evaluate", *(tmp_path / f"net@{s}" / "checkpoint.pt" for s in (0, 1))]
    command += ["--pictures", f"theirs={tmp_path / 'theirs'}", "--data", root, "--out", tmp_path / "all"]
    command += ["--no-joints"]
    assert main([str(part) for part in [*command, "--device", "cpu"]]) == 0
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())["metrics"]
    assert list(metrics["all"]) == ["net@0", "net@1", "theirs", *REFERENCES]
    assert metrics["all"]["theirs"]["fg_ssim"] == pytest.approx(1) and "pck" not in metrics["all"]["theirs"]
    out = capsys.readouterr().out
    assert (
        re.search(r"\nnet +0\.\d+ ± 0\.000", out)
        and "\ntheirs: fg_ssim 1.000 (95 % over people: 1.000 to 1.000), " in out
    )
    assert (tmp_path / "all" / "deciles.png").is_file() and not (tmp_path / "net@0" / "metrics.json").exists()


# --- the card -------------------------------------------------------------------------------------

DATA = {"name": "mine", "root": "/somewhere/mine", "split": "train", "pictures": 321, "identities": 12, "pairs": 4567,
        "kind": "same-camera", "size": [64, 48], "masks": False, "licence": "All rights reserved",
        "digest": "abcdef0123456789" * 4}  # fmt: skip
TEST = DATA | {"split": "test", "pairs": 890, "kind": "all", "groups": {"same_camera": 77, "all": 890}}


@pytest.fixture
def exported(tmp_path):
    """A file whose training is recorded in full, and what it holds."""
    save(tmp_path / "c.pt", SMALL)
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors", "abc1234")
    return tmp_path / "g.safetensors"


@pytest.fixture
def holds(exported, result, monkeypatch):
    """``holds(data=..., test=...)``: the file is read as one that holds these."""

    def change(**fields):
        found = SimpleNamespace(**vars(read_exported(exported)) | {"metrics": result.means()} | fields)
        monkeypatch.setattr(reports, "read_exported", lambda path: found)

    return change


def test_a_card_needs_metrics_and_shows_them(exported, holds, result):
    with pytest.raises(CheckpointError, match=r"g\.safetensors: it holds no metrics"):
        model_card(exported)
    holds()
    card = model_card(exported)
    for text in ("`g.safetensors`", "width 2", "3 minutes, 1,234 steps", "seed 5", "`abc1234`", "this file"):
        assert text in card
    table = from_means(result.means())
    for systems in table.values():
        for values in systems.values():
            means = {metric: values[metric].mean for metric in ("fg_ssim", "fg_l1", "fg_psnr", "head_l1")}
            numbers = (f"{mean:.{2 if m in TWO_DIGITS else 3}f}" for m, mean in means.items())
            assert f"| {' | '.join(numbers)} |".replace("nan", "–") in card


def test_a_card_of_a_file_with_older_metrics_has_dashes_for_what_it_lacks(exported, holds, result):
    young = {"uncovered_l1", "head_l1", "speckle", "pck", "pckh"}
    older = {
        group: {
            name: {metric: mean for metric, mean in means.items() if metric not in young}
            for name, means in answers.items()
            if name in ("model", "copy_source")
        }
        for group, answers in result.means().items()
    }
    holds(metrics=older)
    lines = model_card(exported).splitlines()
    for start in ("| this file |", "| source copied |"):
        assert [line.count("| – ") for line in lines if line.startswith(start)] == [len(young)] * 2
    assert "target itself |" not in model_card(exported)
    holds()
    lines = model_card(exported).splitlines()
    assert [line.count("| – ") for line in lines if line.startswith("| this file")] == [2, 2]  # no estimator


def test_a_card_tells_the_data_of_its_own_training_or_that_they_are_not_recorded(exported, holds):
    holds(data=DATA, test=TEST)
    card = model_card(exported)
    assert (
        "| data | `mine`, split train: 4,567 pairs (of one camera) of 321 pictures (64x48) of 12 identities |"
        in card
    )
    assert (
        "On `mine`, split test: 890 pairs (77 of one camera) of 321 pictures (64x48) of 12 identities" in card
    )
    assert "trained on: All rights reserved;" in card and "/somewhere" not in card
    holds(data=None, test=None)
    bare = model_card(exported)
    assert bare.count(NOT_RECORDED) == 4 and "mine" not in bare
    for text in ("250 identities", "50 held-out", "1,000 pairs", "CC0", "128x64", "data/people"):
        assert text not in card + bare
    holds(data=DATA | {"licence": ""})
    assert f"trained on: {NOT_RECORDED};" in model_card(exported)


def test_a_card_names_every_option_that_the_preset_does_not_imply(exported, holds):
    def command(preset, **fields):
        holds(preset=preset, **fields)
        card = model_card(exported)
        return next(line.strip() for line in card.splitlines() if "sdgan_lib train" in line), card

    laptop = PRESETS["sdgan"]
    line, card = command(laptop)
    assert line == "python -m sdgan_lib train --system sdgan --steps 1234 --seed 5 --data DATA --name NAME"
    assert "differs from the preset" not in card
    other = laptop.with_width(24)
    other = replace(other, recipe=replace(other.recipe, batch_size=3, pairs="all", flip=False))
    line, card = command(other)
    assert "--width 24 --batch-size 3 --pairs all --data" in line
    assert "differs from the preset: `recipe.flip` is False." in card
    line, _ = command(PRESETS["baseline-paper"].with_width(32))
    assert "--system baseline-paper --steps 1234 --seed 5 --width 32 --data" in line
    start = SimpleNamespace(digest="0123456789abcdef", steps=5000, minutes=40.0)
    line, card = command(replace(laptop, recipe=replace(laptop.recipe, half_size=0.0)), start=start)
    assert line.endswith("--seed 5 --start-from START --data DATA --name NAME") and "half_size" not in card
    for text in ("`0123456789ab…` of 40 minutes, 5,000 steps", "43 minutes in all"):
        assert text in card


def test_a_card_shows_the_pictures_beside_it_only(exported, holds):
    holds()
    assert ".png" not in model_card(exported)
    exported.with_name("deciles.png").write_bytes(b"")
    assert "(deciles.png)" in model_card(exported) and "gallery" not in model_card(exported)
    assert ".png" not in model_card(exported, exported.parent / "elsewhere")


def test_a_readme_that_is_no_card_is_left_alone(exported, holds, tmp_path):
    holds()
    readme = tmp_path / "README.md"
    for own in ("# my project\n", "", "# A trained generator\n\nby hand\n"):
        readme.write_text(own)
        with pytest.raises(UserError, match=r"README\.md: not a card.*--out FILE"):
            write_card(exported)
        assert readme.read_text() == own
    for _ in range(2):  # a file that is named is written, whatever it held
        assert write_card(exported, tmp_path / "cards" / "g.md").read_text().startswith(MARK)
        (tmp_path / "cards" / "g.md").write_text("# mine")
    assert readme.read_text() == "# A trained generator\n\nby hand\n"
    readme.unlink()
    assert write_card(exported) == readme
    holds(seed=6)
    write_card(exported)
    assert "seed 6" in readme.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "cards", "c.pt", "g.safetensors"}


def test_the_command_line_writes_a_card_and_refuses_a_foreign_readme_in_one_line(
    exported, holds, tmp_path, capsys
):
    holds()
    (tmp_path / "README.md").write_text("# mine\n")
    assert main(["card", str(exported)]) == 1
    assert "not a card" in capsys.readouterr().err
    assert main(["card", str(exported), "--out", str(tmp_path / "card.md")]) == 0
    assert (tmp_path / "card.md").read_text() == model_card(exported)
