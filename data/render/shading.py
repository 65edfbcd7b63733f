"""From a plan to a picture: visibility, light and shadow, sensor, key points and mask."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from sdgan_lib.errors import UserError
from sdgan_lib.pose import FACE, JOINT, JOINTS

from .backgrounds import irradiance
from .bodies import model
from .materials import paint
from .raster import nearest, noise, noise_gradient, raster
from .scene import SS, VIEWS, Camera, Plan, camera, plan
from .stage import PERSON, Item, stage

HEIGHTS = (128, 256)
"""Heights of pictures that can be drawn, in pixels."""
BONES = {
    "Rsho": "upperarm01.R",
    "Relb": "lowerarm01.R",
    "Rwri": "wrist.R",
    "Lsho": "upperarm01.L",
    "Lelb": "lowerarm01.L",
    "Lwri": "wrist.L",
    "Rhip": "upperleg01.R",
    "Rkne": "lowerleg01.R",
    "Rank": "foot.R",
    "Lhip": "upperleg01.L",
    "Lkne": "lowerleg01.L",
    "Lank": "foot.L",
}
"""The bone at whose head a joint lies."""
BIAS = {"top": -0.002, "jacket": -0.004, "shoe": 0.003}
"""Metres by which a layer seems nearer than it is: says which of two that touch is in front."""
SHADOW = 160
"""Size of the shadow map, which spans 2.6 m."""


@dataclass(frozen=True)
class Rendered:
    """One picture, H pixels high and W = H / 2 wide.

    ``image`` is uint8 ``[H, W, 3]``; ``mask`` the visible part of the person, ``others`` anything else that stands
    before the place (passer-by, seat, obstacle), bool ``[H, W]``; ``keypoints`` float ``[18, 2]``, x and y in pixels,
    NaN for what a detector would not see.
    """

    image: np.ndarray
    mask: np.ndarray
    others: np.ndarray
    keypoints: np.ndarray
    plan: Plan


class _Shadow:
    """A shadow map seen from the sun.

    Args:
        items: what throws shadows.
        sun: unit direction ``[3]`` of the sun.
        centre: the middle of the map, ``[3]`` in metres.
    """

    def __init__(self, items: list[Item], sun: np.ndarray, centre: np.ndarray):
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
        """World points ``[n, 3]`` as x, y in cells of the map and depth in metres."""
        q = (points - self.centre) @ self.turn.T
        return np.concatenate([q[:, :2] * self.scale + SHADOW / 2, q[:, 2:] + 5], 1)

    def at(self, points: np.ndarray) -> np.ndarray:
        """How much of the sun is hidden at points ``[n, 3]``: ``[n]``, 0..1, over 3x3 cells."""
        q = self.project(points)
        total = 0.0
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                x = np.clip((q[:, 0] + 0.9 * dx).astype(int), 0, SHADOW - 1)
                y = np.clip((q[:, 1] + 0.9 * dy).astype(int), 0, SHADOW - 1)
                total = total + (self.depth[y, x] < q[:, 2] - 0.02)
        return total / 9


def _ambient_occlusion(depth: np.ndarray, far: float) -> np.ndarray:
    """How much of the sky pixels see, ``[H, W]``, 0.4..1, by their depth; ``far`` is that of pixels without one."""
    z = np.where(np.isfinite(depth), depth, far)
    h, total = z.shape[0], 0.0
    for radius in (int(h * 0.012) + 1, int(h * 0.03) + 1):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7)):
            d = z - np.roll(z, (round(dy * radius), round(dx * radius)), (0, 1))
            total = total + np.where((d > 0.01) & (d < 0.35), np.clip(d / 0.08, 0, 1), 0)
    return 1 - 0.6 * total / 16


class _Seen(NamedTuple):
    """The nearest fragment of each pixel that shows one: n pixels, their depths, items, triangles, barycentrics."""

    pixel: np.ndarray
    depth: np.ndarray
    item: np.ndarray
    corners: np.ndarray
    weights: np.ndarray


def _visible(items: list[Item], cam: Camera, height: int, width: int) -> _Seen:
    """What a camera sees of meshes, in super-sampled pixels."""
    found = []
    for i, item in enumerate(items):
        face, weights, pixel, depth = raster(cam.project(item.vertices), item.tris, width, height, item.cull)
        corners = item.tris[face]
        depth, which = depth + BIAS.get(item.name, 0), np.full(len(depth), i)
        if item.field is not None:
            keep = (item.field[corners] * weights).sum(1) > 0
            pixel, depth, which, corners, weights = (v[keep] for v in (pixel, depth, which, corners, weights))
        found.append((pixel, depth, which, corners, weights))
    seen = _Seen(*map(np.concatenate, zip(*found, strict=True)))
    best = nearest(seen.pixel, seen.depth, width * height)
    best = best[best >= 0]
    return _Seen(*(v[best] for v in seen))


class _Surface(NamedTuple):
    """What fragments are made of: place, normal and pattern place, colour ``[n, 3]``; gloss and folds ``[n]``."""

    place: np.ndarray
    normal: np.ndarray
    base: np.ndarray
    colour: np.ndarray
    gloss: np.ndarray
    folds: np.ndarray


def _surface(items: list[Item], seen: _Seen, seed: int) -> _Surface:
    n = len(seen.item)
    out = _Surface(*(np.zeros((n, 3)) for _ in range(4)), np.zeros(n), np.zeros(n))
    for i, item in enumerate(items):
        at = np.nonzero(seen.item == i)[0]
        if not len(at):
            continue
        corners, weights = seen.corners[at], seen.weights[at]

        def mix(values: np.ndarray, corners=corners, weights=weights) -> np.ndarray:
            return np.einsum("nk,nkc->nc", weights, values[corners])

        out.place[at], out.normal[at], base = mix(item.vertices), mix(item.normals), mix(item.base)
        out.base[at] = base
        if item.colour is None:
            out.colour[at], out.gloss[at], out.folds[at] = paint(
                item.person, item.name, base, mix(item.attributes)
            )
        else:
            bushy = item.name == "bush"
            grain = noise(base, 22 if bushy else 14, seed, 3) - 0.5
            out.colour[at] = item.colour * (1 + (1.6 if bushy else 0.2) * grain)[:, None]
            out.folds[at] = 4.0 if bushy else 0.5 if item.name == "handbag" else 0.0
    return out


def _folded(normal: np.ndarray, base: np.ndarray, folds: np.ndarray, seed: int) -> np.ndarray:
    """Unit normals ``[n, 3]`` bent by the folds of cloth."""
    bend = np.nonzero(folds)[0]
    p = base[bend] * [1, 1, 0.75]
    slope = noise_gradient(p, 11, seed) * 11 + 0.35 * noise_gradient(p * [1, 1, 1.6], 26, seed + 9) * 26
    flat = normal[bend]
    normal[bend] = (
        flat - (slope - (slope * flat).sum(1, keepdims=True) * flat) * (folds[bend] * 0.06)[:, None]
    )
    return normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)


def _shade(surface: _Surface, cam: Camera, shadow: _Shadow, occlusion: np.ndarray, seed: int) -> np.ndarray:
    """Linear light ``[n, 3]`` of the visible fragments; ``occlusion`` ``[n]`` is how much of the sky they see."""
    place, normal = surface.place, surface.normal
    towards = cam.origin - place
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    normal = np.where((normal * towards).sum(1, keepdims=True) < 0, -normal, normal)
    normal = _folded(normal, surface.base, surface.folds, seed)
    shade = shadow.at(place + normal * 0.012)
    lit = np.clip(normal @ cam.sun, 0, 1) * (1 - shade) * cam.light.sun_strength
    ambient = irradiance(cam.light.harmonics, normal, cam.light_yaw)
    fill = 0.16 * ambient.mean() * np.clip((normal * towards).sum(1), 0, 1)
    low = np.clip(0.75 + place[:, 2] * 0.25, 0, 1)
    light = (ambient + fill[:, None]) * (occlusion * low)[:, None] + lit[:, None] * [1.04, 1, 0.93]
    half = cam.sun + towards
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = surface.gloss * np.clip((normal * half).sum(1), 0, 1) ** 20 * (1 - shade) * cam.light.sun_strength
    return np.clip(surface.colour, 0.01, 0.97) ** 2.2 * light + shine[:, None]


def _floor_light(cam: Camera, shadow: _Shadow, feet: list[np.ndarray]) -> np.ndarray:
    """Factor ``[H * W]`` by which the persons darken the floor."""
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
    """Linear light ``[H, W, 3]`` as sRGB bytes: exposure and tone curve of the camera, lens blur, sensor noise."""
    x = np.clip(light * cam.cast * cam.exposure, 0, None)
    x = np.clip(x * (1 + x / 4) / (1 + 0.55 * x), 0, 1) ** (1 / 2.2)
    sigma = cam.blur * cam.height / 128
    x = gaussian_filter(x, (sigma, sigma, 0))
    x = np.clip((x - 0.5) * cam.contrast + 0.5, 0, 1) ** cam.gamma
    return (np.clip(x + rng.normal(0, cam.noise, x.shape), 0, 1) * 255 + 0.5).astype(np.uint8)


def _world_joints(bones: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The 18 joints in the world, ``[18, 3]``, from bone heads ``[bones, 3]`` and face points ``[5, 3]``."""
    world = np.zeros((len(JOINTS), 3))
    for joint, bone in BONES.items():
        world[JOINT[joint]] = bones[model().bone(bone)]
    world[list(FACE)] = face
    world[JOINT["neck"]] = (world[JOINT["Rsho"]] + world[JOINT["Lsho"]]) / 2
    return world


