import copy
import json

import numpy as np
import pytest
import torch
from figures import copy_people

from sdgan_lib.checkpoints import CheckpointError, export_generator, preset_to_dict, save_checkpoint
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import ANSWERS, evaluate, group_means, mean_image, pair_metrics, warp_only
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.images import to_uint8
from sdgan_lib.metrics import METRICS, image_metrics, pose_mask
from sdgan_lib.plotting import gallery
from sdgan_lib.presets import Preset
from sdgan_lib.protocol import identity
from sdgan_lib.reports import (
    decile_pairs,
    format_table,
    make_deciles,
    make_gallery,
    model_card,
    write_metrics,
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = copy_people(tmp_path_factory.mktemp("people"))
    return PersonPairs(root, "train", pairs="all"), PersonPairs(root, "test", pairs="all")


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return make_generator(GeneratorConfig("sdgan", width=2, depth=4)).eval()


@pytest.fixture(scope="module")
def result(people, generator):
    return evaluate(generator, people[1], mean_image(people[0]), batch_size=7, quiet=True)


def test_every_answer_has_every_metric_for_both_groups(result):
    assert set(result) == {"same_camera", "all"}
    for answers in result.values():
        assert tuple(answers) == ANSWERS
        for values in answers.values():
            assert tuple(values) == METRICS
            assert all(torch.isfinite(torch.tensor(v)) for v in values.values())


def test_means_equal_a_loop_over_single_pairs(people, generator, result):
    train, test = people
    mean = mean_image(train)
    totals: dict = {}
    for i in range(len(test)):
        batch = torch.utils.data.default_collate([test[i]])
        posed = pose_mask(batch["target_pose"], *test.size)
        answers = {
            "model": generator.transfer(
                batch["source_image"], batch["source_pose"], batch["target_pose"]
            ).image,
            "copy_source": batch["source_image"],
            "warp_only": warp_only(batch),
            "mean_image": mean[None],
        }
        for name, picture in answers.items():
            values = image_metrics(picture.detach(), batch["target_image"], batch["target_mask"], posed)
            for group in ["all"] + ["same_camera"] * test[i]["same_camera"]:
                for metric, value in values.items():
                    totals.setdefault((group, name, metric), []).append(value.item())
    for (group, name, metric), values in totals.items():
        assert result[group][name][metric] == pytest.approx(sum(values) / len(values), rel=1e-4), (
            group,
            name,
            metric,
        )


def test_mean_image_is_the_mean_of_the_training_pictures(people):
    train, _ = people
    names = {name for i in range(len(train)) for name in (train[i]["source_name"], train[i]["target_name"])}
    pictures = {}
    for i in range(len(train)):
        item = train[i]
        pictures[item["source_name"]] = item["source_image"]
    assert set(pictures) == names
    torch.testing.assert_close(
        mean_image(train), torch.stack(list(pictures.values())).mean(0), atol=1e-5, rtol=0
    )


def test_mean_image_leaves_out_pictures_in_no_pair(people):
    one = copy.copy(people[0])
    one.pairs = one.pairs[:1]
    expected = (one[0]["source_image"] + one[0]["target_image"]) / 2
    torch.testing.assert_close(mean_image(one), expected, atol=1e-5, rtol=0)


def test_a_perfect_generator_would_win_everywhere(people):
    """The table can tell a good model from a bad one: one that answers with the target beats all others."""
    _, test = people

    class Oracle(torch.nn.Module):
        calls = 0

        def transfer(self, source_image, source_pose, target_pose):
            start = self.calls
            self.calls += len(source_image)
            picture = torch.stack([test[i]["target_image"] for i in range(start, self.calls)])
            return type("Answer", (), {"image": picture})

    result = evaluate(Oracle(), test, torch.zeros(3, *test.size), quiet=True)
    for answers in result.values():
        assert answers["model"]["fg_ssim"] == pytest.approx(1.0)
        assert answers["model"]["l1"] == pytest.approx(0.0)
        for name in ("copy_source", "warp_only", "mean_image"):
            assert answers[name]["fg_ssim"] < 0.9


def test_table_and_json_hold_the_same_figures(result, tmp_path):
    write_metrics(result, tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == result
    table = format_table(result)
    for group, answers in result.items():
        assert group.replace("_", "-") in table
        for name, values in answers.items():
            assert any(name in line and f"{values['fg_ssim']:.3f}" in line for line in table.splitlines())


def test_gallery_shows_all_columns(people, generator):
    rows = 5
    picture = make_gallery(generator, people[1], rows=rows)
    again = make_gallery(generator, people[1], rows=rows)
    assert picture.tobytes() == again.tobytes()
    assert picture.width > 7 * 64 and picture.height > rows * 128
    assert make_gallery(generator, people[1], rows=rows, seed=1).tobytes() != picture.tobytes()


def test_values_of_single_pairs_are_in_the_order_of_the_pairs_and_undefined_ones_left_out(people):
    _, test = people
    values, same_camera = pair_metrics(None, test, answers=["copy_source"], batch_size=3, quiet=True)
    assert list(values) == ["copy_source"]
    assert same_camera.tolist() == [test[i]["same_camera"] for i in range(len(test))]
    for i in (0, 4, len(test) - 1):
        item = test[i]
        expected = image_metrics(
            item["source_image"][None], item["target_image"][None], item["target_mask"][None]
        )
        assert values["copy_source"]["fg_l1"][i] == expected["fg_l1"].item()
    scores = {"model": {metric: torch.tensor([1.0, torch.nan, 3.0, 5.0]) for metric in METRICS}}
    means = group_means(scores, torch.tensor([True, True, False, False]))
    assert means["same_camera"]["model"]["fg_l1"] == 1 and means["all"]["model"]["fg_l1"] == 3
    assert set(group_means(scores, torch.zeros(4, dtype=torch.bool))) == {"all"}


@pytest.mark.parametrize(
    ("answers", "message"),
    [(["guess"], "guess"), ([], "none"), (ANSWERS, "mean_image needs the mean training image")],
)
def test_answers_that_cannot_be_given_are_refused(people, generator, answers, message):
    with pytest.raises(ValueError, match=message):
        pair_metrics(generator, people[1], answers=answers, quiet=True)


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


def test_deciles_show_the_pairs_with_their_scores(people, generator):
    _, test = people
    scores = torch.linspace(0, 1, len(test))
    picture = make_deciles(generator, test, scores)
    assert picture.width > 3 * 4 * 128 and picture.height > 256
    assert make_deciles(generator, test, scores).tobytes() == picture.tobytes()
    assert make_deciles(generator, test, scores / 2).size == picture.size
    assert make_deciles(generator, test, scores / 2).tobytes() != picture.tobytes()  # the labels
    assert make_deciles(generator, test, scores.flip(0)).tobytes() != picture.tobytes()
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


def test_a_gallery_has_room_for_a_title_and_for_labels_of_several_lines():
    columns = {"a": torch.zeros(2, 3, 128, 64)}
    plain, titled = gallery(columns), gallery(columns, title="of all")
    band = titled.height - plain.height
    assert band > 15 and titled.width == plain.width
    assert (np.asarray(titled)[:band] < 128).any() and (
        np.asarray(gallery(columns, title=" "))[:band] == 255
    ).all()
    assert np.array_equal(np.asarray(titled)[band:], np.asarray(plain))
    one, two = (
        gallery(columns, row_labels=["same camera", "b"]),
        gallery(columns, row_labels=["same\ncamera", "b"]),
    )
    assert plain.width < two.width < one.width

    def inked_rows(sheet):
        return int((np.asarray(sheet)[:-390, : sheet.width - plain.width] < 128).any((1, 2)).sum())

    assert inked_rows(two) > 1.5 * inked_rows(one)


def test_too_few_pairs_for_tenths_are_refused(people, generator):
    test = copy.copy(people[1])
    test.pairs = test.pairs[:3]
    with pytest.raises(ValueError, match="3 scored pairs are too few"):
        make_deciles(generator, test, torch.ones(3))


def test_a_card_needs_metrics_and_shows_them(result, tmp_path):
    preset = Preset(GeneratorConfig("sdgan", width=2, depth=4))
    state = {"preset": preset_to_dict(preset), "ema": make_generator(preset.generator).state_dict()}
    save_checkpoint(tmp_path / "c.pt", {**state, "step": 1234, "seconds": 180.0, "seed": 5})
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    with pytest.raises(CheckpointError, match=r"g\.safetensors: it holds no metrics"):
        model_card(tmp_path / "g.safetensors")
    write_metrics(result, tmp_path / "metrics.json")
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors", "abc1234")
    card = model_card(tmp_path / "g.safetensors")
    for text in ("`g.safetensors`", "width 2", "3 minutes, 1,234 steps", "seed 5", "`abc1234`", "all pairs"):
        assert text in card
    for answers in result.values():
        for values in answers.values():
            assert f"| {values['fg_ssim']:.3f} | {values['fg_l1']:.3f} | {values['fg_psnr']:.2f} |" in card
    assert "minutes in all" not in card and "--start-from" not in card
    start = {"digest": "0123456789abcdef", "steps": 5000, "minutes": 40.0}
    save_checkpoint(tmp_path / "c.pt", {**state, "step": 1234, "seconds": 180.0, "seed": 5, "start": start})
    write_metrics(result, tmp_path / "metrics.json")
    export_generator(tmp_path / "c.pt", tmp_path / "g.safetensors")
    card = model_card(tmp_path / "g.safetensors")
    for text in (
        "3 minutes, 1,234",
        "`0123456789ab…` of 40 minutes, 5,000 steps",
        "43 minutes in all",
        "--start-from",
    ):
        assert text in card
