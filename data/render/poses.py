"""Poses: joint angles drawn at random, forward kinematics on the MakeHuman rig, linear blend skinning.

Angles are degrees, positive forwards; a body at rest in T or A pose faces -y with z up.
"""

from dataclasses import dataclass, field

import numpy as np

from .bodies import model

DEG = np.pi / 180
KINDS = (
    "walk",
    "stand",
    "phone",
    "call",
    "hips",
    "raise",
    "wave",
    "cross",
    "run",
    "reach",
    "look",
    "pockets",
    "sit",
    "crouch",
    "carry",
)
COMMON = (
    "stand",
    "phone",
    "call",
    "hips",
    "raise",
    "wave",
    "cross",
    "run",
    "reach",
    "look",
    "pockets",
    "walk",
    "walk",
)
SPECIAL = ("sit", "crouch", "carry")


@dataclass
class Pose:
    """Arms are (forward, sideways, elbow, inward in radians), legs (forward, sideways, knee, toes down)."""

    kind: str
    lean: float = 0.0
    side: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    head_turn: float = 0.0
    arms: dict[str, tuple] = field(default_factory=lambda: {s: (0.0, 9.0, 12.0, 0.25) for s in "LR"})
    legs: dict[str, tuple] = field(default_factory=lambda: {s: (0.0, 2.0, 3.0, 0.0) for s in "LR"})


