"""metrics.py against scikit-image, loops written out by hand, and the published definition of the mask."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, median_filter
from skimage.draw import disk, polygon
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.morphology import dilation, erosion
from skimage.transform import resize
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from sdgan_lib import metrics
from sdgan_lib.estimation import Found, pck, pckh
from sdgan_lib.metrics import (
    HIGHER_IS_BETTER,
    METRICS,
    SET_METRICS,
    fg_l1,
    fg_psnr,
    fg_ssim,
    frechet_distance,
    head_l1,
    image_metrics,
    kernel_distance,
    l1,
    mask_ssim,
    pose_mask,
    psnr,
    speckle,
    ssim,
    ssim_map,
    uncovered_l1,
)
from sdgan_lib.pose import JOINT

SIZES = [(128, 64), (64, 96), (33, 50), (11, 11), (12, 40)]
STANDING = {  # a person standing in a 128x64 picture, (x, y)
    "nose": (32, 18), "neck": (32, 28), "Rsho": (23, 29), "Relb": (20, 43), "Rwri": (19, 57),
    "Lsho": (41, 29), "Lelb": (44, 43), "Lwri": (46, 56), "Rhip": (27, 60), "Rkne": (26, 85),
    "Rank": (25, 110), "Lhip": (38, 60), "Lkne": (39, 85), "Lank": (40, 110),
    "Reye": (30, 16), "Leye": (34, 16), "Rear": (28, 18), "Lear": (36, 18),
}  # fmt: skip


def standing_pose() -> torch.Tensor:
    return torch.tensor([STANDING[name] for name in JOINT], dtype=torch.float32)[None]


def found_near(pose: torch.Tensor, pixels: float = 3.0) -> Found:
    """What an estimator could have found: each joint off by some ``pixels``, and some of them not seen."""
    generator = torch.Generator().manual_seed(8)
    off = pixels * torch.randn(pose.shape, generator=generator)
    return Found(pose + off, torch.rand(pose.shape[:2], generator=generator))


def scenes(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    """Byte-valued pictures with large areas, edges and texture, as float [-1, 1]."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        coarse = resize(rng.random((6, 4, 3)), (height, width), order=1)
        top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
        coarse[top : top + height // 2, left : left + width // 3] = rng.random(3)
        coarse = coarse + rng.normal(0, 0.03, coarse.shape) * (rng.random() < 0.7)
        pictures.append(np.clip(coarse * 255, 0, 255).round())
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_bytes(image: torch.Tensor) -> np.ndarray:
    return ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def reference_ssim(generated: np.ndarray, target: np.ndarray, data_range: float, full: bool = False):
    return structural_similarity(
        generated, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=2,
        data_range=data_range, full=full,
    )  # fmt: skip


# --- against scikit-image -------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ssim_equals_scikit_image_on_bytes(height, width):
    generated, target = scenes(5, height, width, seed=1), scenes(5, height, width, seed=2)
    generated[0] = target[0]  # equal images
    generated[1] = 0.25  # a constant image, not a byte value
    generated[1] = torch.round((generated[1] + 1) * 127.5) / 127.5 - 1
    generated[2] = generated[2] * 0.2 + target[2] * 0.8  # close to the target
    generated[2] = ((generated[2] + 1) * 127.5).round() / 127.5 - 1
    ours = ssim(generated, target)
    theirs = [reference_ssim(as_bytes(a), as_bytes(b), 255) for a, b in zip(generated, target, strict=True)]
    torch.testing.assert_close(ours, torch.tensor(theirs, dtype=torch.float64), atol=1e-6, rtol=0)
    assert ours[0] == pytest.approx(1, abs=1e-9) and ours.max() - ours.min() > 0.3


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ssim_map_equals_scikit_image_with_the_border(height, width):
    generator = torch.Generator().manual_seed(3)
    generated = torch.rand(2, 3, height, width, generator=generator) * 2 - 1
    target = (generated + 0.4 * torch.randn(2, 3, height, width, generator=generator)).clamp(-1, 1)
    ours = ssim_map(generated, target)
    for i in range(2):
        a, b = ((x[i].double().permute(1, 2, 0).numpy() + 1) / 2 for x in (generated, target))
        mean, full = reference_ssim(a, b, 1.0, full=True)
        np.testing.assert_allclose(ours[i].permute(1, 2, 0).numpy(), full, atol=1e-6, rtol=0)
        assert ssim(generated, target)[i].item() == pytest.approx(mean, abs=1e-6)
    if min(height, width) > 20:  # the 5-pixel border is left out of the mean: the two differ
        assert abs(ours.mean((1, 2, 3)) - ssim(generated, target)).min() > 1e-5


def test_ssim_with_the_published_data_range_equals_scikit_image():
    generated, target = scenes(4, 128, 64, seed=4) * 0.5, scenes(4, 128, 64, seed=5)
    generated = ((generated + 1) * 127.5).round() / 127.5 - 1
    ours = ssim(generated, target, data_range="generated")
    for i in range(4):
        a, b = as_bytes(generated[i]), as_bytes(target[i])
        assert ours[i].item() == pytest.approx(reference_ssim(a, b, int(a.max()) - int(a.min())), abs=1e-6)
    assert (ours - ssim(generated, target)).abs().min() > 1e-3  # the flaw is visible


def test_ssim_of_pictures_is_not_ssim_of_signed_values():
    generated, target = scenes(2, 64, 64, seed=6), scenes(2, 64, 64, seed=7)
    signed = [x.double().permute(0, 2, 3, 1).numpy() for x in (generated, target)]
    wrong = [reference_ssim(a, b, 2.0) for a, b in zip(*signed, strict=True)]
    assert (ssim(generated, target) - torch.tensor(wrong)).abs().min() > 0.01


def test_l1_and_psnr_equal_scikit_image_and_numpy():
    generated, target = scenes(3, 40, 30, seed=8), scenes(3, 40, 30, seed=9)
    generated[2] = target[2]
    for i in range(3):
        a, b = as_bytes(generated[i]).astype(float), as_bytes(target[i]).astype(float)
        assert l1(generated, target)[i].item() == pytest.approx(np.abs(a - b).mean() / 127.5, abs=1e-6)
        if i < 2:
            expected = peak_signal_noise_ratio(b, a, data_range=255)
            assert psnr(generated, target)[i].item() == pytest.approx(expected, abs=1e-5)
    assert psnr(generated, target)[2] == math.inf and l1(generated, target)[2] == 0


def test_rounding_to_bytes_hardly_matters():
    target = scenes(2, 128, 64, seed=10)
    generated = (target + 0.3 * torch.randn(target.shape, generator=torch.Generator().manual_seed(1))).clamp(
        -1, 1
    )
    rounded = ((generated + 1) * 127.5).round() / 127.5 - 1
    assert (ssim(generated, target) - ssim(rounded, target)).abs().max() < 1e-3


# --- the person's pixels only ---------------------------------------------------------------------


def test_foreground_metrics_equal_a_loop_over_the_masks_pixels():
    generated, target = scenes(3, 20, 16, seed=11), scenes(3, 20, 16, seed=12)
    mask = torch.rand(3, 1, 20, 16, generator=torch.Generator().manual_seed(2)) < 0.3
    for i in range(3):
        a, b = as_bytes(generated[i]), as_bytes(target[i])
        _, local = reference_ssim(a, b, 255, full=True)
        absolute, square, similarity, count = 0.0, 0.0, 0.0, 0
        for y in range(20):
            for x in range(16):
                if mask[i, 0, y, x]:
                    for c in range(3):
                        difference = (float(a[y, x, c]) - float(b[y, x, c])) / 127.5
                        absolute, square = absolute + abs(difference), square + difference**2
                        similarity, count = similarity + local[y, x, c], count + 1
        assert fg_l1(generated, target, mask)[i].item() == pytest.approx(absolute / count, abs=1e-6)
        expected = 10 * math.log10(4 / (square / count))
        assert fg_psnr(generated, target, mask)[i].item() == pytest.approx(expected, abs=1e-5)
        assert fg_ssim(generated, target, mask)[i].item() == pytest.approx(similarity / count, abs=1e-6)


def test_foreground_l1_and_psnr_ignore_the_background():
    target = scenes(2, 64, 48, seed=13)
    generated = scenes(2, 64, 48, seed=14)
    mask = torch.zeros(2, 1, 64, 48, dtype=torch.bool)
    mask[:, :, 16:48, 12:36] = True
    other = torch.where(mask, generated, -generated)
    torch.testing.assert_close(fg_l1(generated, target, mask), fg_l1(other, target, mask))
    torch.testing.assert_close(fg_psnr(generated, target, mask), fg_psnr(other, target, mask))
    inner = torch.zeros_like(mask)
    inner[:, :, 21:43, 17:31] = True  # five pixels from the change: not in sight of the SSIM window
    torch.testing.assert_close(fg_ssim(generated, target, inner), fg_ssim(other, target, inner))
    assert (l1(generated, target) - l1(other, target)).abs().min() > 1e-3
    full = torch.ones_like(mask)
    torch.testing.assert_close(fg_l1(generated, target, full), l1(generated, target))
    torch.testing.assert_close(fg_psnr(generated, target, full), psnr(generated, target))


def test_a_metric_without_its_mask_or_with_an_empty_one_is_nan():
    generated, target = scenes(3, 32, 32, seed=15), scenes(3, 32, 32, seed=16)
    mask = torch.ones(3, 1, 32, 32)
    mask[1] = 0
    values = image_metrics(generated, target, mask=mask)
    for name in ("fg_l1", "fg_psnr", "fg_ssim"):
        assert values[name].isnan().tolist() == [False, True, False]
    assert values["mask_ssim"].isnan().all()  # no pose mask was given
    assert values["l1"].isfinite().all() and values["ssim"].isfinite().all()


# --- mask-SSIM ------------------------------------------------------------------------------------


def published_mask(pose: np.ndarray, height: int, width: int) -> np.ndarray:
    """The mask as the papers draw it: polygons of half-width 4 and discs of radius 4, then closed."""
    mask = np.zeros((height, width), dtype=bool)
    bones = (
        "neck-Rsho neck-Lsho Rsho-Relb Relb-Rwri Lsho-Lelb Lelb-Lwri neck-Rhip Rhip-Rkne Rkne-Rank "
        "neck-Lhip Lhip-Lkne Lkne-Lank neck-nose nose-Reye Reye-Rear nose-Leye Leye-Lear neck-Rear "
        "neck-Lear Rhip-Lhip Lhip-Lsho Rhip-Rsho Rear-Lear"
    )
    for bone in bones.split():
        start, end = (pose[JOINT[name]] for name in bone.split("-"))
        if np.isnan([start, end]).any():
            continue
        side = 4 * np.array([start[1] - end[1], end[0] - start[0]]) / np.linalg.norm(end - start)
        corners = np.array([start + side, start - side, end - side, end + side])
        mask[polygon(corners[:, 1], corners[:, 0], shape=mask.shape)] = True
    for x, y in pose[~np.isnan(pose).any(1)]:
        mask[disk((y, x), 4, shape=mask.shape)] = True
    return erosion(dilation(mask, np.ones((5, 5))), np.ones((5, 5)))


@pytest.mark.parametrize(
    "missing", [(), ("Rwri", "Relb"), ("Lank", "Rear", "nose"), ("neck",), tuple(STANDING)[2:]]
)
def test_pose_mask_is_the_published_one_up_to_the_outline(missing):
    pose = standing_pose()
    pose[0, [JOINT[name] for name in missing]] = torch.nan
    ours, theirs = pose_mask(pose, 128, 64)[0, 0].numpy(), published_mask(pose[0].numpy(), 128, 64)
    assert ours.any()
    grown, shrunk = dilation(theirs, np.ones((3, 3))), erosion(theirs, np.ones((3, 3)))
    assert not (ours & ~grown).any() and not (shrunk & ~ours).any()  # never off by more than a pixel
    assert (ours & theirs).sum() / (ours | theirs).sum() > (0.94 if len(missing) < 10 else 0.8)


def test_pose_mask_of_missing_and_outlying_joints():
    pose = torch.full((3, 18, 2), torch.nan)
    pose[1, 0] = torch.tensor([20.0, 10.0])  # one joint: one disc
    pose[2, 0] = torch.tensor([-3.0, 10.0])  # outside the picture, within the radius
    mask = pose_mask(pose, 40, 30)
    assert mask.shape == (3, 1, 40, 30) and mask.dtype == torch.bool
    assert not mask[0].any()
    ys, xs = mask[1, 0].nonzero(as_tuple=True)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (6, 14, 16, 24)
    assert mask[2, 0, 10, 0] and mask[2].sum() < 20
    together = standing_pose()
    together[0, JOINT["Rear"]] = together[0, JOINT["Reye"]]  # a bone of no length
    assert pose_mask(together, 128, 64).any()
    batch = torch.cat([standing_pose() + shift for shift in range(9)])  # more than one internal chunk
    alone = torch.cat([pose_mask(one[None], 128, 64) for one in batch])
    assert torch.equal(pose_mask(batch, 128, 64), alone)


def test_mask_ssim_is_ssim_of_byte_pictures_times_the_mask():
    generated, target = scenes(2, 128, 64, seed=17), scenes(2, 128, 64, seed=18)
    mask = pose_mask(standing_pose(), 128, 64).expand(2, -1, -1, -1)
    inside = mask[0, 0].numpy()[..., None]
    ours, pose_gans = (
        mask_ssim(generated, target, mask),
        mask_ssim(generated, target, mask, data_range="generated"),
    )
    for i in range(2):
        a, b = as_bytes(generated[i]) * inside, as_bytes(target[i]) * inside
        assert ours[i].item() == pytest.approx(reference_ssim(a, b, 255), abs=1e-6)
        assert pose_gans[i].item() == pytest.approx(reference_ssim(a, b, int(a.max())), abs=1e-6)


def test_mask_ssim_praises_wrong_images_and_fg_ssim_does_not():
    target = scenes(6, 128, 64, seed=19)
    wrong = {"another picture": target.roll(1, 0), "its negative": -target, "grey": torch.zeros_like(target)}
    mask = pose_mask(standing_pose(), 128, 64).expand(6, -1, -1, -1)
    for name, generated in wrong.items():
        praised, judged = mask_ssim(generated, target, mask), fg_ssim(generated, target, mask)
        share = (~mask[:1]).double().mean()  # black in both pictures, hence SSIM 1 except beside the outline
        assert (praised > 0.6 * share).all(), name
        assert (praised > judged + 0.2).all(), name


# --- all together ---------------------------------------------------------------------------------


def test_image_metrics_holds_each_metric_across_chunks():
    generated, target = scenes(9, 48, 32, seed=20), scenes(9, 48, 32, seed=21)
    mask = torch.rand(9, 1, 48, 32, generator=torch.Generator().manual_seed(3)) < 0.4
    posed = pose_mask(standing_pose().expand(9, -1, -1) * 0.4, 48, 32)
    before = torch.rand(9, 1, 48, 32, generator=torch.Generator().manual_seed(5)) < 0.4
    pose = standing_pose().expand(9, -1, -1) * 0.4 + torch.arange(9).view(9, 1, 1)
    found = found_near(pose)
    values = image_metrics(generated, target, mask, posed, before, pose, found)
    assert tuple(values) == METRICS and tuple(HIGHER_IS_BETTER) == METRICS + SET_METRICS
    expected = {
        "l1": l1(generated, target), "psnr": psnr(generated, target), "ssim": ssim(generated, target),
        "mask_ssim": mask_ssim(generated, target, posed), "fg_l1": fg_l1(generated, target, mask),
        "fg_psnr": fg_psnr(generated, target, mask), "fg_ssim": fg_ssim(generated, target, mask),
        "uncovered_l1": uncovered_l1(generated, target, before, mask),
        "head_l1": head_l1(generated, target, pose, mask), "speckle": speckle(generated),
        "pck": pck(found, pose), "pckh": pckh(found, pose),
        "ssim_own_range": ssim(generated, target, "generated"),
        "mask_ssim_own_range": mask_ssim(generated, target, posed, "generated"),
    }  # fmt: skip
    for name, value in values.items():
        assert value.shape == (9,) and value.dtype == torch.float64
        torch.testing.assert_close(value, expected[name])
    fallback = image_metrics(generated, target, pose_mask=posed, source_mask=before, pose=pose)
    torch.testing.assert_close(fallback["fg_l1"], fg_l1(generated, target, posed))
    torch.testing.assert_close(fallback["head_l1"], head_l1(generated, target, pose, posed))
    assert fallback["uncovered_l1"].isnan().all()  # a pose mask would not do
    bare = image_metrics(generated, target)
    torch.testing.assert_close(bare["ssim"], expected["ssim"])
    for name in ("fg_ssim", "mask_ssim", "uncovered_l1", "head_l1", "pck", "pckh"):
        assert bare[name].isnan().all()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    amount=st.floats(0.05, 0.9),
    height=st.integers(11, 40),
    width=st.integers(11, 40),
)
def test_metrics_are_symmetric_bounded_and_best_for_equal_images(seed, amount, height, width):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
    generated = (target + amount * torch.randn(target.shape, generator=generator)).clamp(-1, 1)
    mask = torch.rand(1, 1, height, width, generator=generator) < 0.5
    mask[..., 0, 0] = True
    pose = torch.zeros(1, 18, 2)
    given = mask, mask, ~mask, pose, Found(pose, torch.ones(1, 18))
    there, back = image_metrics(generated, target, *given), image_metrics(target, generated, *given)
    equal = image_metrics(target, target, *given)
    for name in METRICS:
        if HIGHER_IS_BETTER[name] is None:  # speckle: it looks at one picture only
            continue
        if name.endswith("own_range"):  # by the rule of the picture that is judged: not symmetric
            assert equal[name] == pytest.approx(1) and there[name] < 1
            continue
        torch.testing.assert_close(there[name], back[name])
        assert (equal[name] >= there[name]) if HIGHER_IS_BETTER[name] else (equal[name] <= there[name]), name
    assert -1 <= there["ssim"] <= 1 and 0 <= there["l1"] <= 2


