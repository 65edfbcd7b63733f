"""What the checks of notebook 07 compare with is what the studio computes: ``node`` runs the studio's own functions."""

import json
import subprocess

import pytest
import torch
from test_studio import ROOT, find_node, listed

from sdgan_lib.datasets import open_split
from sdgan_lib.exercises.studio import branch, turned, two_bones
from sdgan_lib.pose import JOINT, JOINTS

SCRIPT = """
import { readFileSync } from "node:fs";
const g = await import(process.argv[1]);
const { bones, drags } = JSON.parse(readFileSync(0));
console.log(JSON.stringify({
  branches: g.JOINTS.map((_, joint) => g.branch(joint)),
  bones: bones.map((four) => g.twoBones(...four)),
  drags: drags.map(([pose, joint, to]) => g.drag(pose, joint, to)),
}));
"""


def studio(given: dict) -> dict:
    """What the studio's functions make of some cases."""
    done = subprocess.run(
        [find_node(), "--input-type=module", "-e", SCRIPT, str(ROOT / "sdgan_lib/studio/geometry.mjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cases() -> tuple[dict, dict]:
    """Random bones, some out of reach, and poses in which a joint is dragged to where ``turned`` puts it."""
    random = torch.Generator().manual_seed(7)
    bones = 60 * torch.rand(200, 4, 2, dtype=torch.float64, generator=random)
    poses = open_split(ROOT / "data/people", "test").poses.double()
    turns = []
    for name in ("Relb", "Lelb", "Rkne", "Lkne", "nose"):
        joint = JOINT[name]
        for number in torch.randint(len(poses), (6,), generator=random).tolist():
            angle = 3 * (2 * torch.rand((), generator=random).item() - 1)
            if not poses[number, [joint, JOINT["neck"]]].isnan().any():
                turns.append((poses[number], joint, angle, turned(poses[number], joint, angle)))
    drags = [(listed(pose), joint, after[joint].tolist()) for pose, joint, _, after in turns]
    given = {"bones": bones.tolist(), "drags": drags}
    return {"bones": bones, "turns": turns}, studio(given)


def test_the_same_joints_hang_on_a_joint(cases):
    _, found = cases
    assert [sorted(joints) for joints in found["branches"]] == [sorted(branch(i)) for i in range(len(JOINTS))]


def test_two_bones_are_the_studios(cases):
    given, found = cases
    expected = torch.stack([two_bones(*four) for four in given["bones"]])
    torch.testing.assert_close(expected, torch.tensor(found["bones"], dtype=torch.float64), rtol=0, atol=1e-5)


def test_a_turn_is_a_drag(cases):
    given, found = cases
    assert len(given["turns"]) > 20
    for (*_, after), dragged in zip(given["turns"], found["drags"], strict=True):
        expected = [xy and pytest.approx(xy, abs=1e-6) for xy in listed(after)]
        assert dragged == expected
