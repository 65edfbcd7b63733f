"""evaluation.py: answers as data, means and seeds, intervals over people, pictures of other programs."""

import copy
import math

import numpy as np
import pytest
import torch
from figures import STANDING, copy_people
from PIL import Image
from torchvision.transforms.functional import gaussian_blur

from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import Found, load_estimator, pck, pckh
from sdgan_lib.evaluation import (
    REFERENCES,
    Evaluation,
    OfSet,
    copy_source,
    evaluate,
    fill_source,
    held_out,
    interval,
    mean_picture,
    of_folder,
    of_generator,
    references,
    system_of,
    target_itself,
    warp_only,
)
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.images import to_uint8
from sdgan_lib.metrics import HIGHER_IS_BETTER, METRICS, image_metrics, kernel_distance, pose_mask, speckle
from sdgan_lib.protocol import identity


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    root = copy_people(tmp_path_factory.mktemp("people"))
    return PersonPairs(root, "train", pairs="all"), PersonPairs(root, "test", pairs="all")


@pytest.fixture(scope="module")
def answers(people):
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig("sdgan", width=2, depth=4)).eval()
    return {"model": of_generator(generator)} | references(people[0])


@pytest.fixture(scope="module")
def result(people, answers):
    return evaluate(answers, people[1], batch_size=7, quiet=True)


def some(test, count, step=1):
    """The first pairs of ``test``, or every ``step``-th."""
    fewer = copy.copy(test)
    fewer.pairs = test.pairs[::step][:count]
    return fewer


# --- answers and their values ---------------------------------------------------------------------


def test_every_answer_has_every_metric_of_every_pair_and_a_mean_in_both_groups(people, result):
    assert tuple(result.values) == ("model", *REFERENCES)
    for metrics in result.values.values():
        assert tuple(metrics) == METRICS
        assert all(v.shape == (len(people[1]),) and v.dtype == torch.float64 for v in metrics.values())
    means = result.means()
    assert set(means) == {"same_camera", "all"}
    assert all(tuple(answers) == ("model", *REFERENCES) for answers in means.values())


def test_values_and_means_equal_a_loop_over_single_pairs(people, answers, result):
    test = people[1]
    collected: dict = {}
    for i in range(len(test)):
        batch = torch.utils.data.default_collate([test[i]])
        posed = pose_mask(batch["target_pose"], *test.size)
        for name, answer in answers.items():
            picture = answer(batch).detach()
            given = batch["target_mask"], posed, batch["source_mask"], batch["target_pose"]
            values = image_metrics(picture, batch["target_image"], *given)
            if not test[i]["same_camera"]:
                values["uncovered_l1"] = torch.tensor([torch.nan])
            for metric, value in values.items():
                measured = result.values[name][metric][i].item()
                assert measured == pytest.approx(value.item(), rel=1e-4, abs=1e-12, nan_ok=True)
                for group in ["all"] + ["same_camera"] * test[i]["same_camera"]:
                    of_pairs = collected.setdefault((group, name, metric), [])
                    of_pairs += [] if value.isnan() else [value.item()]
                assert value.isfinite() or metric in ("uncovered_l1", "psnr", "fg_psnr", "pck", "pckh")
    means = result.means()
    for (group, name, metric), values in collected.items():
        mean = sum(values) / len(values) if values else math.nan
        if not math.isfinite(mean):  # PSNR of the target itself, joints without an estimator
            assert name == "target_itself" or metric in ("pck", "pckh")
            assert metric not in means[group][name]
        else:
            assert means[group][name][metric] == pytest.approx(mean, rel=1e-4, abs=1e-12)
    uncovered = {group: answers["copy_source"]["uncovered_l1"] for group, answers in means.items()}
    assert uncovered["all"] == pytest.approx(uncovered["same_camera"])
    assert result.identities == tuple(identity(test[i]["source_name"]) for i in range(len(test)))
    assert result.same_camera.tolist() == [test[i]["same_camera"] for i in range(len(test))]