def test_metrics_carry_no_gradient():
    generated = scenes(1, 16, 16).requires_grad_()
    assert not image_metrics(generated, scenes(1, 16, 16, seed=1))["ssim"].requires_grad


GOOD = torch.zeros(2, 3, 16, 16)


@pytest.mark.parametrize(
    ("generated", "target", "mask", "message"),
    [
        (GOOD[..., :10], GOOD[..., :10], None, "at least 11 x 11 pixels, got height 16, width 10"),
        (GOOD, GOOD[:1], None, r"\[2, 3, 16, 16\] but target is \[1, 3, 16, 16\]"),
        (GOOD[0], GOOD[0], None, r"shape \[B, 3, H, W\]"),
        (GOOD[:0], GOOD[:0], None, "B > 0"),
        (GOOD.byte(), GOOD, None, "must be float"),
        (GOOD + 200, GOOD, None, "values from 200 to 200"),
        (GOOD, GOOD * torch.nan, None, "target pictures must be finite"),
        (GOOD, GOOD, torch.ones(2, 16, 16), r"mask must have the shape \[2, 1, 16, 16\]"),
        (GOOD, GOOD, torch.full((2, 1, 16, 16), 255.0), "0 and 1 only"),
    ],
)
def test_bad_input_is_named(generated, target, mask, message):
    with pytest.raises(ValueError, match=message):
        image_metrics(generated, target, mask)


