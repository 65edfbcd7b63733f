"""The stage: everything that stands before a camera, as meshes in the world."""

from dataclasses import dataclass, replace

import numpy as np

from .bodies import model
from .garments import Identity, identity
from .poses import Pose, kinematics, skin
from .raster import box, ellipsoid, incidence, normals, spin
from .scene import SS, VIEWS, Camera, Obstacle, Plan

PERSON, PASSER_BY, THING = range(3)
"""Whose a mesh is."""
CARDBOARD = np.array([(0.66, 0.52, 0.36), (0.55, 0.42, 0.28), (0.3, 0.33, 0.4), (0.75, 0.73, 0.7)])
"""Colours of the boxes that are carried."""


@dataclass(frozen=True)
class Item:
    """A mesh in the world: vertices and unit normals ``[n, 3]``, triangles ``[m, 3]``.

    ``owner`` is ``PERSON``, ``PASSER_BY`` or ``THING``. A thing has one ``colour``; a part of a ``person`` has what
    ``garments.Part`` says of it. ``base`` ``[n, 3]`` are the places that patterns go by.
    """

    name: str
    vertices: np.ndarray
    tris: np.ndarray
    normals: np.ndarray
    base: np.ndarray
    owner: int
    person: Identity | None = None
    field: np.ndarray | None = None
    attributes: np.ndarray | None = None
    cull: bool = False
    colour: np.ndarray | None = None


@dataclass(frozen=True)
class Figure:
    """A person in a pose and what it carries: meshes, bone heads ``[bones, 3]``, face points ``[5, 3]``."""

    items: list[Item]
    bones: np.ndarray
    face: np.ndarray

    def moved(self, by: np.ndarray) -> "Figure":
        """The figure ``by`` metres ``[3]`` away."""
        items = [replace(item, vertices=item.vertices + by) for item in self.items]
        return Figure(items, self.bones + by, self.face + by)


@dataclass(frozen=True)
class Stage:
    """All meshes before a camera, the person among them, the place ``[3]`` where it stands, all feet ``[3]``."""

    items: list[Item]
    person: Figure
    place: np.ndarray
    feet: list[np.ndarray]


def _thing(
    name: str,
    solid: tuple[np.ndarray, np.ndarray],
    colour: np.ndarray,
    owner: int = THING,
    turn: np.ndarray | None = None,
    shift: np.ndarray | tuple = (0, 0, 0),
) -> Item:
    v, tris = solid
    w = (v if turn is None else v @ turn.T) + shift
    return Item(name, w, tris, normals(w, tris, incidence(tris, len(w))), v, owner, colour=colour)


def _box(rng: np.random.Generator, bones: np.ndarray, k: float, turn: np.ndarray, owner: int) -> Item:
    """A box between the hands."""
    right, left = (bones[model().bone(b)] for b in ("wrist.R", "wrist.L"))
    depth, tall = rng.uniform(0.10, 0.15) * k, rng.uniform(0.07, 0.14) * k
    half = np.array([np.linalg.norm(left - right) / 2 - 0.01, depth, tall])
    centre = (left + right) / 2 + turn @ [0, -0.10 * k, half[2] * 0.4]
    return _thing("box", box(np.zeros(3), half), CARDBOARD[rng.integers(4)], owner, turn, centre)


def _handbag(person: Identity, bones: np.ndarray, turn: np.ndarray, owner: int) -> list[Item]:
    """A bag in the right hand, where that hangs down."""
    k, m = person.scale, model()
    wrist, chest = bones[m.bone("wrist.R")], bones[m.bone("spine02")]
    if not person.look.hand_bag or wrist[2] >= chest[2] - 0.12 * k:
        return []
    bag = ellipsoid(np.zeros(3), np.array([0.05, 0.14, 0.13]) * k, 4)
    return [_thing("handbag", bag, person.look.bag, owner, turn, wrist - np.array([0, 0, 0.28 * k]))]


def _seat(rng: np.random.Generator, bones: np.ndarray, k: float, turn: np.ndarray) -> Item:
    """A block below the hips."""
    m = model()
    hips = (bones[m.bone("upperleg01.L")] + bones[m.bone("upperleg01.R")]) / 2
    top = max(hips[2] - 0.085 * k, 0.1)
    solid = box(np.zeros(3), np.array([rng.uniform(0.2, 0.45), 0.19, top / 2]))
    colour = rng.uniform(0.2, 0.6) * np.array([1.1, 1, 0.88])
    return _thing("seat", solid, colour, THING, turn, [hips[0], hips[1], top / 2] + turn @ [0, 0.06, 0])


