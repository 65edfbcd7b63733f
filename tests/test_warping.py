import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from skimage.measure import points_in_poly
from skimage.transform import estimate_transform, warp
from torch.nn import functional as F

import sdgan_lib.warping as warping
from sdgan_lib.pose import FACE, JOINT, LIMBS, body_size, rescale_pose
from sdgan_lib.warping import (
    REGIONS,
    LimbWarps,
    deformable_skip,
    deformable_skip_reference,
    limb_warps,
    warp_image,
    warp_regions,
)

SIZES = [(128, 64), (256, 128), (64, 96)]
STANDING = torch.tensor(
    [
        *((32, 18), (32, 30), (24, 30), (20, 46), (18, 60), (40, 30), (44, 46), (46, 60)),
        *((27, 66), (26, 88), (26, 108), (37, 66), (38, 88), (38, 108)),
        *((30, 16), (34, 16), (28, 17), (36, 17)),
    ],
    dtype=torch.float64,
)  # fmt: skip
R, IDENTITY = {name: i for i, name in enumerate(REGIONS)}, np.eye(2, 3)
seeds = st.integers(0, 9999)
examples = settings(max_examples=25, deadline=None)


def people(
    count: int, height: int = 128, width: int = 64, seed: int = 0, spread: float = 3.0
) -> torch.Tensor:
    """Standing people with every joint moved at random, in pixels of a height x width picture."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 18, 2, generator=generator, dtype=torch.float64)
    return rescale_pose(STANDING + spread * noise, (128, 64), (height, width))


def without(pose: torch.Tensor, *joints: str) -> torch.Tensor:
    pose = pose.clone()
    pose[:, [JOINT[name] for name in joints]] = torch.nan
    return pose


def rectangle(pose: np.ndarray, limb: str, beyond: float) -> np.ndarray:
    """The corners `[4, 2]` of the rectangle around a limb, written down a second time."""
    size = np.sqrt((np.sum((pose[8] - pose[2]) ** 2) + np.sum((pose[11] - pose[5]) ** 2)) / 2)
    fr, to = (pose[i] for i in LIMBS[limb])
    fr = fr + 0.1 * (fr - to)
    to = to + beyond * (to - fr)
    normal = np.array([fr[1] - to[1], to[0] - fr[0]]) / np.hypot(*(to - fr)) * 0.2 * size
    return np.array([fr + normal, fr - normal, to - normal, to + normal])


def fit_points(pose: np.ndarray, region: str) -> np.ndarray:
    if region == "torso":
        return pose[[8, 11, 5, 2]]
    if region == "head":
        return pose[[2, 5, 0, 14, 15, 16, 17]]
    return rectangle(pose, region, 0.3 if region.endswith(("shin", "forearm")) else 0.1)


def coordinate_maps(height: int, width: int, down: int) -> torch.Tensor:
    """Features `[1, 2, h, w]` that hold the full-size (x, y) of each feature pixel's centre."""
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return F.avg_pool2d(torch.stack([xs, ys]).double()[None], down)


# The fits


@examples
@given(seeds, st.sampled_from(SIZES))
def test_maps_are_the_least_squares_solutions(seed, size):
    source, target = people(2, *size, seed=seed), people(2, *size, seed=seed + 1)
    warps = limb_warps(source, target, *size)
    assert warps.maps.shape == (2, 11, 2, 3) and warps.masks.shape == (2, 11, *size) and warps.size == size
    # Now and then a figure drawn at random has a region too thin to fit, or off the picture.
    assert warps.masks.unique().tolist() == [0, 1] and warps.present[:, :10].float().mean() > 0.8
    for b in range(2):
        for region in REGIONS[:10]:
            if not warps.present[b, R[region]]:
                continue
            to, fr = (fit_points(pose[b].numpy(), region) for pose in (target, source))
            solution = np.linalg.lstsq(np.c_[to, np.ones(len(to))], fr, rcond=None)[0].T
            np.testing.assert_allclose(warps.maps[b, R[region]].numpy(), solution, atol=1e-6)
    np.testing.assert_array_equal(warps.maps[:, R["background"]], np.broadcast_to(IDENTITY, (2, 2, 3)))