def test_a_pose_of_another_layout_is_named():
    with pytest.raises(ValueError, match=r"\[B, 18, 2\], got \[2, 18, 3\]"):
        pose_mask(torch.zeros(2, 18, 3), 32, 32)


class OnAppleGpu(torch.Tensor):
    """A tensor that says it is on an Apple GPU, and refuses float64 as one there does."""

    device = torch.device("mps")

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        result = super().__torch_function__(function, types, args, kwargs or {})
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


def test_on_a_device_without_float64_the_metrics_are_computed_on_the_cpu():
    generated, target = scenes(5, 48, 32, seed=22), scenes(5, 48, 32, seed=23)
    mask = torch.rand(5, 1, 48, 32, generator=torch.Generator().manual_seed(4)) < 0.4
    pose = standing_pose().expand(5, -1, -1) * 0.4
    there = [x.as_subclass(OnAppleGpu) for x in (generated, target, mask)]
    with pytest.raises(TypeError, match="float64"):
        there[0].double()
    found = found_near(pose)
    others = (x.as_subclass(OnAppleGpu) for x in (mask, ~mask, pose))
    values = image_metrics(*there, *others, Found(*(x.as_subclass(OnAppleGpu) for x in found)))
    expected = image_metrics(generated, target, mask, mask, ~mask, pose, found)
    assert all(value.isfinite().all() for value in expected.values())
    for name in METRICS:
        assert type(values[name]) is torch.Tensor and torch.equal(values[name], expected[name])
    for metric in (fg_l1, fg_ssim, mask_ssim):
        assert torch.equal(metric(*there), metric(generated, target, mask))


