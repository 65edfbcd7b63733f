import copy
import json

import pytest
import torch
from figures import copy_people

from sdgan_lib.datasets import PersonPairs
from sdgan_lib.evaluation import (
    ANSWERS,
    evaluate,
    format_table,
    make_gallery,
    mean_image,
    warp_only,
    write_metrics,
)
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.metrics import METRICS, image_metrics, pose_mask


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