def test_the_mean_picture_is_that_of_the_pictures_in_pairs_and_of_no_others(people):
    train, test = people
    batch = torch.utils.data.default_collate([test[0], test[1]])
    train = train.subset_identities(train.identities()[:1])
    pictures = {train[i]["source_name"]: train[i]["source_image"] for i in range(len(train))}
    expected = torch.stack(list(pictures.values())).mean(0)
    torch.testing.assert_close(mean_picture(train)(batch), expected.expand(2, -1, -1, -1), atol=1e-5, rtol=0)
    one = some(train, 1)
    expected = (one[0]["source_image"] + one[0]["target_image"]) / 2
    torch.testing.assert_close(mean_picture(one)(batch)[0], expected, atol=1e-5, rtol=0)


def test_the_copied_source_and_the_warp_answer_with_the_source(people):
    batch = torch.utils.data.default_collate([people[1][0]])
    assert torch.equal(copy_source(batch), batch["source_image"])
    still = batch | {"target_pose": batch["source_pose"]}
    torch.testing.assert_close(warp_only(still), batch["source_image"], atol=1e-4, rtol=0)


def test_the_target_itself_beats_all_others_and_tells_its_own_speckle(people, answers, result):
    """The table can tell a good answer from a bad one."""
    for means in result.means().values():
        ceiling = means["target_itself"]
        assert ceiling["fg_ssim"] == pytest.approx(1)
        assert all(ceiling[metric] == 0 for metric in ("l1", "fg_l1", "uncovered_l1", "head_l1"))
        for name in answers.keys() - {"target_itself"}:
            assert (
                means[name]["fg_ssim"] < 0.9 and means[name]["uncovered_l1"] > 0.05 < means[name]["head_l1"]
            )
    own = [speckle(target_itself(item)).item() for item in torch.utils.data.DataLoader(people[1])]
    assert result.means()["all"]["target_itself"]["speckle"] == pytest.approx(sum(own) / len(own))
    assert sum(own) > 0


def test_the_filled_source_has_no_person_and_is_the_source_elsewhere(people):
    test = people[1]
    batch = torch.utils.data.default_collate([test[i] for i in range(8)])
    image, mask = batch["source_image"], batch["source_mask"]
    near = torch.nn.functional.conv2d(mask, torch.ones(1, 1, 5, 5), padding=2) > 0  # 2 px in every direction
    filled = fill_source(batch)
    torch.testing.assert_close(filled.where(~near, 0), image.where(~near, 0))
    rim = (near & (mask == 0)).expand_as(image)
    assert (filled != image)[rim].float().mean() > 0.9  # the margin is taken out, too
    other = batch | {"source_image": image.where(~near, 1.0)}
    torch.testing.assert_close(fill_source(other), filled)  # nothing of the person shows through
    values = evaluate({"fill": fill_source, "copy": copy_source}, test, quiet=True).means()["same_camera"]
    assert values["fill"]["uncovered_l1"] < 0.5 * values["copy"]["uncovered_l1"]


def test_without_masks_the_pose_masks_stand_in_and_what_is_uncovered_stays_undefined(people, answers):
    root = people[1].data.layout.root
    test = some(PersonPairs(root, "test", pairs="all", masks=False), 10, step=4)
    result = evaluate(answers, test, quiet=True)
    for values in result.means().values():
        for name, means in values.items():
            undefined = {"uncovered_l1", "pck", "pckh"}  # no estimator was given
            assert set(METRICS) - means.keys() - {"psnr", "fg_psnr"} == undefined, name
    pairs = torch.utils.data.default_collate([test[i] for i in range(4)])
    posed = pose_mask(pairs["target_pose"], *test.size)
    given = pairs["source_image"], pairs["target_image"], posed, posed
    expected = image_metrics(*given, pose=pairs["target_pose"])
    for metric in ("fg_l1", "head_l1"):
        torch.testing.assert_close(result.values["copy_source"][metric][:4], expected[metric])
    person = pose_mask(pairs["source_pose"], *test.size)
    assert (fill_source(pairs) != pairs["source_image"])[person.expand_as(posed.expand(-1, 3, -1, -1))].all()


