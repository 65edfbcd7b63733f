"""Poses: joint angles drawn at random, forward kinematics on the MakeHuman rig, linear blend skinning.

Angles are degrees, positive forwards, where nothing else is said; a body at rest in T or A pose faces -y, z is up.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from .bodies import model
from .raster import spin

SIDES = ("L", "R")
COMMON = (
    "stand", "phone", "call", "hips", "raise", "wave", "cross", "run", "reach", "look", "pockets", "walk", "walk",
)  # fmt: skip
"""What the frames of one camera are drawn from, without putting back: walking is in it twice."""
SPECIAL = ("sit", "crouch", "carry")
"""What now and then takes the place of a common pose."""


@dataclass
class Pose:
    """Joint angles of a body.

    Arms are (forward, sideways, elbow, inward in radians), legs (forward, sideways, knee, toes down), each by side.
    """

    kind: str
    lean: float = 0.0
    side: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    head_turn: float = 0.0
    arms: dict[str, tuple] = field(default_factory=lambda: {s: (0.0, 9.0, 12.0, 0.25) for s in SIDES})
    legs: dict[str, tuple] = field(default_factory=lambda: {s: (0.0, 2.0, 3.0, 0.0) for s in SIDES})


def walking(phase: float, stride: float, swing: float, kind: str = "walk") -> Pose:
    """One moment of a gait cycle.

    Args:
        phase: the moment, in radians.
        stride: length of the steps, near 1 for an easy walk.
        swing: how far the arms swing, near 1 for an easy walk.
        kind: what the pose is called.
    """
    s = np.sin(phase)
    pose = Pose(kind, lean=3 + 2 * stride, twist=6 * stride * s)
    for side, forward, lift in (("L", s, np.cos(phase)), ("R", -s, -np.cos(phase))):
        lifted, behind = max(0, lift), max(0, -forward)
        knee = 6 + 50 * stride * lifted**1.3 + (8 if forward > 0.5 else 0)
        heel_strike = -18 * stride if forward > 0.6 else 0
        push_off = 25 * stride if forward < -0.5 else 0
        pose.legs[side] = (24 * stride * forward + 3, 0, knee, heel_strike + push_off + 12 * stride * lifted)
        pose.arms[side] = (-24 * stride * swing * forward, 8, 14 + 18 * stride * behind * swing, 0.2)
    return pose


# ---- gestures: what a kind of pose changes in a standing or walking body. ``main`` is the side that acts.


def _phone(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    pose.arms[main] = (rng.uniform(15, 30), 8, rng.uniform(85, 105), 0.7)
    pose.nod = rng.uniform(12, 25)


def _call(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u = rng.uniform
    pose.arms[main] = (u(15, 40), u(12, 25), u(118, 138), u(0.3, 0.7))


def _hips(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    pose.arms[main] = (-15, 42, 95, 1.35)
    if rng.random() < 0.6:
        pose.arms[other] = pose.arms[main]


def _raise(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u, angle = rng.uniform, rng.uniform(130, 165)
    pose.arms[main] = (angle, u(5, 25), u(10, 60), 0.6)
    if rng.random() < 0.5:
        pose.arms[other] = (angle + u(-15, 8), u(5, 25), u(10, 60), 0.6)


def _wave(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u = rng.uniform
    pose.arms[main] = (u(30, 60), u(45, 75), u(75, 105), -0.2)


def _cross(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    pose.arms = {"L": (30, 8, 100, 1.1), "R": (34, 8, 96, 1.1)}


def _reach(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u = rng.uniform
    pose.arms[main] = (u(60, 95), u(0, 25), u(0, 30), 0.3)


def _look(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    pose.head_turn, pose.nod = rng.uniform(25, 50) * rng.choice([-1, 1]), rng.uniform(-12, 18)


def _pockets(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    pose.arms = {s: (-8, 22, 48, 0.75) for s in SIDES}


def _sit(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u = rng.uniform
    pose.lean, fold = u(-6, 12), u(80, 90)
    for s in SIDES:
        pose.legs[s] = (fold, u(3, 12), fold + u(-8, 10), 0)
        pose.arms[s] = (u(18, 32), u(6, 14), u(45, 70), u(0.1, 0.4))


def _crouch(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    u = rng.uniform
    pose.lean, fold = u(18, 32), u(98, 112)
    for s in SIDES:
        pose.legs[s] = (fold + u(-6, 6), u(4, 12), u(122, 136), u(5, 25))
        pose.arms[s] = (u(35, 60), u(4, 14), u(25, 60), u(0.1, 0.5))


def _carry(pose: Pose, rng: np.random.Generator, main: str, other: str) -> None:
    bend = rng.uniform(70, 88)
    pose.arms = {s: (rng.uniform(10, 14), 6, bend, 0.12) for s in SIDES}
    pose.lean -= 3


GESTURES = {
    "phone": _phone,
    "call": _call,
    "hips": _hips,
    "raise": _raise,
    "wave": _wave,
    "cross": _cross,
    "reach": _reach,
    "look": _look,
    "pockets": _pockets,
    "sit": _sit,
    "crouch": _crouch,
    "carry": _carry,
}
ALSO_WALKING = ("phone", "call", "carry")
"""Gestures that half of all bodies make while they walk."""
KINDS = ("walk", "stand", "run", *GESTURES)


def _standing(rng: np.random.Generator, kind: str) -> Pose:
    pose, u = Pose(kind), rng.uniform
    spread, shift = (u(-1, 3), u(3, 8))[rng.integers(2)], u(-3, 3)
    for s, w in (("L", shift), ("R", -shift)):
        pose.legs[s] = (u(-6, 8), spread + w * 0.3, u(1, 9), 0)
        pose.arms[s] = (u(-8, 15), u(6, 14), u(5, 30), u(0, 0.5))
    return pose


def _running(phase: float) -> Pose:
    pose = walking(phase, 1.65, 1.5, "run")
    pose.lean = 12
    pose.arms = {s: (f, a + 4, 85, 0.35) for s, (f, a, _, _) in pose.arms.items()}
    return pose


def random_pose(kind: str, rng: np.random.Generator, phase: float | None = None) -> Pose:
    """A random pose of one of ``KINDS``.

    Args:
        kind: what the person does.
        rng: source of the random numbers; the order of the draws is part of the data set.
        phase: moment of the gait cycle of a walk or run, in radians; ``None`` draws one.

    Raises:
        ValueError: for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of pose {kind!r}; known: {', '.join(KINDS)}")
    phase = rng.uniform(0, 2 * np.pi) if phase is None else phase
    main, other = ("L", "R") if rng.random() < 0.5 else ("R", "L")
    if kind == "walk" or (kind in ALSO_WALKING and rng.random() < 0.5):
        pose = walking(phase, rng.uniform(0.75, 1.25), rng.uniform(0.5, 1.2), kind)
    elif kind == "run":
        pose = _running(phase)
    else:
        pose = _standing(rng, kind)
    if kind in GESTURES:
        GESTURES[kind](pose, rng, main, other)
    pose.head_turn += rng.normal(0, 10)
    pose.nod += rng.normal(2, 5)
    pose.lean += rng.normal(0, 2)
    pose.side += rng.normal(0, 2)
    return pose