def test_head_uses_the_face_points_that_both_show():
    source, target = without(people(1, seed=1), "Rear", "Leye"), without(people(1, seed=2), "Lear", "Leye")
    warps = limb_warps(source, target, 128, 64)
    used = [JOINT[name] for name in ("Rsho", "Lsho", "nose", "Reye")]
    to, fr = target[0, used].numpy(), source[0, used].numpy()
    solution = np.linalg.lstsq(np.c_[to, np.ones(4)], fr, rcond=None)[0].T
    np.testing.assert_allclose(warps.maps[0, R["head"]].numpy(), solution, atol=1e-6)


def test_the_background_may_move_with_the_torso():
    source, target = people(2, seed=1), people(2, seed=2)
    target[1, JOINT["Rhip"]] = torch.nan
    maps = limb_warps(source, target, 128, 64, background="torso").maps
    torch.testing.assert_close(maps[0, R["background"]], maps[0, R["torso"]])
    assert (maps[0, R["torso"]] - torch.eye(2, 3)).abs().max() > 0.1
    np.testing.assert_array_equal(maps[1, R["background"]], IDENTITY)


# Where things arrive


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("down", [1, 2, 4, 8])
@settings(max_examples=4, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from(["right_forearm", "left_forearm"]))
def test_a_moved_limb_arrives(size, down, dx, dy, limb):
    """Both joints of a limb move by (dx, dy): each feature pixel shows the place (dx, dy) before it."""
    source = people(1, *size, spread=0)
    target = source.clone()
    target[:, list(LIMBS[limb])] += torch.tensor([dx, dy], dtype=torch.float64)
    warps = limb_warps(source, target, *size)
    everywhere = torch.zeros_like(warps.masks)
    everywhere[:, R[limb]] = 1
    features = coordinate_maps(*size, down)
    expected = features - torch.tensor([dx, dy])[:, None, None]
    first, last = features[:, :, 0, 0], features[:, :, -1, -1]
    inside = ((expected >= first[..., None, None]) & (expected <= last[..., None, None])).all(1)
    for skip in (deformable_skip, deformable_skip_reference):
        # the map alone, over the whole picture, as a limb may be thinner than a coarse feature pixel
        arrived = skip(features, dataclasses.replace(warps, masks=everywhere), "priority")
        assert inside.sum() > 10 and (arrived - expected).abs().amax(1)[inside].max() < 0.01
        # the whole warp: wherever the limb is in front, it shows this
        shown = warps.at(*features.shape[-2:]).covering[:, R[limb]] & inside
        arrived = skip(features, warps, "priority")
        assert down > 2 or shown.sum() >= 10
        assert ((arrived - expected).abs() * shown[:, None]).max() < 0.01


@pytest.mark.parametrize("size", [*SIZES, (96, 96)])
def test_regions_equal_scikit_image(size):
    """Whole regions of a picture, moved by general affine maps, against scikit-image at full size."""
    source, target = people(1, *size, seed=4), people(1, *size, seed=5)
    picture = np.random.default_rng(0).random((*size, 3))
    features = torch.from_numpy(picture).movedim(-1, 0)[None]
    warps = limb_warps(source, target, *size)
    regions = warp_regions(features, warps)
    assert regions.shape == (1, 11, 3, *size)
    for region in REGIONS[2:10]:
        to, fr = (fit_points(pose[0].numpy(), region) for pose in (target, source))
        expected = warp(picture, estimate_transform("affine", to, fr), order=1, mode="constant", cval=0)
        mask = warps.masks[0, R[region]].numpy()
        assert mask.sum() > 50
        difference = regions[0, R[region]].movedim(0, -1).numpy() - expected * mask[..., None]
        assert np.abs(difference).max() < 1e-5
    merged = deformable_skip(features, warps, "priority")[0]
    hand = warps.masks[0, R["right_forearm"]].bool() & ~warps.masks[0, R["head"]].bool()
    torch.testing.assert_close(merged[:, hand], regions[0, R["right_forearm"]][:, hand])


