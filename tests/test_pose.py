import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.pose import (
    JOINT,
    JOINTS,
    LEFT_RIGHT,
    LIMBS,
    REQUIRED,
    SKELETON,
    body_size,
    flip_pose,
    from_annotation,
    rescale_pose,
    to_annotation,
    to_grid,
    visible,
)

joint = st.one_of(st.just((-1, -1)), st.tuples(st.integers(0, 300), st.integers(0, 300)))


def test_joint_tables_agree():
    openpose = "nose neck Rsho Relb Rwri Lsho Lelb Lwri Rhip Rkne Rank Lhip Lkne Lank Reye Leye Rear Lear"
    assert JOINTS == tuple(openpose.split())
    assert [JOINTS[i] for i in REQUIRED] == ["Rhip", "Lhip", "Rsho", "Lsho"]
    assert [JOINTS[LEFT_RIGHT[JOINT[name]]] for name in ("nose", "neck", "Rwri", "Leye")] == [
        "nose", "neck", "Lwri", "Reye",
    ]  # fmt: skip
    assert [LEFT_RIGHT[i] for i in LEFT_RIGHT] == list(range(18))
    for name, (fr, to) in LIMBS.items():
        assert JOINTS[fr][0] == JOINTS[to][0] == name[0].upper()
    reached = {JOINT["neck"]}
    for _ in SKELETON:
        reached |= {to for fr, to in SKELETON if fr in reached}
    assert reached == set(range(18)) and len(SKELETON) == 17


@settings(max_examples=50, deadline=None)
@given(st.lists(joint, min_size=18, max_size=18))
def test_annotation_round_trip(joints):
    ys, xs = [y for y, _ in joints], [x for _, x in joints]
    pose = from_annotation(ys, xs)
    assert pose.shape == (18, 2) and pose.dtype == torch.float32
    for (y, x), row, seen in zip(joints, pose.tolist(), visible(pose).tolist(), strict=True):
        assert seen == (y != -1)
        assert not seen or row == [x, y]
    assert to_annotation(pose) == (ys, xs)
    assert all(type(value) is int for values in to_annotation(pose) for value in values)


def test_annotation_accepts_numpy_integers_and_rounds():
    pose = from_annotation(np.arange(18), np.arange(18) + 40)
    assert pose[3].tolist() == [43, 3]
    ys, xs = to_annotation(pose + torch.tensor([0.4, -0.6]))
    assert (ys[:3], xs[:3]) == ([-1, 0, 1], [-1, 41, 42])
    ys, xs = to_annotation(pose - 2)
    assert (ys[:3], xs[:3]) == ([-1, -1, 0], [-1, -1, 40])


@pytest.mark.parametrize(
    ("ys", "xs", "message"),
    [
        ([1] * 17, [1] * 18, "expected 18 y coordinates, one per joint, got 17"),
        ([1] * 18, [1] * 19, "expected 18 x coordinates, one per joint, got 19"),
        ([1] * 18, [1] * 3 + [-1] + [1] * 14, "Relb is missing in one coordinate only"),
        ([1] * 18, [-2] + [1] * 17, "x of nose is -2"),
        ([1] * 17 + [2.5], [1] * 18, "y of Lear is 2.5"),
        (["1"] * 18, [1] * 18, "y of nose is '1'"),
        ([None] * 18, [1] * 18, "y of nose is None"),
        ([True] * 18, [1] * 18, "y of nose is True"),
    ],
)
def test_bad_annotations_are_named(ys, xs, message):
    with pytest.raises(ValueError, match=message):
        from_annotation(ys, xs)


def test_to_annotation_refuses_a_batch():
    with pytest.raises(ValueError, match=r"must have shape \[18, 2\], got \[2, 18, 2\]"):
        to_annotation(torch.zeros(2, 18, 2))


def test_body_size_by_hand():
    pose = torch.full((3, 18, 2), torch.nan)
    pose[:2, JOINT["Rhip"]], pose[:2, JOINT["Rsho"]] = torch.tensor([10.0, 50]), torch.tensor([13.0, 46])
    pose[0, JOINT["Lhip"]], pose[0, JOINT["Lsho"]] = torch.tensor([30.0, 50]), torch.tensor([30.0, 39])
    size = body_size(pose)
    assert size[:2].tolist() == pytest.approx([((25 + 121) / 2) ** 0.5, 5.0])
    assert size[2].isnan()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 5), st.integers(1, 5), st.integers(0, 999))
def test_rescaled_poses_follow_the_resized_picture(height, width, down_y, down_x, seed):
    """A picture that holds each pixel's own x and y, averaged over blocks, says where block centres lie."""
    ys, xs = torch.meshgrid(torch.arange(height * down_y), torch.arange(width * down_x), indexing="ij")
    full = torch.stack([xs, ys]).double()[None]
    small = F.avg_pool2d(full, (down_y, down_x))[0]
    pick = torch.Generator().manual_seed(seed)
    row, column = (int(torch.randint(n, (1,), generator=pick)) for n in (height, width))
    pose = torch.tensor([[column, row]]).double().expand(18, 2)
    big = rescale_pose(pose, (height, width), (height * down_y, width * down_x))
    torch.testing.assert_close(big[0], small[:, row, column])
    torch.testing.assert_close(rescale_pose(big, (height * down_y, width * down_x), (height, width)), pose)


@pytest.mark.parametrize(("height", "width"), [(128, 64), (64, 96), (5, 9)])
def test_to_grid_finds_the_pixel(height, width):
    ys, xs = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    ramps = torch.stack([xs, ys])[None].double()
    points = torch.rand(1, 1, 50, 2, dtype=torch.float64) * torch.tensor([width - 1, height - 1])
    sampled = F.grid_sample(ramps, to_grid(points, height, width), align_corners=False)
    torch.testing.assert_close(sampled[0, :, 0].T, points[0, 0])


def test_flipping_the_pose_flips_its_picture():
    pose = torch.rand(2, 18, 2) * torch.tensor([40, 60])
    pose[0, JOINT["Lwri"]] = torch.nan
    flipped = flip_pose(pose, 40)
    torch.testing.assert_close(
        heatmaps(flipped, 60, 40), heatmaps(pose, 60, 40).flip(-1)[:, list(LEFT_RIGHT)]
    )
    assert visible(flipped)[0].tolist().index(False) == JOINT["Rwri"]
    torch.testing.assert_close(flip_pose(flipped, 40), pose, equal_nan=True)
