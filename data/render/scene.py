"""Scenes: the camera, place, light, pose and company of each view, all from (identity, view) alone."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sdgan_lib.errors import UserError

from .backgrounds import Panorama, irradiance, look_up, names, panorama
from .draws import colour
from .garments import identity
from .poses import COMMON, SPECIAL, Pose, random_pose
from .raster import noise, spin
from .streets import street

CAMERAS, FRAMES = 4, 5
VIEWS = CAMERAS * FRAMES
PASSER_BY = 0.045
"""Share of the views in which somebody passes by."""
OCCLUDER, SPECIAL_FRAME, STREET = 0.035, 0.32, 0.42
"""Shares of the cameras that have an obstacle, one frame with a special pose, a street for a place."""
STRANGERS = 100_000
"""Passers-by are identities from this number on, so never one of the data set's."""
SS = 3
"""Samples per pixel and axis."""


@dataclass(frozen=True)
class Company:
    """A passer-by: number as an identity, pose, heading in radians, place on the floor (x, y) in metres."""

    number: int
    pose: Pose
    yaw: float
    place: tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """What happens in one view.

    ``yaw`` is the heading in radians: 0 towards the camera, growing counter-clockwise seen from above; ``shift``
    moves the person in the frame (pixels at 128x64), ``depth`` away from the camera (metres).
    """

    identity: int
    view: int
    camera: int
    pose: Pose
    yaw: float
    shift: float
    depth: float
    company: Company | None


class Obstacle(NamedTuple):
    """Something that stands before the person: its kind, place on the floor (x, y), colour and size (1: usual)."""

    kind: str
    place: tuple[float, float]
    colour: np.ndarray
    size: float


@dataclass(frozen=True)
class Lens:
    """Where a camera stands and how it looks; all sizes in super-sampled pixels.

    ``origin`` is its place ``[3]`` in metres; the rows of ``turn`` ``[3, 3]`` are right, down and forward; ``centre``
    ``[2]`` is where the line of sight meets the picture.
    """

    height: int
    origin: np.ndarray
    turn: np.ndarray
    focal: float
    centre: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points ``[n, 3]`` as x, y in super-sampled pixels and depth in metres, ``[n, 3]``."""
        q = (points - self.origin) @ self.turn.T
        return np.concatenate([q[:, :2] / q[:, 2:] * self.focal + self.centre, q[:, 2:]], 1)

    def rays(self) -> np.ndarray:
        """The unit directions ``[H * W, 3]`` of all super-sampled pixels."""
        yy, xx = np.mgrid[0 : self.height * SS, 0 : self.height // 2 * SS] + 0.5
        (x, y), focal = self.centre, self.focal
        rays = np.stack([(xx - x) / focal, (yy - y) / focal, np.ones_like(xx)], -1).reshape(-1, 3) @ self.turn
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)


@dataclass(frozen=True)
class Camera(Lens):
    """Camera and place of one identity and camera number, at one picture height.

    ``height`` is the picture's, in pixels; pictures are half as wide. ``background`` is linear light ``[H * W, 3]``;
    ``floor`` ``[H * W]`` and ``points`` ``[H * W, 3]`` say what the super-sampled pixels show. ``exposure`` to
    ``cast`` are the sensor's.
    """

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
    occluder: Obstacle | None


def check_view(number: int, view: int) -> None:
    """Raise a ``UserError`` for a negative identity or a view outside 0..19."""
    if number < 0 or number != int(number):
        raise UserError(f"identity must be a whole number >= 0, got {number}")
    if not 0 <= view < VIEWS or view != int(view):
        raise UserError(
            f"view must be a whole number in 0..{VIEWS - 1} (5 frames of each of 4 cameras), got {view}"
        )


class _Schedule(NamedTuple):
    """Of one identity: kind of pose, heading and gait phase (radians) of each view; place of each camera.

    A place is a panorama; where ``streets`` says so, the panorama only lights a street drawn by formula.
    """

    kinds: list[str]
    yaws: list[float]
    phases: list[float]
    panoramas: list[str]
    streets: list[bool]


@lru_cache(maxsize=4)
def _schedule(number: int) -> _Schedule:
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
    return _Schedule(kinds, yaws, phases, places, [bool(x) for x in rng.random(CAMERAS) < STREET])


def place_name(number: int, index: int) -> str:
    """Where camera 1..4 of an identity stands: a panorama's name, or ``street lit by`` one."""
    schedule = _schedule(number)
    return ("street lit by " if schedule.streets[index - 1] else "") + schedule.panoramas[index - 1]


def _company(rng: np.random.Generator) -> Company | None:
    """Now and then a passer-by, before the person or behind it."""
    if rng.random() >= PASSER_BY:
        return None
    u, side, ahead = rng.uniform, rng.choice([-1, 1]), rng.random() < 0.4
    place = (side * u(0.3, 0.45), -u(0.7, 0.95)) if ahead else (side * u(0.25, 0.6), u(0.6, 1.6))
    pose = random_pose(str(rng.choice(["walk", "walk", "stand", "phone"])), rng)
    return Company(STRANGERS + int(rng.integers(10_000)), pose, float(u(0, 2 * np.pi)), place)


def plan(number: int, view: int) -> Plan:
    """The plan of one view.

    Raises:
        UserError: for a negative identity or a view outside 0..19.
    """
    check_view(number, view)
    schedule = _schedule(number)
    rng = np.random.default_rng([13, number, view])
    return Plan(
        identity=number,
        view=view,
        camera=view // FRAMES + 1,
        pose=random_pose(schedule.kinds[view], rng, schedule.phases[view]),
        yaw=schedule.yaws[view],
        company=_company(rng),
        shift=float(rng.normal(0, 1.3)),
        depth=float(rng.uniform(-0.15, 0.15)),
    )