def test_exchanged_height_and_width_would_be_noticed(monkeypatch):
    """The published bug, put into `to_grid`: harmless on squares, wrong by many pixels on 128x64."""
    right = warping.to_grid
    monkeypatch.setattr(warping, "to_grid", lambda points, height, width: right(points, width, height))
    for size, wrong in (((96, 96), False), ((128, 64), True)):
        warps = limb_warps(people(1, *size, seed=1), people(1, *size, seed=2), *size)
        ramps = coordinate_maps(*size, 1)
        difference = deformable_skip_reference(ramps, warps) - deformable_skip(ramps, warps)
        assert (difference.abs().max() > 5) == wrong


@examples
@given(seeds, st.integers(3, 140), st.integers(3, 140))
def test_rescaled_maps_follow_pixel_centres(seed, height, width):
    warps = limb_warps(people(1, seed=seed), people(1, seed=seed + 1), 128, 64)
    level = warps.at(height, width)
    places = torch.rand(9, 2, dtype=torch.float64) * torch.tensor([width, height])
    full = rescale_pose(places, (height, width), (128, 64))
    moved = torch.einsum("rij,nj->rni", warps.maps[0, :, :, :2], full) + warps.maps[0, :, None, :, 2]
    expected = rescale_pose(moved, (128, 64), (height, width))
    actual = torch.einsum("rij,nj->rni", level.maps[0, :, :, :2], places) + level.maps[0, :, None, :, 2]
    torch.testing.assert_close(actual, expected, atol=1e-8, rtol=0)
    # area averages: nothing lost, everything covered
    torch.testing.assert_close(level.masks.mean((2, 3)), warps.masks.mean((2, 3)), atol=1e-5, rtol=0)
    assert level.masks.max() <= 1 + 1e-5 and level.masks.sum(1).min() >= 1 - 1e-5
    assert level.covering.any(1).all()
    assert level.covering[level.masks > 0.5001].all()
    some_half = (level.masks >= 0.5).any(1, keepdim=True)
    assert not (level.covering & some_half & (level.masks < 0.4999)).any()


def test_masks_are_averaged_over_blocks_and_kept():
    warps = limb_warps(people(2, seed=1), people(2, seed=2), 128, 64)
    torch.testing.assert_close(warps.at(32, 8).masks, F.avg_pool2d(warps.masks, (4, 8)))
    assert warps.at(32, 8) is warps.at(32, 8) and warps.at(128, 64) is warps


# Masks


@examples
@given(seeds)
def test_limb_and_head_masks(seed):
    target = people(1, 96, 72, seed=seed)
    warps = limb_warps(people(1, 96, 72, seed=seed + 1), target, 96, 72)
    pixels = np.argwhere(np.ones((96, 72)))[:, ::-1]
    pose, size = target[0].numpy(), body_size(target).item()
    for limb in LIMBS:
        corners = rectangle(pose, limb, 0.5 if limb.endswith(("shin", "forearm")) else 0.1)
        expected = points_in_poly(pixels, corners).reshape(96, 72)
        assert (warps.masks[0, R[limb]].numpy() != expected).sum() <= 2, "beyond pixels on the very border"
    centre = pose[list(FACE)].mean(0)
    expected = (np.abs(pixels - centre) <= 0.4 * size).all(1).reshape(96, 72)
    assert (warps.masks[0, R["head"]].numpy() != expected).sum() == 0
    torch.testing.assert_close(warps.masks[:, -1], 1 - warps.masks[:, :-1].amax(1))