# --- what the person uncovers, heads, speckle -----------------------------------------------------


def test_uncovered_l1_is_the_mean_over_source_mask_without_target_mask():
    target = torch.zeros(2, 3, 12, 12)
    generated = target.clone()
    generated[0, :, 2, 2:6] = torch.tensor([0.1, 0.2, 0.3, 0.9])  # the last lies under the target person
    generated[0, :, 8] = 1.0  # where no person was
    before, after = torch.zeros(2, 1, 12, 12), torch.zeros(2, 1, 12, 12)
    before[0, 0, 2, 2:6], after[0, 0, 2, 5] = 1, 1
    before[1, 0, 4, 4], after[1, 0, 4, 4] = 1, 1  # nothing uncovered
    values = uncovered_l1(generated, target, before, after)
    assert values[0].item() == pytest.approx(0.2) and values[1].isnan()


def test_head_l1_is_the_mean_over_the_person_in_the_square():
    pose = torch.full((3, 18, 2), torch.nan)
    pose[0, JOINT["nose"]], pose[0, JOINT["Leye"]] = torch.tensor([20.0, 30.0]), torch.tensor([22.0, 30.0])
    pose[1, JOINT["Rear"]] = torch.tensor([2.0, 3.0])  # the square leaves the picture
    pose[:, JOINT["neck"]] = 40.0  # no face point
    target, mask = torch.zeros(3, 3, 64, 48), torch.ones(3, 1, 64, 48)
    generated = target.clone()
    generated[0, :, 23:38, 14:29] = 0.5  # 15 x 15 around (21, 30)
    generated[0, :, 23, 14:29] = 0.8  # the square's first row
    generated[0, :, 22, 14:29] = 1.0  # one row too high
    generated[1, :, :11, :10] = 0.25  # to (9, 10): 10 columns and 11 rows are left of the square
    generated[1, :, 11, :10] = 1.0
    values = head_l1(generated, target, pose, mask)
    assert values[:2].tolist() == pytest.approx([0.52, 0.25]) and values[2].isnan()
    mask[0, :, 23:31] = 0
    generated[0, :, 23:31] = -1.0  # off the person
    assert head_l1(generated, target, pose, mask)[0].item() == pytest.approx(0.5)


