"""A person before a background: the fill by hand, the parts' contracts, and that every switch off changes nothing."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from figures import standing

from sdgan_lib.batches import flip_pairs, halve_pairs
from sdgan_lib.composition import (
    BackgroundMaker,
    ComposingHead,
    SourceAttention,
    background_loss,
    make_truth,
    push_pull_fill,
    silhouette_loss,
    widen,
)
from sdgan_lib.generators import SCALES, GeneratorConfig, make_generator
from sdgan_lib.inputs import Generated, make_inputs
from sdgan_lib.losses import LossConfig, Objective, feature_matching_loss, ssim_loss
from sdgan_lib.metrics import ssim_map
from sdgan_lib.presets import PRESETS, schedule
from sdgan_lib.training import Trainer
from sdgan_lib.warping import BACKGROUND, REGIONS

SIZE = (128, 64)
NEW = {"composition": True, "lookup": True, "blocks": 1}


def composed(**changes) -> GeneratorConfig:
    return GeneratorConfig("sdgan", width=8, depth=4, norm="group", dropout=0.0, **(NEW | changes))


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(count, 3, 16, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return F.interpolate(coarse, size=SIZE, mode="bilinear")


# --- the fill -------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_a_mask_is_widened_by_the_maximum_of_a_square(pixels):
    mask = torch.rand(2, 1, 9, 14)
    assert torch.equal(widen(mask, pixels), F.max_pool2d(mask, 2 * pixels + 1, stride=1, padding=pixels))


def test_the_fill_by_hand():
    picture = torch.tensor([[1.0, 3.0, 10.0, 20.0], [5.0, 99.0, 99.0, 99.0]])[None, None]
    known = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])[None, None]
    filled = push_pull_fill(picture, known)[0, 0]
    left, right = (1 + 3 + 5) / 3, (10 + 20) / 2  # means of what is known of each half
    torch.testing.assert_close(filled[0], picture[0, 0, 0])
    expected = [
        5.0,
        0.75 * left + 0.25 * right,
        0.25 * left + 0.75 * right,
        right,
    ]  # bilinear between the two
    torch.testing.assert_close(filled[1], torch.tensor(expected))
    known[0, 0, :, 0], known[0, 0, 0, 1] = (
        torch.tensor([1.0, 0.0]),
        0,
    )  # one of four: it alone fills its coarse pixel
    expected = 0.75 * 1 + 0.25 * right
    torch.testing.assert_close(push_pull_fill(picture, known)[0, 0, 1, 1], torch.tensor(expected))


def test_the_fill_keeps_what_is_known_and_forgets_what_is_not():
    picture, known = pictures(2), (torch.rand(2, 1, *SIZE) < 0.3).float()
    other = torch.where(known == 1, picture, torch.rand_like(picture))
    torch.testing.assert_close(push_pull_fill(picture, known), push_pull_fill(other, known))
    assert (push_pull_fill(picture, known) - picture).mul(known).abs().max() < 1e-6
    constant = torch.full_like(picture, 0.3)
    torch.testing.assert_close(push_pull_fill(constant, known), constant)


@pytest.mark.parametrize("size", [(24, 40), (16, 16), (7, 9)])
def test_the_fill_of_any_size_and_of_nothing(size):
    known = torch.zeros(1, 1, *size)
    assert push_pull_fill(torch.ones(1, 3, *size), known).abs().max() == 0
    known[..., 0, 0] = 1
    torch.testing.assert_close(push_pull_fill(torch.ones(1, 3, *size), known), torch.ones(1, 3, *size))


# --- the parts ------------------------------------------------------------------------------------


def test_the_background_starts_as_the_fill_and_what_is_known_stays():
    torch.manual_seed(0)
    maker = BackgroundMaker((8, 8, 8, 8), "group")
    features = [torch.randn(2, 8, 128 >> i, 64 >> i) for i in range(4)]
    made = maker(pictures(2), features)
    torch.testing.assert_close(made.picture, made.filled)
    person, shadow = (made.logits + 1).sigmoid().split(1, 1)
    torch.testing.assert_close(made.known, 1 - torch.maximum(widen(person, 2), shadow))
    torch.nn.init.normal_(maker.painter.last.weight)
    painted = maker.painter(made.filled, torch.ones_like(made.known))
    torch.testing.assert_close(painted, made.filled)  # nothing to paint where everything is known
    assert (maker.painter(made.filled, made.known) - made.filled).abs().max() > 0.01


def test_the_head_mixes_by_hand():
    torch.manual_seed(0)
    head = ComposingHead(4, 8)
    features, candidates = torch.randn(1, 4, 2, 2), torch.rand(1, 11, 3, 2, 2)
    masks, place, known = torch.rand(1, 11, 2, 2), torch.rand(1, 3, 2, 2) / 2, torch.ones(1, 1, 2, 2)
    image, attention, outline = head(features, candidates, masks, place, known)
    out = head.layers(torch.cat([features, place, known], 1))
    prior = torch.cat([-4 * (1 - masks[:, :10]), torch.full((1, 1, 2, 2), -2.0)], 1)
    share = (out[:, 3:14] + prior).exp()
    share = share / share.sum(1, keepdim=True)
    alpha = 1 / (1 + (-out[:, 14:] + 4 * (masks[:, 10:] - 0.5)).exp())
    person = (
        sum(share[:, k : k + 1] * candidates[:, k] for k in range(10)) + share[:, 10:] * out[:, :3].tanh()
    )
    torch.testing.assert_close(image, alpha * person + (1 - alpha) * place)
    torch.testing.assert_close(attention.sum(1), torch.ones(1, 2, 2))
    torch.testing.assert_close(attention[:, BACKGROUND], 1 - alpha[:, 0])
    torch.testing.assert_close(outline.sigmoid(), alpha)


def test_the_lookup_finds_the_pixel_with_the_same_joint():
    torch.manual_seed(0)
    lookup = SourceAttention(4, 4, heads=1, size=4, joints=2)
    for layer in (lookup.query, lookup.key, lookup.value, lookup.out):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    for layer in (lookup.query, lookup.key):  # compare the joints only, sharply
        layer.weight.data[0, 4, 0, 0] = layer.weight.data[1, 5, 0, 0] = 30.0
    for layer in (lookup.value, lookup.out):
        layer.weight.data[:, :, 0, 0] = torch.eye(4)
    source = torch.randn(1, 4, 2, 3)
    before, after = torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 3)
    before[0, 0, 1, 2], before[0, 1, 0, 1] = 1, 1
    after[0, 0, 0, 0], after[0, 1, 1, 1] = 1, 1
    found = lookup(torch.zeros(1, 4, 2, 3), source, before, after)
    torch.testing.assert_close(found[..., 0, 0], source[..., 1, 2])
    torch.testing.assert_close(found[..., 1, 1], source[..., 0, 1])
    torch.testing.assert_close(found[..., 1, 0], source.mean((2, 3)))  # no joint: all alike


# --- the generator --------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"composition": False}, {"lookup": False}, {"blocks": 0}])
@pytest.mark.parametrize("size", [(128, 64), (64, 96)])
def test_pictures_of_every_scale_with_each_switch(changes, size):
    torch.manual_seed(0)
    generator = make_generator(composed(**changes))
    made = generator.transfer(torch.rand(2, 3, *size) * 2 - 1, standing(2, size), standing(2, size, seed=1))
    for picture, maps, factor in zip(made.images, made.attention, SCALES, strict=True):
        assert picture.shape == (2, 3, size[0] // factor, size[1] // factor) and picture.abs().max() <= 1
        assert maps.shape[1] == len(REGIONS) + 1
        torch.testing.assert_close(maps.sum(1), torch.ones_like(maps[:, 0]))
    assert (made.background is None) == ("composition" in changes)


def test_the_additions_are_sdgans_alone_and_the_paper_has_none():
    for name, preset in PRESETS.items():
        config, losses = preset.generator, preset.losses
        added = config.composition, losses.head_weight, losses.feature_weight, losses.ssim_weight
        large = config.lookup, config.blocks, config.levels
        assert all(large) if name == "sdgan-large" else not any(large)
        if name in ("sdgan", "sdgan-flat", "sdgan-large"):
            assert all(added) and losses.silhouette_weight and losses.background_weight
        else:
            assert not (any(added) or losses.reads_masks)
    with torch.device("meta"):
        names = make_generator(PRESETS["sdgan-paper"].generator).state_dict()
    assert not [name for name in names if name.startswith(("background", "lookup", "blocks"))]


def test_levels_choose_the_channels():
    assert composed(levels=(8, 16, 24, 32, 40)).channels == (8, 16, 24, 32, 40)
    with pytest.raises(ValueError, match="5 numbers, not 2"):
        composed(levels=(8, 16))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"system": "deformable"}, "for the system sdgan"), ({"attention": False}, "needs attention=True")],
)
def test_impossible_switches_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**({"system": "sdgan", "depth": 4, "composition": True} | wrong))


def test_every_new_weight_learns_from_the_losses():
    torch.manual_seed(0)
    generator = make_generator(composed())
    for layer in (generator.background.painter.last, generator.lookup.out):
        torch.nn.init.normal_(
            layer.weight, std=0.1
        )  # zero at the start: what stands before them learns a step later
    inputs = make_inputs(pictures(2), standing(2, SIZE), standing(2, SIZE, seed=1))
    made = generator(inputs)
    truth = make_truth({}, inputs.source_body, inputs.target_body)
    loss = silhouette_loss(made.background, truth) + background_loss(
        made.background, truth, pictures(2, seed=3)
    )
    (loss + sum((image - 0.1).abs().mean() for image in made.images)).backward()
    without = [n for n, p in generator.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert without == ["lookup.key.bias"] or not without  # a key's bias moves all logits alike


# --- truth and losses -----------------------------------------------------------------------------


def test_truth_comes_from_masks_where_there_are_any():
    body, mask = torch.zeros(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    body[:, :, 10:20], mask[:, :, 5, 5] = 1, 1
    assert (
        make_truth({}, body, body).target_person is body
        or (make_truth({}, body, body).target_person == body).all()
    )
    batch = {"source_mask": mask, "target_mask": mask, "same_camera": torch.tensor([True, False])}
    truth = make_truth(batch, body, body)
    assert (truth.source_person == mask).all() and truth.comparable[0].min() == 1
    assert (truth.comparable[1] == mask[1]).all()


def test_what_cannot_be_known_counts_in_no_term():
    """Of a pair of two cameras, a generator that is wrong in the background only has no loss, nor is that judged."""
    target = pictures(2)
    mask = torch.zeros(2, 1, *SIZE)
    mask[:, :, 40:80, 20:40] = 1
    wrong = torch.where(widen(mask, 8) == 1, target, -target)
    inputs = make_inputs(pictures(2, 1), standing(2, SIZE), standing(2, SIZE, seed=1))
    objective = Objective(LossConfig(person_weight=3.0), (0,))
    for same, zero in ((False, True), (True, False)):
        batch = {"source_mask": mask, "target_mask": mask, "same_camera": torch.tensor([same, same])}
        truth = make_truth(batch, mask, mask)
        _, terms = objective.generator(None, Generated([wrong], []), [target], inputs, truth)
        assert (terms["l1"].item() == 0) == zero
        shown = objective.comparable([wrong], [target], truth)[0]
        assert ((shown - target).abs().max() == 0) == zero


def test_what_another_camera_hides_does_not_reach_into_the_structure_at_the_outline():
    """SSIM looks five pixels around each pixel: of a pair of two cameras, into the other background."""
    target = pictures(1)
    mask = torch.zeros(1, 1, *SIZE)
    mask[:, :, 40:80, 20:40] = 1
    other_place = torch.where(mask == 1, target, -target)
    inputs = make_inputs(pictures(1, 1), standing(1, SIZE), standing(1, SIZE, seed=1))
    objective = Objective(LossConfig(ssim_weight=1.0), (0,))
    found = {}
    for same in (True, False):
        batch = {"source_mask": mask, "target_mask": mask, "same_camera": torch.tensor([same])}
        truth = make_truth(batch, mask, mask)
        _, terms = objective.generator(None, Generated([other_place], []), [target], inputs, truth)
        found[same] = terms["ssim"]
    assert found[False] < 1e-5 < 0.01 < found[True]


def test_a_head_counts_more_by_its_weight():
    """Of two equal faults of one pixel, the one in the face costs 1 + 3 + 4 against 1 + 3, that off the person 1."""
    target, pose = pictures(1), standing(1, SIZE)
    x, y = pose[0, 0].round().int().tolist()  # the nose
    person = torch.ones(1, 1, *SIZE)
    person[..., :8] = 0
    inputs = make_inputs(pictures(1, 1), pose, pose)
    truth = make_truth({"source_mask": person, "target_mask": person}, person, person)
    objective = Objective(LossConfig(person_weight=3.0, head_weight=4.0), (0,))

    def loss(row: int, column: int) -> float:
        wrong = target.clone()
        wrong[..., row, column] += 0.5
        return objective.generator(None, Generated([wrong], []), [target], inputs, truth)[1]["l1"].item()

    assert loss(y, x) == pytest.approx(2 * loss(100, 30), rel=1e-4)
    assert loss(100, 30) == pytest.approx(4 * loss(100, 3), rel=1e-4)


def test_what_the_person_uncovers_counts_as_much_as_the_person_where_one_camera_took_both():
    target, before, after = pictures(1), torch.zeros(1, 1, *SIZE), torch.zeros(1, 1, *SIZE)
    before[..., 10:20], after[..., 40:50] = 1, 1
    inputs = make_inputs(pictures(1, 1), standing(1, SIZE), standing(1, SIZE, seed=1))
    objective = Objective(LossConfig(person_weight=3.0), (0,))

    def loss(column: int, same: bool) -> float:
        wrong = target.clone()
        wrong[..., column] += 0.5
        batch = {"source_mask": before, "target_mask": after, "same_camera": torch.tensor([same])}
        truth = make_truth(batch, before, after)
        return objective.generator(None, Generated([wrong], []), [target], inputs, truth)[1]["l1"].item()

    assert loss(15, True) == pytest.approx(loss(45, True)) == pytest.approx(4 * loss(30, True))
    assert loss(45, False) == pytest.approx(loss(45, True)) and loss(15, False) == 0


def a_background():
    """The background that an untrained composed generator makes of one pair."""
    generated = make_generator(composed()).transfer(pictures(1), standing(1, SIZE), standing(1, SIZE, seed=1))
    return generated.background


def test_background_loss_is_zero_where_the_target_person_stands_and_for_two_cameras():
    made = a_background()
    person = torch.zeros(1, 1, *SIZE)
    person[..., 30:100, 20:44] = 1
    target = torch.where(widen(person, 3) == 1, 1.0, made.picture.detach())
    same = make_truth({"source_mask": person, "target_mask": person, "same_camera": True}, person, person)
    assert background_loss(made, same, target) == 0 < background_loss(made, same, target + 0.1)
    other = make_truth({"source_mask": person, "target_mask": person, "same_camera": False}, person, person)
    assert background_loss(made, other, target + 0.1) == 0


def test_silhouette_loss_is_least_for_the_persons_themselves():
    made = a_background()
    person = torch.zeros(1, 1, *SIZE)
    person[..., 32:96, 16:48] = 1
    truth = make_truth({"source_mask": person, "target_mask": person}, person, person)
    made.logits[:, :1] = 20 * (2 * person - 1)
    for logits in made.target_logits:
        logits.data = 20 * (2 * F.adaptive_avg_pool2d(person, logits.shape[-2:]) - 1)
    assert silhouette_loss(made, truth) < 1e-6
    made.target_logits[0].data.neg_()
    assert silhouette_loss(made, truth) > 10


def test_feature_matching_by_hand_and_without_gradient_of_the_real():
    real = [torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 4, requires_grad=True)]
    fake = [torch.tensor([[1.0, 3.0]]), torch.tensor([[-1.0, 0.0, 0.0, 0.0]], requires_grad=True)]
    loss = feature_matching_loss(fake, real)
    assert loss.item() == pytest.approx((2 + 0.25) / 2)
    loss.backward()
    assert real[1].grad is None and fake[1].grad is not None


def test_ssim_loss_is_one_minus_the_metric():
    a, b = pictures(2), (pictures(2) + 0.3 * torch.randn(2, 3, *SIZE)).clamp(-1, 1)
    weight = torch.zeros(2, 1, *SIZE)
    weight[0, :, 20:60, 10:50], weight[1, :, 40:44, 20:30] = 1, 1
    expected = 1 - (ssim_map(a, b).mean(1, keepdim=True) * weight).sum() / weight.sum()
    assert ssim_loss(a, b, weight).item() == pytest.approx(expected.item(), abs=1e-5)
    assert ssim_loss(a, a, weight).item() == pytest.approx(0, abs=1e-5)


def test_a_step_trains_a_composition_on_masks_and_mirrors_them_with_the_pictures():
    losses = LossConfig(
        person_weight=3.0, feature_weight=1.0, ssim_weight=1.0, silhouette_weight=1.0, background_weight=0.5
    )
    preset = replace(PRESETS["sdgan"], generator=composed(), losses=losses)
    preset = replace(preset, recipe=replace(preset.recipe, adversarial_start=0.0, half_size=0.0))
    trainer = Trainer(preset, device="cpu")
    mask = torch.zeros(2, 1, *SIZE)
    mask[..., :20] = 1
    batch = {
        "source_image": pictures(2), "target_image": pictures(2, 1), "source_mask": mask, "target_mask": mask,
        "source_pose": standing(2, SIZE), "target_pose": standing(2, SIZE, seed=1),
        "same_camera": torch.tensor([True, False]),
    }  # fmt: skip
    terms = trainer.train_step(batch, 0.5)
    assert set(terms) == {"l1", "d_loss", "adversarial", "features", "ssim", "silhouette", "background"}
    mirrored = flip_pairs(batch, torch.tensor([True, False]))["source_mask"]
    assert torch.equal(mirrored[0], mask[0].flip(-1)) and torch.equal(mirrored[1], mask[1])
    halved = halve_pairs(batch)["target_mask"]
    assert halved.shape == (2, 1, 64, 32) and halved.sum() == 2 * 64 * 10
    inputs, *_ = trainer.prepare(batch, schedule(preset, 0.5, SIZE))
    assert not {"source_body", "target_body"} & set(vars(inputs)), "drawn, and then not read"
