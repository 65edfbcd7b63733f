"""Batches: their order, alone and among several processes, mirrored and halved pairs, devices."""

import itertools

import pytest
import torch
from figures import standing

from sdgan_lib.batches import ShuffledBatches, flip_pairs, halve_pairs, pick_device, pick_precision
from sdgan_lib.errors import UserError
from sdgan_lib.heatmaps import decode, heatmaps

SIZE = (32, 32)


def drawn(*arguments, steps: int = 12) -> list[list[int]]:
    """The first batches of a sampler."""
    return list(itertools.islice(ShuffledBatches(*arguments), steps))


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_out_the_pairs_of_each_step(world_size):
    """Joined in the order of their ranks they are one process with as large a batch, also from a later step on."""
    for start in (0, 5):
        parts = [drawn(10, 2, 3, start, rank, world_size) for rank in range(world_size)]
        joined = [list(itertools.chain(*step)) for step in zip(*parts, strict=True)]
        assert joined == drawn(10, 2 * world_size, 3, start)
        assert all(len(batch) == 2 for part in parts for batch in part)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_outside_the_world_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank of one of 2 processes is not {rank}"):
        ShuffledBatches(10, 2, 0, rank=rank, world_size=2)


def test_batches_cover_every_pair_once_per_epoch_and_depend_on_the_step_alone():
    sampler = iter(ShuffledBatches(10, 3, seed=5))
    drawn = [next(sampler) for _ in range(60)]
    flat = [i for batch in drawn for i in batch]
    for epoch in range(6):
        assert sorted(flat[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert flat[:10] != flat[10:20]
    for start in (1, 3, 4, 7, 13):
        later = iter(ShuffledBatches(10, 3, seed=5, start=start))
        assert [next(later) for _ in range(5)] == drawn[start : start + 5]
    assert next(iter(ShuffledBatches(10, 3, seed=6))) != drawn[0]
    assert len(next(iter(ShuffledBatches(2, 7, seed=0)))) == 7


def test_flipping_mirrors_picture_and_pose_and_swaps_sides():
    chance = torch.Generator().manual_seed(0)
    batch = {f"{role}_image": torch.rand(2, 3, *SIZE, generator=chance) for role in ("source", "target")}
    batch |= {f"{role}_pose": standing(2, SIZE, seed) for seed, role in enumerate(("source", "target"))}
    flipped = flip_pairs(batch, torch.tensor([True, False]))
    torch.testing.assert_close(flipped["source_image"][0], batch["source_image"][0].flip(-1))
    torch.testing.assert_close(flipped["target_image"][1], batch["target_image"][1])
    right, left = 2, 5
    expected = batch["source_pose"][0, left] * torch.tensor([-1, 1]) + torch.tensor([SIZE[1] - 1, 0])
    torch.testing.assert_close(flipped["source_pose"][0, right], expected)
    torch.testing.assert_close(flipped["source_pose"][1], batch["source_pose"][1])


def test_halved_pairs_show_the_joints_where_the_halved_poses_say():
    pose = standing(4, (64, 32))
    maps = heatmaps(pose, 64, 32)
    half = halve_pairs({"source_image": maps, "target_image": maps, "source_pose": pose, "target_pose": pose})
    assert half["source_image"].shape == half["target_image"].shape == (4, 18, 32, 16)
    inside = ((pose > 3) & (pose < torch.tensor([28.0, 60.0]))).all(-1)
    for role in ("source", "target"):
        error = (decode(half[f"{role}_image"]) - half[f"{role}_pose"])[inside]
        assert inside.sum() > 30 and error.abs().max() < 0.1


def test_an_unavailable_device_is_named():
    with pytest.raises(UserError, match="cpu"):
        pick_device("tpu")
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("device", "there", "chosen"),
    [
        ("cpu", True, "bf16"),
        ("cpu", False, "no"),
        ("cuda", True, "bf16"),
        ("cuda", False, "no"),
        ("mps", True, "no"),
    ],
)
def test_half_precision_where_the_hardware_is_quicker_with_it(monkeypatch, device, there, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": there, "avx512_bf16": True})
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: there or including_emulation
    )
    assert pick_precision("auto", device) == chosen
    for wanted in ("no", "fp16", "bf16"):
        assert pick_precision(wanted, device) == wanted