def test_speckle_counts_single_pixels_of_another_colour():
    clean = torch.zeros(3, 3, 20, 50)
    clean[:, 0, :, 25:] = 0.9  # an edge is no speckle
    spotted = clean.clone()
    spotted[0, :, 5, 5] = torch.tensor([0.6, 0.0, 0.0])  # chroma 0.4 off
    spotted[0, :, 9, 9] = torch.tensor([0.5, 0.0, 0.0])  # chroma 0.33 off: not enough
    spotted[0, :, 12, 12] = 1.0  # bright, but grey
    spotted[1, :, 0, 0] = torch.tensor([-0.6, 0.0, 0.0])  # a corner, continued outwards: four of nine
    assert speckle(clean).tolist() == [0, 0, 0]
    assert speckle(spotted).tolist() == pytest.approx([10, 10, 0])


def test_speckle_equals_a_median_filter():
    pictures = scenes(3, 40, 30, seed=25)
    pictures += 0.4 * torch.randn(pictures.shape, generator=torch.Generator().manual_seed(6))
    pictures = pictures.clamp(-1, 1)
    expected = []
    for picture in pictures.double().numpy():
        chroma = picture - picture.mean(0)
        smooth = np.stack([median_filter(channel, size=3, mode="reflect") for channel in chroma])
        expected.append(1e4 * (np.abs(chroma - smooth).max(0) > 0.35).mean())
    assert min(expected) > 100
    assert speckle(pictures).tolist() == pytest.approx(expected)