class Looking:
    """An estimator that sees joints by a picture's own brightness, and counts the pictures it is shown."""

    def __init__(self):
        self.shown = 0

    def look(self, pictures):
        self.shown += len(pictures)
        pose = torch.tensor(STANDING) * torch.tensor([64, 128]) + 60 * pictures.mean((1, 2, 3)).view(-1, 1, 1)
        return pose, pictures[:, 0, :6, :3].flatten(1) / 2 + 0.5, pictures.mean((2, 3))


def test_joints_are_looked_for_in_each_answers_own_pictures_and_once_in_each_picture(people, answers):
    test, estimator, different = some(people[1], 12, step=3), Looking(), set()
    result = evaluate(answers, test, estimator=estimator, batch_size=7, quiet=True)
    for i in range(len(test)):
        batch = torch.utils.data.default_collate([test[i]])
        for name, answer in answers.items():
            picture = answer(batch).detach()
            values = {metric: result.values[name][metric][i].item() for metric in ("pck", "pckh")}
            if name == "fill_source":  # nobody is in it
                assert all(map(math.isnan, values.values()))
                continue
            different.add(picture.numpy().tobytes())
            found = Found(*Looking().look(picture)[:2])
            assert values["pck"] == pytest.approx(pck(found, batch["target_pose"]).item(), abs=0.1), name
            assert values["pckh"] == pytest.approx(pckh(found, batch["target_pose"]).item(), abs=0.1), name
    # The generator's and the warp's pictures may differ in their last bit from batch to batch: they count once each.
    assert estimator.shown == len(different) < 4 * len(test)
    of_targets = torch.stack([test[i]["target_image"].mean((1, 2)) for i in range(len(test))])
    of_sources = torch.stack([test[i]["source_image"].mean((1, 2)) for i in range(len(test))])
    for group, chosen in result.groups.items():
        people = torch.tensor([result.identities.index(who) for who in result.people(chosen)])
        sums, counts = kernel_distance(of_sources[chosen], of_targets[chosen], people)
        found = result.sets[group]["copy_source"]["kd_movenet"]
        assert found.value == pytest.approx(1000 * (sums.sum() / counts.sum()).item(), rel=1e-4)
        assert result.means()[group]["copy_source"]["kd_movenet"] == found.value
        assert result.means()[group]["target_itself"]["kd_movenet"] == pytest.approx(0, abs=1e-9)
        assert result.sets[group]["fill_source"] == {}
    table = result.table()["all"]
    assert math.isnan(table["fill_source"]["kd_movenet"].mean)
    assert 0 <= table["target_itself"]["pck"].low < table["target_itself"]["pck"].high <= 1
    assert len({values["pck"].mean for values in table.values()}) > 3


def test_metrics_of_sets_of_one_pair_or_person_are_undefined(people):
    for count, defined in ((1, False), (3, False), (len(people[1]), True)):
        test = some(people[1], count)
        values = evaluate({"copy": copy_source}, test, estimator=Looking(), quiet=True).table()["all"]["copy"]
        assert (len({identity(test.names[i]) for i in test.pairs[:, 0].tolist()}) == 2) is defined
        assert math.isfinite(values["kd_movenet"].mean) is defined
        assert math.isnan(values["kd_movenet"].low)  # of two people, too: no others could have been drawn
        assert math.isfinite(values["fd_movenet"].mean) is (count > 1)


def test_pairs_laid_out_as_market_1501_without_masks_are_evaluated(make_dataset):
    test = held_out(make_dataset(prefix="market", masks=False))
    means = evaluate({"copy": copy_source}, test, estimator=Looking(), quiet=True).means()["all"]["copy"]
    assert test.description()["identities"] == 2
    assert {"uncovered_l1"} == set(METRICS) - set(means) and means["kd_movenet"] != 0