@settings(max_examples=8, deadline=None)
@given(seeds, st.booleans())
def test_torso_mask_is_the_widened_hull(seed, twisted):
    target = people(1, seed=seed)
    if twisted:
        target[:, [2, 5]] = target[:, [5, 2]]
    mask = limb_warps(people(1, seed=seed + 1), target, 128, 64).masks[0, R["torso"]].numpy()
    corners, margin = target[0, [8, 11, 5, 2]].numpy(), 0.2 * body_size(target).item()
    pixels = np.argwhere(np.ones((128, 64)))[:, ::-1]
    steps = np.linspace(0, 1, 50)[:, None]
    lines = np.concatenate([a + steps * (b - a) for a, b in itertools.combinations(corners, 2)])
    distance = np.sqrt(((pixels[:, None] - lines[None]) ** 2).sum(-1)).min(1)
    sides = ConvexHull(corners).equations
    distance[(pixels @ sides[:, :2].T + sides[:, 2] <= 0).all(1)] = 0
    distance = distance.reshape(128, 64)
    assert mask[distance <= margin].all()
    assert not mask[distance > margin + 0.1].any()


def test_masks_are_the_targets():
    first, second, target = people(3, seed=1), people(3, seed=2), people(3, seed=3)
    masks = limb_warps(first, target, 128, 64).masks
    torch.testing.assert_close(masks, limb_warps(second, target, 128, 64).masks)
    assert not torch.equal(masks, limb_warps(target, first, 128, 64).masks)
    for b, (x, y) in enumerate(target[:, JOINT["Rkne"]].round().int().tolist()):
        assert masks[b, R["right_thigh"], y, x] == masks[b, R["right_shin"], y, x] == 1


# Missing and singular


def test_missing_in_the_source_takes_the_other_side():
    source, target = people(2, seed=1), people(2, seed=2)
    source = without(source, "Rwri", "Lank")
    source[1, JOINT["Lwri"]] = torch.nan
    warps = limb_warps(source, target, 128, 64)
    for region, other, b in (("right_forearm", "left_forearm", 0), ("left_shin", "right_shin", 1)):
        to, fr = fit_points(target[b].numpy(), region), fit_points(source[b].numpy(), other)
        solution = np.linalg.lstsq(np.c_[to, np.ones(4)], fr, rcond=None)[0].T
        np.testing.assert_allclose(warps.maps[b, R[region]].numpy(), solution, atol=1e-6)
        assert warps.present[b, R[region]]
    assert not warps.present[1, [R["right_forearm"], R["left_forearm"]]].any()
    assert warps.present.sum() == 20


@pytest.mark.parametrize(
    ("joints", "absent"),
    [
        (["Lwri"], {"left_forearm"}),
        (["Relb"], {"right_forearm", "right_upper_arm"}),
        (["nose", "Reye", "Leye", "Rear", "Lear"], {"head"}),
        (["Rsho"], {"torso", "head", "right_upper_arm"}),
        (["Rsho", "Lhip"], set(REGIONS) - {"background"}),
    ],
)
def test_missing_in_the_target_is_absent(joints, absent):
    warps = limb_warps(people(1, seed=1), without(people(1, seed=2), *joints), 128, 64)
    assert {REGIONS[i] for i in (~warps.present[0]).nonzero().flatten()} >= absent
    if len(absent) < 10:
        assert {REGIONS[i] for i in (~warps.present[0]).nonzero().flatten()} == absent
    for region in absent:
        np.testing.assert_array_equal(warps.maps[0, R[region]], IDENTITY)
        assert not warps.masks[0, R[region]].any()
    assert (warps.masks.amax(1) == 1).all() and warps.maps.isfinite().all()


def test_singular_fits_are_absent():
    source, target = people(4, seed=1), people(4, seed=2)
    target[0, JOINT["Lelb"]] = target[0, JOINT["Lsho"]]
    target[1, JOINT["Lelb"]] = target[1, JOINT["Lsho"]] + 0.05
    line = torch.linspace(0, 1, 4, dtype=torch.float64)[:, None]
    target[2, [8, 11, 5, 2]] = torch.tensor([20.0, 60.0]) + line * torch.tensor([7.0, -31.0])
    source[3, [8, 11, 5, 2]] = torch.tensor([20.0, 60.0]) + line * torch.tensor([7.0, -31.0])
    warps = limb_warps(source, target, 128, 64)
    absent = [(b.item(), REGIONS[i]) for b, i in (~warps.present).nonzero()]
    assert absent == [(0, "left_upper_arm"), (1, "left_upper_arm"), (2, "torso")]
    assert warps.maps.isfinite().all()