def test_a_copy_a_shift_a_blur_and_noise_rank_as_they_should():
    """A copy is perfect; a blur costs less L1 than a shift and has no speckle; noise has all the speckle."""
    target = scenes(4, 64, 48, seed=26)
    noise = 0.4 * torch.randn(target.shape, generator=torch.Generator().manual_seed(7))
    made = {
        "copy": target,
        "blur": torch.from_numpy(gaussian_filter(target.numpy(), (0, 0, 1, 1), mode="nearest")),
        "shift": target.roll(6, -1),
        "noise": (target + noise).clamp(-1, 1),
    }
    mask, before = torch.zeros(4, 1, 64, 48), torch.zeros(4, 1, 64, 48)
    mask[..., 4:60, 8:30], before[..., 4:60, 20:42] = 1, 1
    pose = standing_pose().expand(4, -1, -1) * 0.5
    found = {name: image_metrics(x, target, mask, mask, before, pose) for name, x in made.items()}
    for metric in ("uncovered_l1", "head_l1", "fg_l1", "l1"):
        means = {name: values[metric].mean().item() for name, values in found.items()}
        assert 0 == means["copy"] < means["blur"] < min(means["shift"], means["noise"]), metric
    specks = {name: values["speckle"].mean().item() for name, values in found.items()}
    assert specks["blur"] <= specks["copy"] and specks["noise"] > 50 + specks["copy"]
    assert specks["shift"] == pytest.approx(specks["copy"], abs=10)  # it does not know where things belong


