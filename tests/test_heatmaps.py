import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sdgan_lib.heatmaps import decode, heatmaps, sigma_for
from sdgan_lib.pose import rescale_pose, visible

sizes = st.tuples(st.integers(8, 160), st.integers(8, 160))


def random_pose(height, width, seed, margin=0.5, missing=0.2):
    """Joints anywhere up to `margin` pixels beyond the outer pixels' centres."""
    generator = torch.Generator().manual_seed(seed)
    span = torch.tensor([width - 1, height - 1]) + 2 * margin
    pose = torch.rand(2, 18, 2, generator=generator) * span - margin
    pose[torch.rand(2, 18, generator=generator) < missing] = torch.nan
    return pose


def test_every_value_follows_the_formula():
    pose = random_pose(9, 14, seed=1)
    maps = heatmaps(pose, 9, 14, sigma=2.5)
    assert maps.shape == (2, 18, 9, 14) and maps.dtype == torch.float32
    for b in range(2):
        for j in range(18):
            px, py = pose[b, j].tolist()
            for y in range(9):
                for x in range(14):
                    expected = math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 2.5**2)) if px == px else 0.0
                    assert maps[b, j, y, x].item() == pytest.approx(expected, abs=1e-6)


def test_default_sigma_scales_with_the_height():
    assert (sigma_for(128), sigma_for(256), sigma_for(32)) == (6.0, 12.0, 1.5)
    pose = random_pose(128, 64, seed=2)
    small = heatmaps(rescale_pose(pose, (128, 64), (32, 16)), 32, 16)
    at_block_centres = heatmaps(pose - 1.5, 128, 64, sigma=6)[:, :, ::4, ::4]
    torch.testing.assert_close(small, at_block_centres)
    with pytest.raises(ValueError, match="sigma must be positive"):
        heatmaps(pose, 128, 64, sigma=0)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 9999))
def test_round_trip(size, seed):
    pose = random_pose(*size, seed)
    decoded = decode(heatmaps(pose, *size))
    assert torch.equal(visible(decoded), visible(pose))
    assert (decoded - pose).nan_to_num().abs().max() < 0.05


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(0, 9999))
def test_joints_outside_come_back_or_are_missing(size, seed):
    """Up to two sigma outside in x and y a joint is found where it is; far outside it is missing."""
    sigma = sigma_for(size[0])
    pose = random_pose(*size, seed, margin=2 * sigma, missing=0)
    assert (decode(heatmaps(pose, *size)) - pose).abs().max() < 0.05
    assert not visible(decode(heatmaps(pose + 8 * sigma + max(size), *size))).any()


def test_peaks_of_any_height_and_rounded_values():
    pose = random_pose(48, 80, seed=3, missing=0)
    maps = heatmaps(pose, 48, 80)
    torch.testing.assert_close(decode(0.2 * maps), pose, atol=1e-3, rtol=0)
    assert (decode(maps.half()) - pose).abs().max() < 0.3
    noisy = maps + 0.01 * torch.rand(maps.shape, generator=torch.Generator().manual_seed(0))
    assert (decode(noisy) - pose).abs().max() < 2


def test_no_peak_is_missing():
    maps = torch.zeros(1, 18, 10, 12)
    maps[0, 1] = torch.nan
    maps[0, 2, 4, 5] = 1.0
    maps[0, 3, 4, 5] = 1e-4
    decoded = decode(maps)
    assert visible(decoded)[0].nonzero().flatten().tolist() == [2]
    assert decoded[0, 2].tolist() == [5, 4]
    assert visible(decode(maps, threshold=1e-5))[0, 3]


def test_flat_and_odd_maps_stay_near_the_picture():
    for maps in (torch.ones(1, 18, 10, 12), torch.rand(20, 18, 10, 12)):
        decoded = decode(maps)
        assert visible(decoded).all()
        assert (decoded >= -2).all() and (decoded <= torch.tensor([13, 11])).all()


def test_too_small_to_decode():
    with pytest.raises(ValueError, match="at least 3x3"):
        decode(torch.zeros(1, 18, 2, 8))