def test_nothing_known_leaves_the_picture():
    nobody = torch.full((2, 18, 2), torch.nan)
    features = torch.randn(2, 5, 16, 8)
    for poses in ((nobody, nobody), (people(2), nobody), (nobody, people(2).float())):
        warps = limb_warps(poses[0].float(), poses[1].float(), 128, 64)
        assert warps.present.sum(0).tolist() == [0] * 10 + [2]
        for aggregate in ("max", "average", "priority"):
            torch.testing.assert_close(deformable_skip(features, warps, aggregate), features)


@pytest.mark.parametrize("background", ["identity", "torso"])
def test_batch_equals_one_by_one(background):
    source, target = people(5, seed=1), people(5, seed=2)
    source[1, JOINT["Rwri"]] = target[2, JOINT["Rhip"]] = target[3, JOINT["nose"]] = torch.nan
    features = torch.randn(5, 3, 32, 16)
    together = limb_warps(source, target, 128, 64, background)
    merged = deformable_skip(features, together)
    for b in range(5):
        alone = limb_warps(source[b : b + 1], target[b : b + 1], 128, 64, background)
        torch.testing.assert_close(alone.maps[0], together.maps[b])
        torch.testing.assert_close(alone.masks[0], together.masks[b])
        torch.testing.assert_close(deformable_skip(features[b : b + 1], alone)[0], merged[b])


# Merging