def _figure(person: Identity, pose: Pose, yaw: float, owner: int, seed: int) -> Figure:
    """A person in a pose, standing on the floor at the origin."""
    m, ids = model(), person.face_points
    rot, bones = kinematics(person.heads, pose, yaw)
    posed = [skin(p.rest, p.weights, person.heads, rot, bones) for p in person.parts]
    face = skin(person.rest[ids], m.weights[ids], person.heads, rot, bones)
    low = min(v[:, 2].min() for p, v in zip(person.parts, posed, strict=True) if p.name in ("body", "shoe"))
    shift = -np.array([*bones[m.bone("spine03")][:2], low])
    bones, face = bones + shift, person.face_weights[:, ids] @ (face + shift)
    items = []
    for p, v in zip(person.parts, posed, strict=True):
        v = v + shift
        up = normals(v, p.tris, p.inc)
        items.append(Item(p.name, v, p.tris, up, p.base, owner, person, p.field, p.attributes, p.cull))
    turn, rng = spin(yaw), np.random.default_rng([15, seed])
    if pose.kind == "carry":
        items.append(_box(rng, bones, person.scale, turn, owner))
    elif pose.kind == "sit":
        items.append(_seat(rng, bones, person.scale, turn))
    elif pose.kind != "crouch":
        items += _handbag(person, bones, turn, owner)
    return Figure(items, bones, face)


def _obstacle(obstacle: Obstacle) -> list[Item]:
    (x, y), colour, size = obstacle.place, obstacle.colour, obstacle.size

    def round_thing(z: float, radii: tuple, power: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        return ellipsoid(np.array([x, y, z]), np.array(radii), power, n)

    def square_thing(z: float, half: tuple) -> tuple[np.ndarray, np.ndarray]:
        return box(np.array([x, y, z]), np.array(half))

    match obstacle.kind:
        case "pole":
            return [_thing("thing", round_thing(1.5, (0.05, 0.05, 2.4), 8, 10), colour)]
        case "bollard":
            return [_thing("thing", round_thing(0.4 * size, (0.1, 0.1, 0.45 * size), 5, 10), colour)]
        case "sign":
            return [_thing("thing", square_thing(0.45 * size, (0.25, 0.02, 0.42 * size)), colour * 0.5 + 0.4)]
    pot = _thing("thing", square_thing(0.18, (0.26, 0.2, 0.18)), np.array([0.55, 0.45, 0.38]))
    bush = round_thing(0.5 * size, (0.26, 0.2, 0.26), 2, 12)
    return [pot, _thing("bush", bush, np.array([0.22, 0.34, 0.14]))]


def _place(figure: Figure, p: Plan, cam: Camera) -> np.ndarray:
    """How far ``[3]`` a figure at the origin moves, so that it stands in the frame as the plan says."""
    body = np.concatenate([item.vertices for item in figure.items if item.name == "body"])
    x, root = cam.project(body)[:, 0], cam.project(figure.bones[:1])[0, 0]
    middle = cam.height // 2 * SS / 2 + p.shift * cam.height / 128 * SS
    offset = middle - (0.7 * (x.min() + x.max()) / 2 + 0.3 * root)
    return np.array([offset / cam.focal * np.linalg.norm(cam.origin), p.depth, 0])


def stage(p: Plan, cam: Camera) -> Stage:
    """Everything that stands before the camera of a plan."""
    seed, at = p.identity * VIEWS + p.view, model().bone
    person = _figure(identity(p.identity), p.pose, p.yaw, PERSON, seed)
    move = _place(person, p, cam)
    person = person.moved(move)
    items = list(person.items)
    feet = [(person.bones[at(f"foot.{s}")] + person.bones[at(f"toe1-1.{s}")]) / 2 for s in "LR"]
    if p.company:
        other = _figure(identity(p.company.number), p.company.pose, p.company.yaw, PASSER_BY, seed + 1)
        other = other.moved(move + np.array([*p.company.place, 0]))
        items += other.items
        feet += [other.bones[at(f"foot.{s}")] for s in "LR"]
    if cam.occluder:
        items += _obstacle(cam.occluder)
    return Stage(items, person, move, feet)