def test_the_shipped_estimator_finds_the_joints_of_the_target_itself_and_few_elsewhere(people, tmp_path):
    test = some(people[1], 6)
    for i in range(len(test)):
        name = f"{test[i]['source_name']}___{test[i]['target_name']}.png"
        Image.fromarray(to_uint8(test[i]["target_image"])).save(tmp_path / name)
    answers = {
        "theirs": of_folder(tmp_path, test),
        "target": target_itself,
        "other": lambda batch: batch["target_image"].flip(2),  # upside down
    }
    means = evaluate(answers, test, estimator=load_estimator(), quiet=True).means()["all"]
    assert means["theirs"]["pck"] == means["target"]["pck"] > 0.8
    assert means["theirs"]["pckh"] == means["target"]["pckh"] > 0.6
    assert means["other"]["pck"] < 0.4


def test_undefined_values_are_left_out_of_the_means_and_empty_groups_of_the_table():
    scores = {"a": {metric: torch.tensor([1.0, torch.nan, 3.0, 5.0]).double() for metric in METRICS}}
    people = ("x", "x", "y", "z")
    means = Evaluation(scores, torch.tensor([True, True, False, False]), people).means()
    assert means["same_camera"]["a"]["fg_l1"] == 1 and means["all"]["a"]["fg_l1"] == 3
    nobody = Evaluation(scores, torch.zeros(4, dtype=torch.bool), people)
    assert set(nobody.means()) == set(nobody.table()) == {"all"}


def test_what_cannot_be_evaluated_is_refused(people):
    with pytest.raises(ValueError, match="0 answers"):
        evaluate({}, people[1], quiet=True)
    with pytest.raises(ValueError, match="0 pairs"):
        evaluate({"copy": copy_source}, some(people[1], 0), quiet=True)
    with pytest.raises(
        ValueError, match=r"'half' has shape \[16, 3, 64, 32\], its target \[16, 3, 128, 64\]"
    ):
        evaluate({"half": lambda b: b["source_image"][..., ::2, ::2]}, people[1], quiet=True)


def test_a_data_set_without_test_pairs_is_told_with_the_way_to_train_without(make_dataset):
    root = make_dataset()
    assert len(held_out(root)) == 24
    (root / "people-pairs-test.csv").write_text("from,to\n")
    with pytest.raises(UserError, match=r"people-pairs-test\.csv: no usable pair.*--no-evaluate"):
        held_out(root)
    (root / "people-annotation-test.csv").unlink()
    with pytest.raises(UserError, match=r"people-annotation-test\.csv.*--no-evaluate"):
        held_out(root)


RANKS = {  # best first; what is wrong with an order stands beside it
    "fg_ssim": "copy blur shift_1 noise shift_2 other",  # a blur before a pixel's shift that nobody sees
    "fg_l1": "copy blur shift_1 noise shift_2 other",  # likewise
    "psnr": "copy blur shift_1 noise shift_2 other",  # likewise, and noise before a shift of two pixels
    "mask_ssim": "copy blur shift_1 noise shift_2 other",  # likewise; see below for "other"
    "pck": "copy blur noise other",  # shifts of a pixel or two are nothing to it
    "kd_movenet": "copy shift_1 shift_2 blur noise",  # it does not know who ought to be where
    "fd_movenet": "copy shift_1 shift_2 blur noise",
}