@pytest.mark.parametrize("aggregate", ["max", "average", "priority"])
@pytest.mark.parametrize("level", [(128, 64, 3), (64, 32, 4), (32, 16, 5), (16, 8, 6), (24, 11, 2)])
def test_fast_equals_reference(level, aggregate):
    height, width, channels = level
    source, target = people(2, seed=7, spread=5), people(2, seed=8, spread=5)
    source[0, JOINT["Rwri"]] = target[1, JOINT["Lkne"]] = torch.nan
    target[0, JOINT["Lank"]] += 40
    warps = limb_warps(source, target, 128, 64, background="torso")
    features = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(2, channels, height, width, dtype=torch.float64)
    values = [skip(features, warps, aggregate) for skip in (deformable_skip, deformable_skip_reference)]
    torch.testing.assert_close(*values, atol=1e-5, rtol=0)
    gradients = [torch.autograd.grad(value, features, direction)[0] for value in values]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)
    assert values[0].abs().max() > 0.5 and gradients[0].abs().max() > 0.5
    single = deformable_skip(features.detach().float(), warps, aggregate)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), values[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("aggregate", ["max", "average", "priority"])
def test_gradient_by_finite_differences(aggregate):
    warps = limb_warps(people(1, seed=1), people(1, seed=2), 128, 64)
    features = torch.randn(1, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: deformable_skip(x, warps, aggregate), features)
    assert torch.autograd.gradgradcheck(lambda x: deformable_skip(x, warps, aggregate), features)


@pytest.mark.parametrize("aggregate", ["max", "average", "priority"])
def test_negative_features_survive(aggregate):
    warps = limb_warps(people(2, seed=1), people(2, seed=1) + 0.5, 128, 64)
    for skip in (deformable_skip, deformable_skip_reference):
        merged = skip(torch.full((2, 1, 32, 16), -3.0), warps, aggregate)
        assert (merged[:, :, 1:-1, 1:-1] + 3).abs().max() < 1e-5


def test_merging_by_hand():
    """Two regions cover a pixel: the larger value, the weighted mean, or the one in front."""
    maps = torch.eye(2, 3, dtype=torch.float64).repeat(1, 11, 1, 1)
    maps[0, R["head"], 0, 2] = 1
    masks = torch.zeros(1, 11, 2, 4)
    masks[0, R["background"]], masks[0, R["torso"]], masks[0, R["head"]] = 1, 0, 0
    masks[0, R["background"], 0], masks[0, R["torso"], 0], masks[0, R["head"], 0] = 0.2, 0.5, 0.75
    warps = LimbWarps(maps, masks, (2, 4))
    features = torch.tensor([[5.0, -1.0, 2.0, -4.0], [-1.0, -2.0, -3.0, -4.0]])[None, None]
    expected = {
        "max": [5.0, 2.0, 2.0, 0.0],
        "average": [(0.5 * a + 0.75 * b) / 1.25 for a, b in ((5, -1), (-1, 2), (2, -4), (-4, 0))],
        "priority": [-1.0, 2.0, -4.0, 0.0],
    }
    for aggregate, row in expected.items():
        for skip in (deformable_skip, deformable_skip_reference):
            merged = skip(features, warps, aggregate)[0, 0]
            torch.testing.assert_close(merged[0], torch.tensor(row))
            torch.testing.assert_close(merged[1], features[0, 0, 1])
    torch.testing.assert_close(warp_image(features, warps), deformable_skip(features, warps, "priority"))


def test_same_pose_gives_the_same_picture():
    pose = people(2, seed=3)
    images = torch.rand(2, 3, 128, 64) * 2 - 1
    for aggregate in ("max", "average", "priority"):
        merged = warp_image(images, limb_warps(pose, pose, 128, 64), aggregate)
        torch.testing.assert_close(merged, images, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("aggregate", ["max", "average"])
def test_low_precision_features(dtype, aggregate):
    """Positions stay exact: only the rounding of the result remains."""
    warps = limb_warps(people(1, seed=1).float(), people(1, seed=2).float(), 128, 64)
    features = torch.randn(1, 8, 64, 32).to(dtype).requires_grad_()
    merged = deformable_skip(features, warps, aggregate)
    merged.float().square().sum().backward()
    assert merged.dtype == features.grad.dtype == dtype
    exact = deformable_skip_reference(features.detach().double(), warps, aggregate)
    torch.testing.assert_close(merged.double(), exact, atol=1e-4, rtol=torch.finfo(dtype).eps)


def test_channels_last_features_and_poses_without_gradient():
    source, target = people(2, seed=1).requires_grad_(), people(2, seed=2).requires_grad_()
    warps = limb_warps(source, target, 128, 64)
    assert not warps.maps.requires_grad
    features = torch.randn(2, 4, 32, 16)
    merged = deformable_skip(features.to(memory_format=torch.channels_last), warps)
    torch.testing.assert_close(merged, deformable_skip(features, warps))


def test_gradients_repeat_bit_for_bit():
    results = []
    for _ in range(2):
        warps = limb_warps(people(2, seed=1), people(2, seed=2), 128, 64)
        features = torch.randn(2, 16, 64, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
        deformable_skip(features, warps).square().sum().backward()
        results.append(features.grad)
    assert torch.equal(*results)


def test_bad_arguments_are_named():
    pose = people(2)
    warps = limb_warps(pose, pose, 128, 64)
    with pytest.raises(ValueError, match="background must be"):
        limb_warps(pose, pose, 128, 64, background="mirror")
    with pytest.raises(ValueError, match=r"target_pose must have shape \[B, 18, 2\], got \[18, 2\]"):
        limb_warps(pose, pose[0], 128, 64)
    with pytest.raises(ValueError, match="2 source poses for 1 target poses"):
        limb_warps(pose, pose[:1], 128, 64)
    with pytest.raises(ValueError, match="3 feature maps for 2 warps"):
        deformable_skip(torch.zeros(3, 1, 16, 8), warps)
    for skip in (deformable_skip, deformable_skip_reference):
        with pytest.raises(ValueError, match="aggregate must be"):
            skip(torch.zeros(2, 1, 16, 8), warps, "sum")
    with pytest.raises(dataclasses.FrozenInstanceError):
        warps.size = (1, 1)