# ---- from angles to bones


def _rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation matrix about ``axis``, of any length but 0."""
    return Rotation.from_rotvec(axis / np.linalg.norm(axis) * degrees, degrees=True).as_matrix()


def _euler(axes: str, *degrees: float) -> np.ndarray:
    """Rotation matrix of turns about the axes of the turning body, the first named outermost."""
    return Rotation.from_euler(axes, degrees, degrees=True).as_matrix()


def _limb(forward: float, sideways: float, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Direction of a limb's first bone, and the direction at right angles to it in which its joint bends."""
    f, a = np.radians(forward), np.radians(sideways)
    along = np.array([sign * np.sin(a), -np.sin(f) * np.cos(a), -np.cos(f) * np.cos(a)])
    up = np.array([0, -np.cos(f), np.sin(f)])
    up = up - along * (up @ along)
    return along, up / np.linalg.norm(up)


def _trunk(pose: Pose) -> dict[str, np.ndarray]:
    """Rotation of each bone of spine and neck against the bone that it hangs on."""
    spine = _euler("XYZ", pose.lean / 5, pose.side / 5, pose.twist / 5)
    neck = _euler("ZX", pose.head_turn / 3, pose.nod / 3)
    return {f"spine0{i}": spine for i in range(1, 6)} | dict.fromkeys(("neck01", "neck02", "head"), neck)


def _hand(heads: dict[str, np.ndarray], s: str, sign: int) -> dict[str, np.ndarray]:
    """Rotation of each bone of the slightly bent fingers against the bone that it hangs on."""
    axis = heads[f"metacarpal4.{s}"] - heads[f"metacarpal1.{s}"]
    tip = heads[f"finger3-3.{s}"] - heads[f"finger3-1.{s}"]
    inwards = np.cross(axis, tip) @ np.array([-sign, 0, -0.5]) > 0
    return {
        f"finger{q}-{j}.{s}": _rotation(axis, 28 if inwards else -28) for q in range(2, 6) for j in (1, 2, 3)
    }