@pytest.mark.slow
def test_what_each_metric_says_of_a_copy_a_shift_a_blur_noise_and_another_person():
    """The same person a pixel further right is nearly right, a blurred one looks wrong, another one is wrong."""
    test = some(PersonPairs("data/people", "test", pairs="all"), 8, step=125)
    assert len({identity(test.names[i]) for i in test.pairs[:, 1].tolist()}) == 8
    noise = 0.2 * torch.randn(1, 3, *test.size, generator=torch.Generator().manual_seed(0))

    def shifted(pixels):
        return lambda b: torch.nn.functional.pad(b["target_image"], (pixels, 0, 0, 0), "replicate")[
            ..., :-pixels
        ]

    answers = {
        "copy": target_itself,
        "shift_1": shifted(1),
        "shift_2": shifted(2),
        "blur": lambda b: gaussian_blur(b["target_image"], [7, 7], [1.5, 1.5]),
        "noise": lambda b: (b["target_image"] + noise).clamp(-1, 1),
        "other": lambda b: b["target_image"].roll(1, 0),
    }
    result = evaluate(answers, test, estimator=load_estimator(), quiet=True)
    table = result.table()["all"]
    for metric, order in RANKS.items():
        means = {name: table[name][metric].mean for name in order.split()}
        ranked = sorted(means, key=means.get, reverse=HIGHER_IS_BETTER[metric])
        assert ranked == order.split(), (metric, means)
    assert table["other"]["mask_ssim"].mean > 0.65 > 0.3 > table["other"]["fg_ssim"].mean
    for shift in ("shift_1", "shift_2"):
        assert table[shift]["pck"].mean == pytest.approx(table["copy"]["pck"].mean, abs=0.05)
    assert table["blur"]["speckle"].mean < 0.1 * table["copy"]["speckle"].mean
    assert table["blur"]["kd_movenet"].low > 10 * table["shift_1"]["kd_movenet"].high
    assert table["other"]["kd_movenet"].low < 0 < table["other"]["kd_movenet"].high


# --- seeds and intervals --------------------------------------------------------------------------


def test_seeds_of_one_system_are_averaged_and_their_spread_told():
    def scores(*values):
        return {metric: torch.tensor(values, dtype=torch.float64) for metric in METRICS}

    values = {"new@0": scores(1, 2, 3, 6), "old": scores(0, 0, 1, 1), "new@1": scores(2, 3, 4, 7)}
    table = Evaluation(values, torch.tensor([True, True, False, False]), ("p", "p", "q", "q")).table()
    assert list(table["all"]) == ["new", "old"]
    new = table["all"]["new"]["ssim"]
    assert new.mean == 3.5 and new.spread == pytest.approx(math.sqrt(0.5))
    assert (new.low, new.high) == (2, 5)  # of the seeds' mean: person p has 2, person q has 5
    assert math.isnan(table["all"]["old"]["ssim"].spread)
    for metric, value in (("uncovered_l1", torch.nan), ("psnr", torch.inf)):  # for every seed alike
        endless = {name: of | {metric: torch.full((4,), value).double()} for name, of in values.items()}
        told = Evaluation(endless, torch.ones(4, dtype=torch.bool), ("p", "p", "q", "q")).table()["all"][
            "new"
        ]
        assert not math.isfinite(told[metric].mean) and math.isnan(told[metric].spread)
    same = table["same_camera"]["new"]["ssim"]
    assert same.mean == 2 and math.isnan(same.low)  # one person only
    assert [system_of(name) for name in ("a@0", "a-b@12", "me@home", "@1", "a")] == [
        "a", "a-b", "me@home", "@1", "a"
    ]  # fmt: skip


def test_a_metric_of_sets_is_averaged_over_seeds_with_an_interval_over_the_same_people():
    values = {name: {"l1": torch.zeros(2).double()} for name in ("a@0", "a@1", "b")}
    redrawn = torch.arange(101).double()
    of = {"a@0": OfSet(1.0, redrawn), "a@1": OfSet(4.0, redrawn.flip(0) + 3), "b": OfSet(2.0)}
    sets = {"all": {name: {"kd_movenet": value, "is": OfSet(5.0)} for name, value in of.items()}}
    result = Evaluation(values, torch.zeros(2, dtype=torch.bool), ("p", "q"), sets)
    table = result.table()["all"]
    a, b = table["a"]["kd_movenet"], table["b"]["kd_movenet"]
    assert (a.mean, a.low, a.high) == (2.5, 51.5, 51.5) and a.spread == pytest.approx(math.sqrt(4.5))
    assert b.mean == 2 and all(map(math.isnan, (b.spread, b.low, b.high)))
    assert table["a"]["is"].mean == 5 and math.isnan(table["a"]["is"].low)
    assert result.means()["all"]["a@1"] == {"l1": 0, "kd_movenet": 4, "is": 5}