def test_filling_by_push_pull_is_the_floor_of_uncovered_l1():
    """On a smooth place: copying the source leaves the person there, a fill does not."""
    from sdgan_lib.composition import push_pull_fill

    place = torch.linspace(-1, 1, 64).expand(1, 3, 128, 64)
    before, after = torch.zeros(1, 1, 128, 64), torch.zeros(1, 1, 128, 64)
    before[..., 20:110, 20:40], after[..., 20:110, 35:60] = 1, 1
    source, target = place.where(before == 0, 0.9), place.where(after == 0, 0.9)
    copied = uncovered_l1(source, target, before, after)
    filled = uncovered_l1(push_pull_fill(source, 1 - before), target, before, after)
    assert filled < 0.1 * copied


# --- sets of pictures -----------------------------------------------------------------------------


def features(count, length, seed, shift=0.0, people=None):
    """Features of pictures, those of one person alike."""
    generator = torch.Generator().manual_seed(seed)
    own = torch.randn(count, length, generator=generator, dtype=torch.float64)
    if people is not None:
        own += 2 * torch.randn(int(people.max()) + 1, length, generator=generator).double()[people]
    return own + shift


def test_a_frechet_distance_of_two_pairs_of_numbers_is_the_one_worked_out_by_hand():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0], [9.0]])  # means 1 and 7, variances 2 and 8
    assert frechet_distance(a, b) == pytest.approx(36 + (math.sqrt(8) - math.sqrt(2)) ** 2)
    assert frechet_distance(b, b) == pytest.approx(0, abs=1e-12)
    assert math.isnan(frechet_distance(a[:1], b))