def _lens(rng: np.random.Generator, tall: float, height: int) -> Lens:
    """A lens that shows a person ``tall`` metres high, standing at the origin, in nearly the whole height."""
    u, size_y, size_x = rng.uniform, height * SS, height // 2 * SS
    origin = np.array([rng.normal(0, 0.3), -u(3.2, 5.0), u(1.1, 2.6)])
    forward = np.array([0, 0, tall * 0.5]) - origin
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    q = (np.array([[0, 0, 0], [0, 0, tall]]) - origin) @ turn.T
    feet, crown = q[:, :2] / q[:, 2:]
    focal = size_y * u(0.78, 0.86) / (feet[1] - crown[1])
    centre = np.array([size_x / 2 - focal * feet[0], size_y * u(0.925, 0.955) - focal * feet[1]])
    return Lens(height, origin, turn, focal, centre)


def _sun(rng: np.random.Generator, light: Panorama) -> tuple[float, np.ndarray]:
    """How far a panorama is turned (radians), and where its sun then stands (unit ``[3]``).

    A bright sun stands rather behind the camera than behind the person.
    """
    u, azimuth = rng.uniform, np.arctan2(light.sun[0], -light.sun[1])
    yaw = u(-np.pi, np.pi) if light.sun_strength < 0.3 else u(-1.75, 1.75) - azimuth
    sun = spin(yaw) @ light.sun
    sun[2] = max(sun[2], 0.25)
    return yaw, sun / np.linalg.norm(sun)


def _facing(light: Panorama, yaw: float, sun: np.ndarray, normal: tuple) -> np.ndarray:
    """Light ``[3]`` of sky and sun on a surface with that normal."""
    normal = np.array(normal, float)
    return irradiance(light.harmonics, normal[None], yaw)[0] + light.sun_strength * max(0, normal @ sun)


def _street_background(
    rng: np.random.Generator, lens: Lens, light: Panorama, yaw: float, sun: np.ndarray
) -> tuple:
    """A street: linear light, the points it comes from, which of them are floor."""
    albedo, points, floor = street(rng, lens.origin, lens.rays())
    up, back = (_facing(light, yaw, sun, normal) for normal in ((0, 0, 1), (0, -1, 0)))
    return albedo**2.2 * np.where(floor[:, None], up, back), points, floor


def _panorama_background(rng: np.random.Generator, lens: Lens, light: Panorama, yaw: float) -> tuple:
    """A panorama as :func:`_street_background` returns a street, its lower half laid out as a floor."""
    rays, origin, u = lens.rays(), lens.origin, rng.uniform
    floor = rays[:, 2] < -0.02
    t = np.where(floor, -origin[2] / np.minimum(rays[:, 2], -0.02), 1e3)
    points = origin + rays * t[:, None]
    near = floor & ~(np.hypot(points[:, 0], points[:, 1]) > 14)
    eye = np.array([u(-0.8, 0.8), -u(2.2, 3.5), 1.6])
    towards = np.where(near[:, None], points - eye, rays * 14 + origin - eye - [0, 0, origin[2] - 1.6])
    seed = int(rng.integers(1000))
    detail = (noise(points, 30, seed) - 0.5) * 0.20 + (noise(points, 9, seed) - 0.5) * 0.14
    return look_up(light.picture, towards, yaw) * np.where(floor, 1 + detail, 1)[:, None], points, floor


def _obstacle(rng: np.random.Generator) -> Obstacle | None:
    """Now and then an obstacle before the person."""
    if rng.random() >= OCCLUDER:
        return None
    u, kind = rng.uniform, str(rng.choice(["pole", "bollard", "planter", "sign"]))
    place = (float(rng.choice([-1, 1]) * u(0.05, 0.3)), -u(0.75, 1.1))
    return Obstacle(kind, place, colour(rng, (0, 1), (0, 0.5), (0.15, 0.6)), u(0.85, 1.15))


@lru_cache(maxsize=2)
def camera(number: int, index: int, height: int) -> Camera:
    """The camera with index 1..4 of an identity, for pictures ``height`` pixels high."""
    schedule, rng = _schedule(number), np.random.default_rng([12, number, index])
    lens = _lens(rng, identity(number).height, height)
    light = panorama(schedule.panoramas[index - 1])
    yaw, sun = _sun(rng, light)
    if schedule.streets[index - 1]:
        background, points, floor = _street_background(rng, lens, light, yaw, sun)
    else:
        background, points, floor = _panorama_background(rng, lens, light, yaw)
    person = irradiance(light.harmonics, np.array([[0, -1.0, 0], [0, -0.7, 0.7]]), yaw).mean()
    person += 0.5 * light.sun_strength
    u = rng.uniform
    exposure = u(0.30, 0.38) / (0.35 * np.minimum(background, 1.5 * person).mean() + 0.65 * 0.24 * person)
    occluder = _obstacle(rng)
    return Camera(
        **vars(lens),
        light=light,
        light_yaw=yaw,
        sun=sun,
        background=background,
        floor=floor,
        points=points,
        exposure=float(exposure),
        contrast=u(0.94, 1.1),
        gamma=u(0.9, 1.08),
        blur=u(0.2, 0.45),
        noise=u(0.003, 0.009),
        cast=1 + rng.normal(0, 0.025, 3),
        occluder=occluder,
    )