def rotation(axis: tuple, angle: float) -> np.ndarray:
    """Rotation matrix about `axis` by `angle` in radians."""
    x = np.asarray(axis, float)
    x = x / np.linalg.norm(x)
    k = np.array([[0, -x[2], x[1]], [x[2], 0, -x[0]], [-x[1], x[0], 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def align(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction a into direction b."""
    c = np.cross(a, b)
    s, d = np.linalg.norm(c), a @ b
    if s < 1e-9:
        return np.eye(3) if d > 0 else rotation((1, 0, 0), np.pi)
    return rotation(c, np.arctan2(s, d))


def walking(phase: float, stride: float, swing: float, kind: str = "walk") -> Pose:
    """One moment of a gait cycle: `phase` in radians, `stride` and `swing` near 1 for an easy walk."""
    s = np.sin(phase)
    pose = Pose(kind, lean=3 + 2 * stride, twist=6 * stride * s)
    for side, forward, lift in (("L", s, np.cos(phase)), ("R", -s, -np.cos(phase))):
        knee = 6 + 50 * stride * max(0, lift) ** 1.3 + (8 if forward > 0.5 else 0)
        toes = (
            (-18 * stride if forward > 0.6 else 0)
            + (25 * stride if forward < -0.5 else 0)
            + 12 * stride * max(0, lift)
        )
        pose.legs[side] = (24 * stride * forward + 3, 0, knee, toes)
        pose.arms[side] = (
            -24 * stride * swing * forward,
            8,
            14 + 18 * stride * max(0, -forward) * swing,
            0.2,
        )
    return pose


def random_pose(kind: str, rng: np.random.Generator, phase: float | None = None) -> Pose:
    """A random pose of one of KINDS. `phase` fixes the gait of a walk or run. Raises ValueError for another
    kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of pose {kind!r}; known: {', '.join(KINDS)}")
    u = rng.uniform
    phase = u(0, 2 * np.pi) if phase is None else phase
    main, other = ("L", "R") if rng.random() < 0.5 else ("R", "L")
    if kind == "walk" or (kind in ("phone", "call", "carry") and rng.random() < 0.5):
        pose = walking(phase, u(0.75, 1.25), u(0.5, 1.2), kind)
    elif kind == "run":
        pose = walking(phase, 1.65, 1.5, kind)
        pose.lean = 12
        pose.arms = {s: (f, a + 4, 85, 0.35) for s, (f, a, _, _) in pose.arms.items()}
    else:
        pose = Pose(kind)
        spread, shift = (u(-1, 3), u(3, 8))[rng.integers(2)], u(-3, 3)
        for s, w in (("L", shift), ("R", -shift)):
            pose.legs[s] = (u(-6, 8), spread + w * 0.3, u(1, 9), 0)
            pose.arms[s] = (u(-8, 15), u(6, 14), u(5, 30), u(0, 0.5))
    if kind == "phone":
        pose.arms[main] = (u(15, 30), 8, u(85, 105), 0.7)
        pose.nod = u(12, 25)
    elif kind == "call":
        pose.arms[main] = (u(15, 40), u(12, 25), u(118, 138), u(0.3, 0.7))
    elif kind == "hips":
        pose.arms[main] = (-15, 42, 95, 1.35)
        if rng.random() < 0.6:
            pose.arms[other] = (-15, 42, 95, 1.35)
    elif kind == "raise":
        angle = u(130, 165)
        pose.arms[main] = (angle, u(5, 25), u(10, 60), 0.6)
        if rng.random() < 0.5:
            pose.arms[other] = (angle + u(-15, 8), u(5, 25), u(10, 60), 0.6)
    elif kind == "wave":
        pose.arms[main] = (u(30, 60), u(45, 75), u(75, 105), -0.2)
    elif kind == "cross":
        pose.arms = {"L": (30, 8, 100, 1.1), "R": (34, 8, 96, 1.1)}
    elif kind == "reach":
        pose.arms[main] = (u(60, 95), u(0, 25), u(0, 30), 0.3)
    elif kind == "look":
        pose.head_turn, pose.nod = u(25, 50) * rng.choice([-1, 1]), u(-12, 18)
    elif kind == "pockets":
        pose.arms = {s: (-8, 22, 48, 0.75) for s in "LR"}
    elif kind == "sit":
        pose.lean, fold = u(-6, 12), u(80, 90)
        for s in "LR":
            pose.legs[s] = (fold, u(3, 12), fold + u(-8, 10), 0)
            pose.arms[s] = (u(18, 32), u(6, 14), u(45, 70), u(0.1, 0.4))
    elif kind == "crouch":
        pose.lean, fold = u(18, 32), u(98, 112)
        for s in "LR":
            pose.legs[s] = (fold + u(-6, 6), u(4, 12), u(122, 136), u(5, 25))
            pose.arms[s] = (u(35, 60), u(4, 14), u(25, 60), u(0.1, 0.5))
    elif kind == "carry":
        bend = u(70, 88)
        pose.arms = {s: (u(10, 14), 6, bend, 0.12) for s in "LR"}
        pose.lean -= 3
    pose.head_turn += rng.normal(0, 10)
    pose.nod += rng.normal(2, 5)
    pose.lean += rng.normal(0, 2)
    pose.side += rng.normal(0, 2)
    return pose


def _limb(forward: float, sideways: float, sign: int) -> tuple[np.ndarray, np.ndarray]:
    f, a = forward * DEG, sideways * DEG
    along = np.array([sign * np.sin(a), -np.sin(f) * np.cos(a), -np.cos(f) * np.cos(a)])
    up = np.array([0, -np.cos(f), np.sin(f)])
    up = up - along * (up @ along)
    return along, up / np.linalg.norm(up)


def kinematics(heads: np.ndarray, pose: Pose, yaw: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [bones,3,3] and head position [bones,3] of every bone, for bone heads at rest, in a pose.

    `yaw` (radians) turns the whole body about z; 0 faces -y.
    """
    m = model()
    at = {name: i for i, name in enumerate(m.bones)}
    turn, aim = {}, {}
    for b in ("spine05", "spine04", "spine03", "spine02", "spine01"):
        turn[b] = (
            rotation((1, 0, 0), pose.lean * DEG / 5)
            @ rotation((0, 1, 0), pose.side * DEG / 5)
            @ rotation((0, 0, 1), pose.twist * DEG / 5)
        )
    for b in ("neck01", "neck02", "head"):
        turn[b] = rotation((0, 0, 1), pose.head_turn * DEG / 3) @ rotation((1, 0, 0), pose.nod * DEG / 3)
    for s, sign in (("L", 1), ("R", -1)):
        axis = heads[at[f"metacarpal4.{s}"]] - heads[at[f"metacarpal1.{s}"]]
        tip = heads[at[f"finger3-3.{s}"]] - heads[at[f"finger3-1.{s}"]]
        curl = 28 * DEG * (1 if np.cross(axis, tip) @ np.array([-sign, 0, -0.5]) > 0 else -1)
        turn |= {f"finger{q}-{j}.{s}": rotation(axis, curl) for q in range(2, 6) for j in (1, 2, 3)}
        forward, sideways, elbow, inward = pose.arms[s]
        d, u = _limb(forward, sideways, sign)
        inner = np.cross(d, u)
        inner = inner if inner[0] * sign < 0 else -inner
        e = elbow * DEG
        fore = np.cos(e) * d + np.sin(e) * (np.cos(inward) * u + np.sin(inward) * inner)
        turn[f"clavicle.{s}"] = rotation((0, 1, 0), -sign * min(30, 25 * max(0, d[2] + 0.15)) * DEG)
        aim |= {
            f"upperarm01.{s}": (f"lowerarm01.{s}", d),
            f"lowerarm01.{s}": (f"wrist.{s}", fore),
            f"wrist.{s}": (f"metacarpal2.{s}", fore),
        }
        forward, sideways, knee, toes = pose.legs[s]
        d, u = _limb(forward, sideways, sign)
        shin = np.cos(knee * DEG) * d - np.sin(knee * DEG) * u
        rest = heads[at[f"toe1-1.{s}"]] - heads[at[f"foot.{s}"]]
        drop = np.arctan2(-rest[2], np.hypot(rest[0], rest[1])) + toes * DEG
        aim |= {
            f"upperleg01.{s}": (f"lowerleg01.{s}", d),
            f"lowerleg01.{s}": (f"foot.{s}", shin),
            f"foot.{s}": (f"toe1-1.{s}", np.array([sign * 0.16, -np.cos(drop), -np.sin(drop)])),
        }
    rot, pos = np.zeros((len(m.bones), 3, 3)), np.zeros((len(m.bones), 3))
    for i, (name, parent) in enumerate(zip(m.bones, m.parents, strict=True)):
        if parent < 0:
            rot[i], pos[i] = np.eye(3), heads[i]
            continue
        pos[i] = pos[parent] + rot[parent] @ (heads[i] - heads[parent])
        if name in aim:
            target, direction = aim[name]
            if name.startswith(("upperarm", "lowerarm", "wrist")):
                direction = rot[at["spine02"]] @ direction
            rot[i] = align(rot[parent] @ (heads[at[target]] - heads[i]), direction) @ rot[parent]
        else:
            rot[i] = rot[parent] @ turn[name] if name in turn else rot[parent]
    spin = rotation((0, 0, 1), yaw)
    return spin @ rot, pos @ spin.T


def skin(rest: np.ndarray, weights, heads: np.ndarray, rot: np.ndarray, pos: np.ndarray) -> np.ndarray:
    """Vertices [n,3] at rest, with sparse weights [n,bones], moved by the bones."""
    shift = pos - np.einsum("bij,bj->bi", rot, heads)
    blend = weights @ np.concatenate([rot.reshape(-1, 9), shift], 1)
    return np.einsum("vij,vj->vi", blend[:, :9].reshape(-1, 3, 3), rest) + blend[:, 9:]
