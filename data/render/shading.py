"""From a plan to a picture: posed meshes, visibility, light and shadow, sensor, key points and mask."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from .backgrounds import irradiance
from .bodies import model
from .garments import Identity, identity
from .materials import paint
from .poses import Pose, kinematics, skin
from .raster import box, ellipsoid, incidence, nearest, noise, noise_gradient, normals, raster, spin
from .scene import SS, Camera, Plan, camera, plan

HEIGHTS = (128, 256)
JOINTS = (
    "nose",
    "neck",
    "Rsho",
    "Relb",
    "Rwri",
    "Lsho",
    "Lelb",
    "Lwri",
    "Rhip",
    "Rkne",
    "Rank",
    "Lhip",
    "Lkne",
    "Lank",
    "Reye",
    "Leye",
    "Rear",
    "Lear",
)
BONES = {
    2: "upperarm01.R",
    3: "lowerarm01.R",
    4: "wrist.R",
    5: "upperarm01.L",
    6: "lowerarm01.L",
    7: "wrist.L",
    8: "upperleg01.R",
    9: "lowerleg01.R",
    10: "foot.R",
    11: "upperleg01.L",
    12: "lowerleg01.L",
    13: "foot.L",
}
FACE = (
    0,
    14,
    15,
    16,
    17,
)  # in the order of Identity.face_weights: nose, right eye, left eye, right ear, left ear
BIAS = {"top": -0.002, "jacket": -0.004, "shoe": 0.003}  # metres: which of two touching layers is in front
SHADOW = 160  # size of the shadow map, which spans 2.6 m


@dataclass(frozen=True)
class Rendered:
    """One picture: uint8 [H,W,3]; `mask` the visible part of the person, `others` anything else that stands
    before the place (passer-by, seat, obstacle), bool [H,W]; `keypoints` float [18,2], x and y in pixels, NaN
    for what a detector would not see; `plan`.
    """

    image: np.ndarray
    mask: np.ndarray
    others: np.ndarray
    keypoints: np.ndarray
    plan: Plan


@dataclass
class _Item:
    """A mesh in the world. `owner`: 0 the person, 1 a passer-by, 2 a thing."""

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


def _thing(
    name: str, solid: tuple, owner: int, colour: np.ndarray, turn: np.ndarray | None = None, shift=(0, 0, 0)
) -> _Item:
    v, tris = solid
    w = (v if turn is None else v @ turn.T) + shift
    return _Item(name, w, tris, normals(w, tris, incidence(tris, len(w))), v, owner, colour=colour)


def _posed(
    person: Identity, pose: Pose, yaw: float, owner: int, seed: int
) -> tuple[list[_Item], np.ndarray, np.ndarray]:
    """Meshes of a posed person standing on the floor at the origin; bone heads [bones,3]; face points."""
    m, k = model(), person.scale
    rot, pos = kinematics(person.heads, pose, yaw)
    posed = [skin(p.rest, p.weights, person.heads, rot, pos) for p in person.parts]
    face_ids = person.face_points
    face = skin(person.rest[face_ids], m.weights[face_ids], person.heads, rot, pos)
    low = min(v[:, 2].min() for p, v in zip(person.parts, posed, strict=True) if p.name in ("body", "shoe"))
    shift = -np.array([*pos[m.bone("spine03")][:2], low])
    pos, face = pos + shift, person.face_weights[:, face_ids] @ (face + shift)
    items = []
    for p, v in zip(person.parts, posed, strict=True):
        v = v + shift
        items.append(
            _Item(
                p.name,
                v,
                p.tris,
                normals(v, p.tris, p.inc),
                p.base,
                owner,
                person,
                p.field,
                p.attributes,
                p.cull,
            )
        )
    turn, rng = spin(yaw), np.random.default_rng([15, seed])
    right, left, chest = (pos[m.bone(b)] for b in ("wrist.R", "wrist.L", "spine02"))
    if pose.kind == "carry":
        half = np.array(
            [
                np.linalg.norm(left - right) / 2 - 0.01,
                rng.uniform(0.10, 0.15) * k,
                rng.uniform(0.07, 0.14) * k,
            ]
        )
        centre = (left + right) / 2 + turn @ [0, -0.10 * k, half[2] * 0.4]
        colour = [
            np.array([0.66, 0.52, 0.36]),
            np.array([0.55, 0.42, 0.28]),
            np.array([0.3, 0.33, 0.4]),
            np.array([0.75, 0.73, 0.7]),
        ][rng.integers(4)]
        items.append(_thing("box", box(np.zeros(3), half), owner, colour, turn, centre))
    elif person.look.hand_bag and right[2] < chest[2] - 0.12 * k and pose.kind not in ("sit", "crouch"):
        bag = ellipsoid(np.zeros(3), np.array([0.05, 0.14, 0.13]) * k, 4)
        items.append(_thing("handbag", bag, owner, person.look.bag, turn, right - np.array([0, 0, 0.28 * k])))
    if pose.kind == "sit":
        hips = (pos[m.bone("upperleg01.L")] + pos[m.bone("upperleg01.R")]) / 2
        top = max(hips[2] - 0.085 * k, 0.1)
        solid = box(np.zeros(3), np.array([rng.uniform(0.2, 0.45), 0.19, top / 2]))
        items.append(
            _thing(
                "seat",
                solid,
                2,
                rng.uniform(0.2, 0.6) * np.array([1.1, 1, 0.88]),
                turn,
                [hips[0], hips[1], top / 2] + turn @ [0, 0.06, 0],
            )
        )
    return items, pos, face


def _obstacle(kind: str, place: tuple, colour: np.ndarray, size: float) -> list[_Item]:
    x, y = place
    at = lambda *z: np.array([x, y, *z])  # noqa: E731
    if kind == "pole":
        return [_thing("thing", ellipsoid(at(1.5), np.array([0.05, 0.05, 2.4]), 8, 10), 2, colour)]
    if kind == "bollard":
        return [
            _thing("thing", ellipsoid(at(0.4 * size), np.array([0.1, 0.1, 0.45 * size]), 5, 10), 2, colour)
        ]
    if kind == "sign":
        return [
            _thing("thing", box(at(0.45 * size), np.array([0.25, 0.02, 0.42 * size])), 2, colour * 0.5 + 0.4)
        ]
    return [
        _thing("thing", box(at(0.18), np.array([0.26, 0.2, 0.18])), 2, np.array([0.55, 0.45, 0.38])),
        _thing(
            "bush",
            ellipsoid(at(0.5 * size), np.array([0.26, 0.2, 0.26]), 2, 12),
            2,
            np.array([0.22, 0.34, 0.14]),
        ),
    ]


class _Shadow:
    """A shadow map seen from the sun."""

    def __init__(self, items: list[_Item], sun: np.ndarray, centre: np.ndarray):
        a = np.cross(sun, [0, 0, 1])
        a /= np.linalg.norm(a)
        self.turn, self.scale, self.centre = np.stack([a, np.cross(a, sun), -sun]), SHADOW / 2.6, centre
        self.depth = np.full(SHADOW * SHADOW, np.inf)
        for item in items:
            tris = item.tris if item.field is None else item.tris[(item.field[item.tris] > 0).all(1)]
            if item.name == "eye" or not len(tris):
                continue
            _, _, pixel, z = raster(self.project(item.vertices), tris, SHADOW, SHADOW)
            np.minimum.at(self.depth, pixel, z)
        self.depth = self.depth.reshape(SHADOW, SHADOW)

    def project(self, points: np.ndarray) -> np.ndarray:
        q = (points - self.centre) @ self.turn.T
        return np.concatenate([q[:, :2] * self.scale + SHADOW / 2, q[:, 2:] + 5], 1)

    def at(self, points: np.ndarray) -> np.ndarray:
        """How much of the sun is hidden at points [n,3], 0..1, over 3x3 cells."""
        q = self.project(points)
        total = 0.0
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                x = np.clip((q[:, 0] + 0.9 * dx).astype(int), 0, SHADOW - 1)
                y = np.clip((q[:, 1] + 0.9 * dy).astype(int), 0, SHADOW - 1)
                total = total + (self.depth[y, x] < q[:, 2] - 0.02)
        return total / 9


def _ambient_occlusion(depth: np.ndarray, far: float) -> np.ndarray:
    z = np.where(np.isfinite(depth), depth, far)
    h, total = z.shape[0], 0.0
    for radius in (int(h * 0.012) + 1, int(h * 0.03) + 1):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)):
            d = z - np.roll(z, (round(dy * radius), round(dx * radius)), (0, 1))
            total = total + np.where((d > 0.01) & (d < 0.35), np.clip(d / 0.08, 0, 1), 0)
    return 1 - 0.6 * total / 16


def _visible(items: list[_Item], cam: Camera, width: int, height: int):
    """The nearest fragment per pixel: pixel index, depth, item, triangle [n,3], barycentrics [n,3]."""
    pixels, depths, which, corners, weights = [], [], [], [], []
    for i, item in enumerate(items):
        f, b, pixel, z = raster(cam.project(item.vertices), item.tris, width, height, item.cull)
        t = item.tris[f]
        if item.field is not None:
            keep = (item.field[t] * b).sum(1) > 0
            t, b, pixel, z = t[keep], b[keep], pixel[keep], z[keep]
        pixels.append(pixel)
        depths.append(z + BIAS.get(item.name, 0))
        which.append(np.full(len(z), i))
        corners.append(t)
        weights.append(b)
    pixel, depth = np.concatenate(pixels), np.concatenate(depths)
    best = nearest(pixel, depth, width * height)
    best = best[best >= 0]
    return (
        pixel[best],
        depth[best],
        np.concatenate(which)[best],
        np.concatenate(corners)[best],
        np.concatenate(weights)[best],
    )


def _shade(
    items: list[_Item], cam: Camera, seen: tuple, shadow: _Shadow, ao: np.ndarray, seed: int
) -> np.ndarray:
    """Linear light [n,3] of the visible fragments."""
    _, _, which, corner, weight = seen
    n = len(which)
    place, normal, base = np.zeros((n, 3)), np.zeros((n, 3)), np.zeros((n, 3))
    colour, gloss, folds = np.zeros((n, 3)), np.zeros(n), np.zeros(n)
    for i, item in enumerate(items):
        sel = np.nonzero(which == i)[0]
        if not len(sel):
            continue
        t, b = corner[sel], weight[sel]
        mix = lambda values, t=t, b=b: np.einsum("nk,nkc->nc", b, values[t])  # noqa: E731
        place[sel], normal[sel], base[sel] = mix(item.vertices), mix(item.normals), mix(item.base)
        if item.colour is None:
            colour[sel], gloss[sel], folds[sel] = paint(
                item.person, item.name, base[sel], mix(item.attributes)
            )
        else:
            bushy = item.name == "bush"
            grain = noise(base[sel], 22 if bushy else 14, seed, 3) - 0.5
            colour[sel] = item.colour * (1 + (1.6 if bushy else 0.2) * grain)[:, None]
            folds[sel] = 4.0 if bushy else 0.5 if item.name == "handbag" else 0.0
    towards = cam.origin - place
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    normal = np.where((normal * towards).sum(1, keepdims=True) < 0, -normal, normal)
    bend = np.nonzero(folds)[0]
    p = base[bend] * [1, 1, 0.75]
    slope = noise_gradient(p, 11, seed) * 11 + 0.35 * noise_gradient(p * [1, 1, 1.6], 26, seed + 9) * 26
    nb = normal[bend]
    normal[bend] = nb - (slope - (slope * nb).sum(1, keepdims=True) * nb) * (folds[bend] * 0.06)[:, None]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    shade = shadow.at(place + normal * 0.012)
    lit = np.clip(normal @ cam.sun, 0, 1) * (1 - shade) * cam.light.sun_strength
    ambient = irradiance(cam.light.harmonics, normal, cam.light_yaw)
    fill = 0.16 * ambient.mean() * np.clip((normal * towards).sum(1), 0, 1)
    low = np.clip(0.75 + place[:, 2] * 0.25, 0, 1)
    light = (ambient + fill[:, None]) * (ao * low)[:, None] + lit[:, None] * [1.04, 1, 0.93]
    half = cam.sun + towards
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = gloss * np.clip((normal * half).sum(1), 0, 1) ** 20 * (1 - shade) * cam.light.sun_strength
    return np.clip(colour, 0.01, 0.97) ** 2.2 * light + shine[:, None]


def _floor_light(cam: Camera, shadow: _Shadow, feet: list[np.ndarray]) -> np.ndarray:
    """Factor [H*W] by which the persons darken the floor."""
    out = np.ones(len(cam.floor))
    near = np.nonzero(cam.floor & (np.abs(cam.points[:, 0]) < 1.8) & (np.abs(cam.points[:, 1]) < 2))[0]
    p = cam.points[near]
    shade = shadow.at(p)
    sky = irradiance(cam.light.harmonics, np.array([[0, 0, 1.0]]), cam.light_yaw).mean()
    sun = cam.light.sun_strength * cam.sun[2]
    contact = sum(
        np.exp(-((p[:, 0] - f[0]) ** 2 + (p[:, 1] - f[1]) ** 2) / 0.03) * np.exp(-max(f[2] - 0.06, 0) * 8)
        for f in feet
    )
    out[near] = (
        (sky + sun * (1 - shade)) / (sky + sun) * (1 - 0.55 * np.clip(contact, 0, 1)) * (1 - 0.25 * shade)
    )
    return out


def _develop(light: np.ndarray, cam: Camera, rng: np.random.Generator) -> np.ndarray:
    """Linear light [h,w,3] -> sRGB bytes: exposure and tone curve of the camera, lens blur, sensor noise."""
    x = np.clip(light * cam.cast * cam.exposure, 0, None)
    x = np.clip(x * (1 + x / 4) / (1 + 0.55 * x), 0, 1) ** (1 / 2.2)
    sigma = cam.blur * cam.height / 128
    x = gaussian_filter(x, (sigma, sigma, 0))
    x = np.clip((x - 0.5) * cam.contrast + 0.5, 0, 1) ** cam.gamma
    return (np.clip(x + rng.normal(0, cam.noise, x.shape), 0, 1) * 255 + 0.5).astype(np.uint8)


def _keypoints(
    cam: Camera, pos: np.ndarray, face: np.ndarray, depth: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """[18,2] in picture pixels. NaN: outside the frame; a face point behind anything; a joint behind
    another's body or a thing. `depth` [H,W] is of the nearest surface, `other` says where that is not the
    person.
    """
    m, h, w = model(), *depth.shape
    world = np.zeros((18, 3))
    for j, bone in BONES.items():
        world[j] = pos[m.bone(bone)]
    world[list(FACE)] = face
    world[1] = (world[2] + world[5]) / 2
    q = cam.project(world)
    out = q[:, :2] / SS - 0.5
    for j, (x, y, z) in enumerate(q):
        column, row = round(float(out[j, 0])), round(float(out[j, 1]))
        hidden = not (0 <= column < w // SS and 0 <= row < h // SS)
        if not hidden:
            x, y = min(max(int(x), 0), w - 1), min(max(int(y), 0), h - 1)
            around = depth[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            around = around[np.isfinite(around)]
            front = np.median(around) if len(around) else np.inf
            hidden = front < z - (0.05 if j in FACE else 0.12) and (j in FACE or bool(other[y, x]))
        if hidden:
            out[j] = np.nan
    return out


def render(number: int, view: int, height: int = 128) -> Rendered:
    """Draws view 0..19 of an identity, `height` x `height // 2` pixels (128 or 256).

    A pure function of its arguments. Raises ValueError for a negative identity, a view outside 0..19 or
    another height, FileNotFoundError when the body data are not installed.
    """
    if height not in HEIGHTS:
        raise ValueError(f"height must be one of {HEIGHTS} (the width is half of it), got {height}")
    p = plan(number, view)
    cam = camera(number, p.camera, height)
    person, m = identity(number), model()
    seed, tall, wide = number * 20 + view, height * SS, height // 2 * SS
    items, pos, face = _posed(person, p.pose, p.yaw, 0, seed)
    own = np.concatenate([i.vertices for i in items if i.name == "body"])
    x = cam.project(own)[:, 0]
    offset = (
        wide / 2
        + p.shift * height / 128 * SS
        - (0.7 * (x.min() + x.max()) / 2 + 0.3 * cam.project(pos[:1])[0, 0])
    )
    move = np.array([offset / cam.focal * np.linalg.norm(cam.origin), p.depth, 0])
    for item in items:
        item.vertices = item.vertices + move
    pos, face = pos + move, face + move
    feet = [(pos[m.bone(f"foot.{s}")] + pos[m.bone(f"toe1-1.{s}")]) / 2 for s in "LR"]
    if p.company:
        others, other_pos, _ = _posed(identity(p.company.number), p.company.pose, p.company.yaw, 1, seed + 1)
        step = move + np.array([*p.company.place, 0])
        for item in others:
            item.vertices = item.vertices + step
        items += others
        feet += [other_pos[m.bone(f"foot.{s}")] + step for s in "LR"]
    if cam.occluder:
        items += _obstacle(*cam.occluder)
    seen = _visible(items, cam, wide, tall)
    pixel, depth, which = seen[:3]
    owner = np.array([i.owner for i in items])[which]
    buffer = np.full(wide * tall, np.inf)
    buffer[pixel] = depth
    buffer = buffer.reshape(tall, wide)
    shadow = _Shadow(items, cam.sun, np.array([move[0], move[1], 0.9]))
    ao = _ambient_occlusion(buffer, float(np.linalg.norm(cam.origin)) + 3).ravel()[pixel]
    light = cam.background * _floor_light(cam, shadow, feet)[:, None]
    light = gaussian_filter(light.reshape(tall, wide, 3), (SS * 0.45, SS * 0.45, 0)).reshape(-1, 3)
    light[pixel] = _shade(items, cam, seen, shadow, ao, seed)

    def down(a: np.ndarray) -> np.ndarray:
        return a.reshape(height, SS, height // 2, SS, -1).mean((1, 3))

    mask, rest = np.zeros(wide * tall), np.zeros(wide * tall)
    mask[pixel[owner == 0]] = 1
    rest[pixel[owner != 0]] = 1
    image = _develop(down(light), cam, np.random.default_rng([16, number, view, height]))
    points = _keypoints(cam, pos, face, buffer, rest.reshape(tall, wide) > 0)
    return Rendered(image, down(mask)[..., 0] > 0.5, down(rest)[..., 0] > 0.5, points, p)