@pytest.mark.parametrize(("count", "length"), [(90, 12), (9, 12)])
def test_a_frechet_distance_equals_that_of_torchmetrics(count, length):
    a, b = features(count, length, 1), features(count + 3, length, 2, shift=0.5) * 1.5
    identity = nn.Identity()
    identity.num_features = length
    theirs = FrechetInceptionDistance(identity)
    theirs.update(a, real=False)
    theirs.update(b, real=True)
    assert frechet_distance(a, b) == pytest.approx(theirs.compute().item(), rel=1e-5)


def test_a_kernel_distance_equals_a_loop_over_pictures_of_different_people(monkeypatch):
    monkeypatch.setattr(metrics, "ROWS", 4)
    people = torch.tensor([0, 1, 1, 2, 0, 1])
    a, b = features(6, 5, 3).tolist(), features(6, 5, 4, shift=0.5).tolist()
    sums, counts = np.zeros((3, 3)), np.zeros((3, 3))
    for i, one in enumerate(people.tolist()):
        for j, other in enumerate(people.tolist()):
            if one != other:
                kernel = [
                    (np.dot(x, y) / 5 + 1) ** 3
                    for x, y in ((a[i], a[j]), (b[i], b[j]), (a[i], b[j]), (b[i], a[j]))
                ]
                sums[one, other] += kernel[0] + kernel[1] - kernel[2] - kernel[3]
                counts[one, other] += 1
    measured = kernel_distance(torch.tensor(a), torch.tensor(b), people)
    np.testing.assert_allclose(measured.numpy(), np.stack([sums, counts]), rtol=1e-5)
    assert kernel_distance(torch.tensor(a), torch.tensor(a), people)[0].abs().max() == 0


def test_a_kernel_distance_is_kid_but_for_the_pictures_of_one_pair():
    """Each picture of another person: KID, too, leaves out a picture beside itself, but not beside its own target."""
    a, b = features(30, 8, 5), features(30, 8, 6, shift=0.3)
    sums, counts = kernel_distance(a, b, torch.arange(30))
    cross = (a @ b.T / 8 + 1) ** 3
    apart = (cross.sum() - cross.trace()) / (30 * 29)
    kid = poly_mmd(b, a) + 2 * (cross.mean() - apart)
    assert (sums.sum() / counts.sum()).item() == pytest.approx(kid.item())


def test_few_people_make_a_frechet_distance_large_and_a_kernel_distance_uncertain_only():
    """Of two sets from one distribution, the distance ought to be 0, however few people there are."""
    found = {"kernel": [], "frechet": []}
    for seed in range(60):
        people = torch.arange(24) // 3
        a, b = (features(24, 16, 2 * seed + part, people=people) for part in (0, 1))
        sums, counts = kernel_distance(a, b, people)
        found["kernel"].append((sums.sum() / counts.sum()).item())
        found["frechet"].append(frechet_distance(a, b))
    kernel, frechet = (np.array(found[name]) for name in ("kernel", "frechet"))
    assert abs(kernel.mean()) < 3 * kernel.std() / math.sqrt(60)
    assert frechet.min() > 10 * frechet.std() / math.sqrt(60)
