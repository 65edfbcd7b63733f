"""Sequences of poses, drawn as the embedded people are: ``python -m data.poses.make`` writes the JSON files here.

One body, one camera from the middle of what the data set's cameras do. Its joints are seen or hidden by the data set's
own rules, so that a generator meets in these poses what it met in training.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from data.render.garments import identity
from data.render.poses import SIDES, Pose
from data.render.scene import SS, Lens
from data.render.shading import _keypoints, _visible, _world_joints
from data.render.stage import PERSON, _figure
from sdgan_lib.motion import write_poses

HERE = Path(__file__).parent
HEIGHT, WIDTH = 128, 64
BODY = 270
"""An identity of usual build. Only its proportions matter: a sequence is fitted to the person that it moves."""


def lens() -> Lens:
    """A camera four metres away, at the height of a chest, with the person in 82 % of the picture's height."""
    tall = identity(BODY).height
    origin = np.array([0.0, -4.1, 1.6])
    forward = np.array([0, 0, tall / 2]) - origin
    forward /= np.linalg.norm(forward)
    turn = np.stack([np.array([1.0, 0, 0]), np.cross(forward, [1.0, 0, 0]), forward])
    q = (np.array([[0, 0, 0], [0, 0, tall]]) - origin) @ turn.T
    feet, crown = q[:, 1] / q[:, 2]
    focal = HEIGHT * SS * 0.82 / (feet - crown)
    return Lens(HEIGHT, origin, turn, focal, np.array([WIDTH * SS / 2, HEIGHT * SS * 0.94 - focal * feet]))


def joints(pose: Pose, heading: float, lift: float = 0.0) -> np.ndarray:
    """The joints ``[18, 2]`` of the body in a pose, in pixels.

    Args:
        pose: the angles.
        heading: in degrees, 0 towards the camera, growing counter-clockwise seen from above.
        lift: of the feet above the floor, in metres.
    """
    figure = _figure(identity(BODY), pose, math.radians(heading), PERSON, 0).moved(np.array([0, 0, lift]))
    cam, tall, wide = lens(), HEIGHT * SS, WIDTH * SS
    seen = _visible(figure.items, cam, tall, wide)
    depth = np.full(tall * wide, np.inf)
    depth[seen.pixel] = seen.depth
    world = _world_joints(figure.bones, figure.face)
    return _keypoints(cam, world, depth.reshape(tall, wide), np.zeros((tall, wide), bool))


class Gait(NamedTuple):
    """A leg's angles (degrees: hip and knee forwards, toes down) at each tenth of its cycle, from heel strike on."""

    hip: tuple
    knee: tuple
    toes: tuple

    def at(self, share: float) -> tuple[float, float, float, float]:
        """A leg of :class:`Pose` at a share of the cycle, on smooth closed curves through the entries."""
        times = np.linspace(0, 1, 11)
        curves = (CubicSpline(times, (*row, row[0]), bc_type="periodic") for row in self)
        hip, knee, toes = (float(curve(share % 1)) for curve in curves)
        return hip, 1.0, knee, toes


# Rounded from the curves that textbooks of gait draw.
WALK = Gait(
    hip=(28, 24, 14, 3, -6, -9, 0, 17, 28, 31),
    knee=(5, 15, 14, 8, 5, 11, 36, 58, 50, 20),
    toes=(-6, 4, 0, -3, -5, 6, 18, 8, 2, -4),
)
RUN = Gait(
    hip=(36, 28, 10, -6, -12, -4, 14, 34, 46, 44),
    knee=(16, 36, 34, 20, 20, 52, 86, 92, 62, 26),
    toes=(-4, -12, -14, 4, 24, 24, 14, 6, 0, -4),
)


def gait(table: Gait, share: float, **angles: float) -> Pose:
    """One moment of a gait, as a share of its cycle: at 0 the left heel strikes; the arms hang."""
    pose = Pose("walk", twist=-5 * math.cos(2 * math.pi * share), **angles)
    pose.legs = {"L": table.at(share), "R": table.at(share + 0.5)}
    return pose


def behind(share: float) -> dict[str, float]:
    """How far each arm is behind the body, -1 to 1: where the leg of its side is in front."""
    return {side: math.cos(2 * math.pi * (share + own)) for side, own in (("L", 0), ("R", 0.5))}


def walking(share: float) -> Pose:
    """One moment of an easy walk."""
    pose = gait(WALK, share, lean=3, nod=-4)
    pose.arms = {s: (4 - 22 * back, 8, 20 - 10 * back, 0.25) for s, back in behind(share).items()}
    return pose


def running(share: float) -> Pose:
    """One moment of an easy run."""
    pose = gait(RUN, share, lean=9, nod=-8)
    pose.arms = {s: (-8 - 34 * back, 12, 84 - 8 * back, 0.35) for s, back in behind(share).items()}
    return pose


def standing(arms: float = 2.0) -> Pose:
    """Standing at ease, the arms raised forwards by so many degrees."""
    pose = Pose("stand", nod=-4)
    pose.legs = {s: (1, 4, 3, 0) for s in SIDES}
    pose.arms = {s: (arms, 9, 14, 0.25) for s in SIDES}
    return pose


def sequences(count: int = 12) -> dict[str, list[np.ndarray]]:
    """All sequences by name, ``count`` poses each; the last leads to the first."""
    shares = [i / count for i in range(count)]
    flight = [0.07 * max(0, -math.cos(4 * math.pi * (share - 0.18))) for share in shares]
    raised = [2 + 148 * math.sin(math.pi * share) ** 2 for share in shares]
    return {
        "walk": [joints(walking(share), 40) for share in shares],
        "run": [joints(running(share), 40, up) for share, up in zip(shares, flight, strict=True)],
        "raise_arms": [joints(standing(angle), 25) for angle in raised],
        "turn": [joints(standing(), 360 * share) for share in shares],
    }


if __name__ == "__main__":
    for name, sequence in sequences().items():
        poses = torch.from_numpy(np.stack(sequence)).float()
        write_poses(poses, HERE / f"{name}.json", (HEIGHT, WIDTH))