def _keypoints(cam: Camera, world: np.ndarray, depth: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Joints ``[18, 2]`` in picture pixels, NaN where a detector would not see them.

    That is outside the frame, for a face point behind anything, for any other behind another's body or a thing.

    Args:
        cam: the camera.
        world: the joints, ``[18, 3]``.
        depth: of the nearest surface in each super-sampled pixel, ``[H, W]``.
        other: where that surface is not the person, bool ``[H, W]``.
    """
    h, w = depth.shape
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


def _down(samples: np.ndarray, height: int) -> np.ndarray:
    """The mean ``[height, height / 2, C]`` of all samples of each pixel."""
    return samples.reshape(height, SS, height // 2, SS, -1).mean((1, 3))


def render(number: int, view: int, height: int = 128) -> Rendered:
    """Draw one view of an identity: a pure function of its arguments.

    Args:
        number: the identity, >= 0.
        view: 0..19.
        height: 128 or 256 pixels; the width is half of it.

    Raises:
        UserError: for a negative identity, a view outside 0..19 or another height, and where body data are missing.
    """
    if height not in HEIGHTS:
        raise UserError(f"height must be one of {HEIGHTS} (the width is half of it), got {height}")
    p = plan(number, view)
    cam = camera(number, p.camera, height)
    seed, tall, wide = number * VIEWS + view, height * SS, height // 2 * SS
    on = stage(p, cam)
    seen = _visible(on.items, cam, tall, wide)
    depth = np.full(wide * tall, np.inf)
    depth[seen.pixel] = seen.depth
    depth = depth.reshape(tall, wide)
    shadow = _Shadow(on.items, cam.sun, np.array([*on.place[:2], 0.9]))
    occlusion = _ambient_occlusion(depth, float(np.linalg.norm(cam.origin)) + 3).ravel()[seen.pixel]
    light = cam.background * _floor_light(cam, shadow, on.feet)[:, None]
    light = gaussian_filter(light.reshape(tall, wide, 3), (SS * 0.45, SS * 0.45, 0)).reshape(-1, 3)
    light[seen.pixel] = _shade(_surface(on.items, seen, seed), cam, shadow, occlusion, seed)
    own = np.array([item.owner == PERSON for item in on.items])[seen.item]
    mask, others = np.zeros(wide * tall), np.zeros(wide * tall)
    mask[seen.pixel[own]] = 1
    others[seen.pixel[~own]] = 1
    joints = _world_joints(on.person.bones, on.person.face)
    return Rendered(
        image=_develop(_down(light, height), cam, np.random.default_rng([16, number, view, height])),
        mask=_down(mask, height)[..., 0] > 0.5,
        others=_down(others, height)[..., 0] > 0.5,
        keypoints=_keypoints(cam, joints, depth, others.reshape(tall, wide) > 0),
        plan=p,
    )