def _arm(pose: Pose, s: str, sign: int) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, np.ndarray]]]:
    """Rotation of the collar bone; for each other bone the bone it points to and its direction in the chest."""
    forward, sideways, elbow, inward = pose.arms[s]
    upper, up = _limb(forward, sideways, sign)
    inner = np.cross(upper, up)
    inner = inner if inner[0] * sign < 0 else -inner
    bend = np.radians(elbow)
    fore = np.cos(bend) * upper + np.sin(bend) * (np.cos(inward) * up + np.sin(inward) * inner)
    lift = min(30, 25 * max(0, upper[2] + 0.15))
    return {f"clavicle.{s}": _rotation(np.array([0, 1, 0]), -sign * lift)}, {
        f"upperarm01.{s}": (f"lowerarm01.{s}", upper),
        f"lowerarm01.{s}": (f"wrist.{s}", fore),
        f"wrist.{s}": (f"metacarpal2.{s}", fore),
    }


def _leg(pose: Pose, heads: dict[str, np.ndarray], s: str, sign: int) -> dict[str, tuple[str, np.ndarray]]:
    """For each bone of a leg the bone it points to and its direction in the world."""
    forward, sideways, knee, toes = pose.legs[s]
    thigh, up = _limb(forward, sideways, sign)
    bend = np.radians(knee)
    rest = heads[f"toe1-1.{s}"] - heads[f"foot.{s}"]
    drop = np.arctan2(-rest[2], np.hypot(rest[0], rest[1])) + np.radians(toes)
    return {
        f"upperleg01.{s}": (f"lowerleg01.{s}", thigh),
        f"lowerleg01.{s}": (f"foot.{s}", np.cos(bend) * thigh - np.sin(bend) * up),
        f"foot.{s}": (f"toe1-1.{s}", np.array([sign * 0.16, -np.cos(drop), -np.sin(drop)])),
    }


def kinematics(heads: np.ndarray, pose: Pose, yaw: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics: a rotation and a place for every bone.

    Args:
        heads: bone heads ``[bones, 3]`` at rest, metres.
        pose: the angles.
        yaw: turn of the whole body about z, radians; 0 faces -y.

    Returns:
        rotations ``[bones, 3, 3]`` and bone heads ``[bones, 3]`` in the pose.
    """
    m = model()
    rest = dict(zip(m.bones, heads, strict=True))
    turn, aim = _trunk(pose), {}
    for s, sign in (("L", 1), ("R", -1)):
        collar, arm = _arm(pose, s, sign)
        turn |= _hand(rest, s, sign) | collar
        aim |= arm | _leg(pose, rest, s, sign)
    rot, pos = np.zeros((len(m.bones), 3, 3)), np.zeros((len(m.bones), 3))
    for i, (name, parent) in enumerate(zip(m.bones, m.parents, strict=True)):
        if parent < 0:
            rot[i], pos[i] = np.eye(3), heads[i]
            continue
        pos[i] = pos[parent] + rot[parent] @ (heads[i] - heads[parent])
        if name in aim:
            target, direction = aim[name]
            if name.startswith(("upperarm", "lowerarm", "wrist")):
                direction = rot[m.bone("spine02")] @ direction
            now = rot[parent] @ (rest[target] - heads[i])
            rot[i] = Rotation.align_vectors(direction, now)[0].as_matrix() @ rot[parent]
        else:
            rot[i] = rot[parent] @ turn[name] if name in turn else rot[parent]
    turned = spin(yaw)
    return turned @ rot, pos @ turned.T


def skin(rest: np.ndarray, weights, heads: np.ndarray, rot: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Linear blend skinning: vertices moved by the bones.

    Args:
        rest: vertices ``[n, 3]`` at rest.
        weights: sparse ``[n, bones]``, rows sum to 1.
        heads: bone heads ``[bones, 3]`` at rest.
        rot: rotations ``[bones, 3, 3]`` of :func:`kinematics`.
        pos: bone heads ``[bones, 3]`` of :func:`kinematics`.

    Returns:
        vertices ``[n, 3]``.
    """
    shift = pos - np.einsum("bij,bj->bi", rot, heads)
    blend = weights @ np.concatenate([rot.reshape(-1, 9), shift], 1)
    return np.einsum("vij,vj->vi", blend[:, :9].reshape(-1, 3, 3), rest) + blend[:, 9:]
