"""Scenes: the camera, place, light, pose and company of each view, all from (identity, view) alone."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .backgrounds import Panorama, irradiance, look_up, names, panorama
from .draws import colour
from .garments import identity
from .poses import COMMON, SPECIAL, Pose, random_pose
from .raster import noise
from .streets import street

CAMERAS, FRAMES = 4, 5
VIEWS = CAMERAS * FRAMES
PASSER_BY, OCCLUDER, SPECIAL_FRAME, STREET = (
    0.045,
    0.035,
    0.32,
    0.42,
)  # shares of frames, cameras, cameras, cameras
STRANGERS = 100_000  # passers-by are identities from this number on, so never one of the data set's
SS = 3  # samples per pixel and axis


@dataclass(frozen=True)
class Company:
    """A passer-by: identity number, pose, heading in radians, place on the floor (x, y) in metres."""

    number: int
    pose: Pose
    yaw: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """What happens in one view. `yaw` is the heading in radians: 0 towards the camera, growing
    counter-clockwise seen from above; `shift` moves the person in the frame (pixels at 128x64), `depth` away
    from the camera (m).
    """

    identity: int
    view: int
    camera: int
    frame: int
    pose: Pose
    yaw: float
    shift: float
    depth: float
    company: Company | None


@dataclass(frozen=True)
class Camera:
    """Camera and place of one identity and camera number, at one picture height. Pictures are 2:1; all sizes
    in super-sampled pixels. `background` is linear light [H*W,3]; `floor` [H*W] and `points` [H*W,3] say what
    is hit.
    """

    height: int
    origin: np.ndarray
    turn: np.ndarray
    focal: float
    centre: np.ndarray
    light: Panorama
    light_yaw: float
    sun: np.ndarray
    background: np.ndarray
    floor: np.ndarray
    points: np.ndarray
    exposure: float
    contrast: float
    gamma: float
    blur: float
    noise: float
    cast: np.ndarray
    occluder: tuple | None

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points [n,3] -> x, y in super-sampled pixels and depth in metres."""
        q = (points - self.origin) @ self.turn.T
        return np.concatenate([q[:, :2] / q[:, 2:] * self.focal + self.centre, q[:, 2:]], 1)


def check_view(number: int, view: int) -> None:
    if number < 0 or number != int(number):
        raise ValueError(f"identity must be a whole number >= 0, got {number}")
    if not 0 <= view < VIEWS or view != int(view):
        raise ValueError(
            f"view must be a whole number in 0..{VIEWS - 1} (5 frames of each of 4 cameras), got {view}"
        )


@lru_cache(maxsize=4)
def _schedule(number: int) -> tuple[list[str], list[float], list[float], list[str], list[bool]]:
    """Per identity: kind of pose, heading and gait phase of each view; panorama and street flag of each
    camera.
    """
    rng = np.random.default_rng([14, number])
    kinds, yaws, phases = [], [], []
    start, slip = rng.uniform(0, 2 * np.pi), rng.permutation(CAMERAS)
    for camera in range(CAMERAS):
        kind = [str(k) for k in rng.permutation(COMMON)[:FRAMES]]
        if "walk" not in kind:
            kind[0] = "walk"
        if rng.random() < SPECIAL_FRAME:
            kind[int(rng.integers(FRAMES))] = str(rng.choice(SPECIAL))
        order, phase = rng.permutation(FRAMES), rng.uniform(0, 2 * np.pi)
        for i in range(FRAMES):
            turn = order[i] / FRAMES + slip[camera] / VIEWS
            yaws.append(float(np.mod(start + 2 * np.pi * turn + rng.uniform(-0.12, 0.12), 2 * np.pi)))
            phases.append(float(phase + 2 * np.pi * i / FRAMES))
        kinds += kind
    places = [str(n) for n in rng.permutation(names())[:CAMERAS]]
    return kinds, yaws, phases, places, [bool(x) for x in rng.random(CAMERAS) < STREET]


def place_name(number: int, index: int) -> str:
    """Where camera 1..4 of an identity stands: a panorama's name, or `street lit by` one."""
    *_, places, streets = _schedule(number)
    return ("street lit by " if streets[index - 1] else "") + places[index - 1]