def test_a_difference_is_taken_pair_by_pair_over_all_seeds():
    def scores(*values):
        return {metric: torch.tensor(values, dtype=torch.float64) for metric in METRICS}

    values = {
        "new@0": scores(3, 4, 7, math.nan),
        "new@1": scores(5, 6, 9, math.nan),
        "old@0": scores(1, 3, 3, 1),
        "old@1": scores(1, 1, 3, 1),
    }
    sets = {
        "new@0": OfSet(5.0, torch.tensor([5.0, 7.0]).double()),
        "new@1": OfSet(7.0, torch.tensor([7.0, 9.0]).double()),
        "old@0": OfSet(1.0, torch.tensor([2.0, 3.0]).double()),
        "old@1": OfSet(2.0, torch.tensor([2.0, 1.0]).double()),
    }
    of_sets = {"all": {name: {"kd_movenet": found} for name, found in sets.items()}}
    result = Evaluation(values, torch.zeros(4, dtype=torch.bool), ("p", "p", "q", "q"), of_sets)
    found = result.difference("new", "old")["all"]["fg_ssim"]
    # Seeds' means pair by pair: 4, 5, 8 against 1, 2, 3; differences 3, 3, 5.
    assert found.mean == pytest.approx(11 / 3) and (found.low, found.high) == (3, 5)
    # Means of new's seeds 14/3 and 20/3, spread sqrt(2); of old's 2 and 1.5, spread sqrt(1/8).
    assert found.spread == pytest.approx(math.sqrt(2 + 1 / 8))
    back = result.difference("old", "new")["all"]["fg_ssim"]
    assert (back.mean, back.low, back.high) == (-found.mean, -5, -3) and back.spread == found.spread
    of_set = result.difference("new", "old")["all"]["kd_movenet"]
    assert (of_set.mean, of_set.low, of_set.high) == (4.5, 4, 6)  # redrawn: 6, 8 against 2, 2
    assert of_set.spread == pytest.approx(math.sqrt(2 + 1 / 2))
    assert math.isnan(result.difference("new", "old")["all"]["lpips"].mean)  # not measured
    alone = Evaluation(
        {k: v for k, v in values.items() if k != "old@1"}, result.same_camera, result.identities
    )
    assert math.isnan(alone.difference("new", "old")["all"]["l1"].spread)


def test_an_interval_of_two_persons_is_the_one_worked_out_by_hand():
    """Draws of two persons from (a: mean 1 of 3 pairs, b: mean 5 of 1): aa 1/4, ab 1/2, bb 1/4; ab gives 8/4 = 2."""
    values, people = torch.tensor([0.0, 1.0, torch.nan, 2.0, 5.0]), ["a", "a", "a", "a", "b"]
    assert interval(values, people) == (1, 5)
    assert interval(values, people, level=0.4) == (2, 2)  # the inner 40 % of draws are all ab
    assert interval(values, people, level=0.8) == (1, 5)
    assert all(math.isnan(end) for end in interval(values[:4], people[:4]))  # of one person nothing follows
    assert interval(torch.tensor([math.inf, 1.0, math.inf]), ["a", "b", "c"])[1] == math.inf


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """200 experiments: 30 persons of 8 pairs each, persons and pairs both spread by 1 around 0.

    95 % intervals must hold 0 in about 95 % of them (a percentile bootstrap of 30 is a little narrow); drawn by single
    pairs, as if these were independent, they hold it far less often.
    """
    generator = torch.Generator().manual_seed(0)
    people = [str(i) for i in range(30) for _ in range(8)]
    pairs = [str(i) for i in range(240)]
    held = {"people": 0, "pairs": 0}
    for seed in range(200):
        own = torch.randn(30, 1, generator=generator) + torch.randn(30, 8, generator=generator)
        for name, groups in (("people", people), ("pairs", pairs)):
            low, high = interval(own.flatten(), groups, resamples=400, seed=seed)
            held[name] += low <= 0 <= high
    assert 0.90 <= held["people"] / 200 <= 0.98
    assert held["pairs"] / 200 < 0.65


