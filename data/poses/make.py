"""Sequences of poses, drawn as the embedded people are: ``python -m data.poses.make`` writes the JSON files here.

One body, one camera from the middle of what the data set's cameras do. Its joints are seen or hidden by the data set's
own rules, so that a generator meets in these poses what it met in training.
"""

import math
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from data.render.garments import identity
from data.render.poses import Pose
from data.render.raster import spin
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


def joints(pose: Pose, heading: float) -> np.ndarray:
    """The joints ``[18, 2]`` of the body in a pose, in pixels; ``heading`` in degrees, 0 towards the camera."""
    figure, cam = _figure(identity(BODY), pose, math.radians(heading), PERSON, 0), lens()
    tall, wide = HEIGHT * SS, WIDTH * SS
    seen = _visible(figure.items, cam, tall, wide)
    depth = np.full(tall * wide, np.inf)
    depth[seen.pixel] = seen.depth
    world = _world_joints(figure.bones, figure.face)
    return _keypoints(cam, world, depth.reshape(tall, wide), np.zeros((tall, wide), bool))


# Hip, knee and toes of a leg (degrees, forwards; toes down) at each tenth of its cycle, from heel strike to heel strike,
# as textbooks of gait draw them.
HIP = (28, 24, 14, 3, -6, -9, 0, 17, 28, 31)
KNEE = (5, 15, 14, 8, 5, 11, 36, 58, 50, 20)
TOES = (-6, 4, 0, -3, -5, 6, 18, 8, 2, -4)


def _gait(table: tuple, share: float) -> float:
    """The value of a table at a share of the cycle, on a smooth closed curve through its entries."""
    values = np.array([*table, table[0]], float)
    return float(CubicSpline(np.linspace(0, 1, len(values)), values, bc_type="periodic")(share % 1))


def walking(share: float) -> Pose:
    """One moment of an easy walk, as a share of its cycle; at 0 the left heel strikes."""
    pose = Pose("walk", lean=3, twist=-5 * math.cos(2 * math.pi * share), nod=-4)
    for side, own in (("L", share), ("R", share + 0.5)):
        pose.legs[side] = (_gait(HIP, own), 1, _gait(KNEE, own), _gait(TOES, own))
        back = math.cos(2 * math.pi * own)  # the arm is behind when its own leg is in front
        pose.arms[side] = (4 - 22 * back, 8, 20 - 10 * back, 0.25)
    return pose


def walk(count: int = 12, heading: float = 45.0) -> list[np.ndarray]:
    """A walk on the spot, seen from three quarters."""
    return [joints(walking(i / count), heading) for i in range(count)]


if __name__ == "__main__":
    for name, sequence in (("walk", walk()),):
        poses = torch.from_numpy(np.stack(sequence)).float()
        write_poses(poses, HERE / f"{name}.json", (HEIGHT, WIDTH))