def plan(number: int, view: int) -> Plan:
    """The plan of one view; raises ValueError for a negative identity or a view outside 0..19."""
    check_view(number, view)
    kinds, yaws, phases, _, _ = _schedule(number)
    rng = np.random.default_rng([13, number, view])
    pose = random_pose(kinds[view], rng, phases[view])
    company = None
    if rng.random() < PASSER_BY:
        side, ahead = rng.choice([-1, 1]), rng.random() < 0.4
        place = (
            (side * rng.uniform(0.3, 0.45), -rng.uniform(0.7, 0.95))
            if ahead
            else (side * rng.uniform(0.25, 0.6), rng.uniform(0.6, 1.6))
        )
        other = random_pose(str(rng.choice(["walk", "walk", "stand", "phone"])), rng)
        company = Company(
            STRANGERS + int(rng.integers(10_000)), other, float(rng.uniform(0, 2 * np.pi)), place
        )
    return Plan(
        number,
        view,
        view // FRAMES + 1,
        view % FRAMES + 1,
        pose,
        yaws[view],
        float(rng.normal(0, 1.3)),
        float(rng.uniform(-0.15, 0.15)),
        company,
    )


@lru_cache(maxsize=2)
def camera(number: int, index: int, height: int) -> Camera:
    """The camera with index 1..4 of an identity, for pictures `height` pixels high."""
    _, _, _, places, streets = _schedule(number)
    rng = np.random.default_rng([12, number, index])
    u = rng.uniform
    tall = identity(number).height
    size_y, size_x = height * SS, height // 2 * SS
    origin = np.array([rng.normal(0, 0.3), -u(3.2, 5.0), u(1.1, 2.6)])
    forward = np.array([0, 0, tall * 0.5]) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    q = (np.array([[0, 0, 0], [0, 0, tall]]) - origin) @ turn.T
    uv = q[:, :2] / q[:, 2:]
    focal = size_y * u(0.78, 0.86) / (uv[0, 1] - uv[1, 1])
    centre = np.array([size_x / 2 - focal * uv[0, 0], size_y * u(0.925, 0.955) - focal * uv[0, 1]])
    light = panorama(places[index - 1])
    # Turn the place so that its sun stands rather behind the camera than behind the person.
    azimuth = np.arctan2(light.sun[0], -light.sun[1])
    yaw = u(-np.pi, np.pi) if light.sun_strength < 0.3 else u(-1.75, 1.75) - azimuth
    c, s = np.cos(yaw), np.sin(yaw)
    sun = np.array(
        [light.sun[0] * c - light.sun[1] * s, light.sun[0] * s + light.sun[1] * c, max(light.sun[2], 0.25)]
    )
    sun /= np.linalg.norm(sun)
    yy, xx = np.mgrid[0:size_y, 0:size_x] + 0.5
    rays = (
        np.stack([(xx - centre[0]) / focal, (yy - centre[1]) / focal, np.ones_like(xx)], -1).reshape(-1, 3)
        @ turn
    )
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    up = irradiance(light.harmonics, np.array([[0, 0, 1.0]]), yaw)[0] + light.sun_strength * sun[2]
    if streets[index - 1]:
        albedo, points, floor = street(rng, origin, rays)
        back = irradiance(light.harmonics, np.array([[0, -1.0, 0]]), yaw)[0] + light.sun_strength * max(
            0, -sun[1]
        )
        background = albedo**2.2 * np.where(floor[:, None], up, back)
    else:
        floor = rays[:, 2] < -0.02
        t = np.where(floor, -origin[2] / np.minimum(rays[:, 2], -0.02), 1e3)
        points = origin + rays * t[:, None]
        far = np.hypot(points[:, 0], points[:, 1]) > 14
        eye = np.array([u(-0.8, 0.8), -u(2.2, 3.5), 1.6])
        towards = np.where(
            (floor & ~far)[:, None], points - eye, rays * 14 + origin - eye - [0, 0, origin[2] - 1.6]
        )
        background = look_up(light.picture, towards, yaw)
        seed = int(rng.integers(1000))
        detail = (noise(points, 30, seed) - 0.5) * 0.20 + (noise(points, 9, seed) - 0.5) * 0.14
        background = background * np.where(floor, 1 + detail, 1)[:, None]
    person = (
        irradiance(light.harmonics, np.array([[0, -1.0, 0], [0, -0.7, 0.7]]), yaw).mean()
        + 0.5 * light.sun_strength
    )
    exposure = u(0.30, 0.38) / (0.35 * np.minimum(background, 1.5 * person).mean() + 0.65 * 0.24 * person)
    occluder = None
    if rng.random() < OCCLUDER:
        kind = str(rng.choice(["pole", "bollard", "planter", "sign"]))
        place = (float(rng.choice([-1, 1]) * u(0.05, 0.3)), -u(0.75, 1.1))
        occluder = (kind, place, colour(rng, (0, 1), (0, 0.5), (0.15, 0.6)), float(u(0.85, 1.15)))
    return Camera(
        height,
        origin,
        turn,
        focal,
        centre,
        light,
        yaw,
        sun,
        background,
        floor,
        points,
        float(exposure),
        u(0.94, 1.1),
        u(0.9, 1.08),
        u(0.2, 0.45),
        u(0.003, 0.009),
        1 + rng.normal(0, 0.025, 3),
        occluder,
    )