# --- pictures of other programs -------------------------------------------------------------------

NAMINGS = {
    "PATN": ("{a}.jpg___{b}.jpg_vis.jpg", 5),
    "PATN, the folder of its web page": ("images/{a}.jpg___{b}.jpg_vis.jpg", 5),
    "PATN without endings": ("{a}___{b}.png", 1),
    "pose-gan": ("{a}.jpg_{b}.jpg.jpg", 1),
    "pose-gan, input and target beside": ("{a}.jpg_{b}.jpg.png", 3),
    "folders": ("{a}/{b}.PNG", 1),
    "folders with endings": ("{a}.jpg/{b}.jpg", 1),
    "folders further down": ("test/{a}/{b}.png", 1),
}


def write_answers(folder, test, naming, count=1):
    """Pictures of flat colour, another for each pair, the last of ``count`` side by side."""
    for i in range(len(test)):
        a, b = (test[i][f"{role}_name"].removesuffix(".jpg") for role in ("source", "target"))
        path = folder / naming.format(a=a, b=b)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((test.size[0], count * test.size[1], 3), np.uint8)
        pixels[:, -test.size[1] :] = (7 * i) % 256
        Image.fromarray(pixels).save(path, format="PNG")


@pytest.mark.parametrize("naming", NAMINGS)
def test_pictures_are_found_by_the_names_that_the_field_gives_them(naming, people, tmp_path):
    test = some(people[1], 20)
    write_answers(tmp_path, test, *NAMINGS[naming])
    answer = of_folder(tmp_path, test)
    for start in (0, 10):
        made = answer(torch.utils.data.default_collate([test[i] for i in range(start, start + 10)]))
        assert made.shape == (10, 3, *test.size)
        for i, picture in enumerate(to_uint8(made), start):
            assert (picture == (7 * i) % 256).all()


def test_a_folder_of_the_targets_is_a_perfect_answer(people, tmp_path):
    test = some(people[1], 6)
    for i in range(6):
        item = test[i]
        Image.fromarray(to_uint8(item["target_image"])).save(
            tmp_path / f"{item['source_name']}___{item['target_name']}_vis.png"
        )
    means = evaluate({"theirs": of_folder(tmp_path, test), "copy": copy_source}, test, quiet=True).means()
    assert means["all"]["theirs"]["l1"] < 1e-6 < means["all"]["copy"]["l1"]


def test_faults_of_a_folder_are_counted_and_named(people, tmp_path):
    test = some(people[1], 20)
    with pytest.raises(UserError, match="none: no such folder"):
        of_folder(tmp_path / "none", test)
    write_answers(tmp_path, test, "{a}___{b}.png")
    first, second = (f"{test[i]['source_name'][:-4]}___{test[i]['target_name'][:-4]}" for i in (0, 1))

    twice = tmp_path / "old" / f"{first}_vis.jpg"
    twice.parent.mkdir()
    twice.write_bytes((tmp_path / f"{first}.png").read_bytes())
    with pytest.raises(
        UserError, match=f"1 pairs have more than one picture: {first}.png and old/{first}_vis.jpg"
    ):
        of_folder(tmp_path, test)
    twice.unlink()

    Image.new("RGB", (64, 64)).save(tmp_path / f"{second}.png")
    Image.new("RGB", (128, 128)).save(tmp_path / f"{first}.png")  # two side by side: nobody writes that
    with pytest.raises(
        UserError, match=rf"2 of 20 pictures are not 128x64.*{first}.png \(128x128\), {second}.png \(64x64"
    ):
        of_folder(tmp_path, test)

    (tmp_path / f"{second}.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=f"{second}.png: the picture cannot be read"):
        of_folder(tmp_path, test)

    for name in (first, second):
        (tmp_path / f"{name}.png").unlink()
    a, b = test[0]["source_name"], test[0]["target_name"]
    with pytest.raises(UserError, match=f"2 of 20 pairs have no picture: {a} -> {b}, .*FROM___TO.png"):
        of_folder(tmp_path, test)
