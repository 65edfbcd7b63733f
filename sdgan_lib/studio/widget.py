"""The studio in a notebook: :class:`PoseStudio`, a skeleton to drag, and sliders for the same joints."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from io import BytesIO
from math import isfinite
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from PIL import Image
from torch import Tensor

from sdgan_lib.batches import pick_device
from sdgan_lib.checkpoints import SHIPPED, load_generator
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import PoseEstimator, crop_people, load_estimator, whole_photo
from sdgan_lib.generators import Generator
from sdgan_lib.images import decode, encode_gif, encode_png, opened, to_uint8
from sdgan_lib.inference import animate, look_inside, render_png
from sdgan_lib.motion import between, fit_poses
from sdgan_lib.plotting import beside, draw_skeleton
from sdgan_lib.pose import JOINT, JOINTS, check_pose, visible
from sdgan_lib.protocol import points_of
from sdgan_lib.studio import view_module, view_style
from sdgan_lib.studio.offers import (
    DATA,
    REPLIES,
    Offer,
    offered_motions,
    offered_people,
    offered_poses,
    told_of,
)
from sdgan_lib.widgets import PoseControls

Point = list[float] | None

STEP = 0.1
"""Of the sliders for a joint, in pixels: dragged joints stand between whole ones."""

NO_PICTURE = np.zeros((1, 1, 3), np.uint8)


def to_pose(points: list[Point]) -> Tensor:
    """The way back from :func:`sdgan_lib.protocol.points_of`: float32 ``[18, 2]``, NaN for a missing joint."""
    return torch.tensor(
        [[torch.nan] * 2 if point is None else point for point in points], dtype=torch.float32
    )


def _is_pose(points: object) -> bool:
    return (
        isinstance(points, list)
        and len(points) == len(JOINTS)
        and all(
            point is None
            or (len(point) == 2 and all(isinstance(v, int | float) and isfinite(v) for v in point))
            for point in points
        )
    )


class PoseStudio(anywidget.AnyWidget):
    """A person and a skeleton to drag: the picture follows.

    Drag a joint and what hangs on it follows, bones keep their length (with Ctrl or Alt the joint moves alone). Arrow
    keys move the joint that has the focus, Delete hides it; mirror, scale, move, undo, redo and reset are buttons.

    From Python: set ``studio.pose_tensor`` (or ``studio.pose``, the list that the view shares) and the picture follows;
    an error is raised where the pose was set. ``studio.picture`` are the bytes of a PNG file, ``studio.array`` the same
    picture as uint8 ``[H, W, 3]``.

    While "Inside the network" is open in the view, or ``studio.wants_inside`` is set, ``studio.inside`` holds what
    :func:`sdgan_lib.inference.look_inside` shows of the same pose: [label, bytes of a PNG file] for each picture.

    Args:
        generator: in evaluation mode; its device is used.
        source_image: ``[3, H, W]`` in [-1, 1].
        source_pose: ``[18, 2]`` (x, y) in its pixels, NaN for a missing joint.
        target_pose: the pose to start with; by default the source's.
        poses: name -> pose ``[18, 2]`` to start from, shown as small skeletons.
        motions: name -> key poses ``[K, 18, 2]`` to choose a motion from.
        fit: whether ``poses`` and ``motions`` are brought to the person's size and place first, as by
            :func:`sdgan_lib.motion.fit_poses`; otherwise they are in pixels of the picture.
        people: who can be chosen, the person given among them; by default nobody else.
        motion: key poses ``[K, 18, 2]`` of a motion to begin with, in pixels of the picture, as
            :func:`sdgan_lib.motion.fit_poses` brings them there.
        steps: poses from one key to the next when the motion plays; 1 plays the keys alone.
        joint: name of the joint chosen first.
        scale: pixels of the screen for one of the picture, at most.
    """

    _esm = view_module()
    _css = view_style()

    pose = traitlets.List().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    source = traitlets.Bytes().tag(sync=True)
    start = traitlets.List().tag(sync=True)
    poses = traitlets.List().tag(sync=True)
    motions = traitlets.List().tag(sync=True)
    fit = traitlets.Bool(False).tag(sync=True)
    people = traitlets.List().tag(sync=True)
    person = traitlets.Int(0, min=-1).tag(sync=True)
    placing = traitlets.Bool(False).tag(sync=True)
    grants = traitlets.List().tag(sync=True)
    wish = traitlets.List().tag(sync=True, echo_update=False)
    reply = traitlets.List().tag(sync=True)
    motion = traitlets.List().tag(sync=True)
    steps = traitlets.Int(6, min=1).tag(sync=True)
    joint = traitlets.Enum(JOINTS).tag(sync=True)
    size = traitlets.List().tag(sync=True)
    scale = traitlets.Float(3.5).tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    fault = traitlets.Unicode("").tag(sync=True)
    wants_inside = traitlets.Bool(False).tag(sync=True)
    inside = traitlets.List().tag(sync=True)

    def __init__(
        self,
        generator: Generator,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor | None = None,
        poses: Mapping[str, Tensor] | None = None,
        motion: Tensor | None = None,
        steps: int = 6,
        joint: str = "Rwri",
        scale: float = 3.5,
        motions: Mapping[str, Tensor] | None = None,
        fit: bool = False,
        people: Iterable[Offer] = (),
    ):
        check_pose(source_pose, "source_pose", batched=False)
        self.generator, self.source_image, self.source_pose = generator, source_image, source_pose
        start = points_of(source_pose if target_pose is None else target_pose)
        self._offered = [*people] or [Offer("The person", source_image, source_pose)]
        self._wishes = {
            "person": self.choose_person,
            "photo": self.take_photo,
            "place": self._place,
            "clip": self._film,
        }
        super().__init__(
            pose=start,
            start=start,
            source=encode_png(to_uint8(source_image)),
            poses=[[name, points_of(pose)] for name, pose in (poses or {}).items()],
            motions=[[name, [*map(points_of, keys)]] for name, keys in (motions or {}).items()],
            fit=fit,
            people=self._strip(),
            person=next((i for i, offer in enumerate(self._offered) if offer.picture is source_image), -1),
            grants=[*self._wishes],
            motion=[] if motion is None else [*map(points_of, motion)],
            steps=steps,
            joint=joint,
            size=list(source_image.shape[-2:]),
            scale=scale,
        )
        self._drawn: list[Point] | None = None
        self._of_photo = 0  # how many of the people come from a photo
        self._answer()
        self.observe(self._answer, ["pose", "asked", "wants_inside"])
        self.observe(self._grant, "wish")

    def show_person(
        self, source_image: Tensor, source_pose: Tensor, target_pose: Tensor | None = None
    ) -> None:
        """Another person of the same size takes the place of the present one; poses and motion stay as they are.

        Args:
            source_image, source_pose, target_pose: as for the studio itself.
        """
        check_pose(source_pose, "source_pose", batched=False)
        if list(source_image.shape) != [3, *self.size]:
            raise ValueError(f"the picture must have shape {[3, *self.size]}, got {list(source_image.shape)}")
        self.source_image, self.source_pose, self._drawn = source_image, source_pose, None
        start = points_of(source_pose if target_pose is None else target_pose)
        with self.hold_sync():
            self.person, self.placing = -1, False
            self.source, self.start, self.pose = encode_png(to_uint8(source_image)), start, start
            self._answer()

    def choose_person(self, number: int) -> str:
        """Somebody of ``people`` takes the place of the present one, and so does the motion, brought to their size.

        Returns:
            What there is to tell: nothing.
        """
        _, picture, pose = self._offered[number]
        with self.hold_sync():
            self.show_person(picture, pose)
            self.person = number
            if self.motion and self.fit:
                keys = torch.stack([*map(to_pose, self.motion)])
                with suppress(UserError):  # a person without a torso has no size to be brought to
                    self.motion = [*map(points_of, fit_poses(keys, pose))]
        return ""

    def take_photo(self, content: bytes, name: str = "photo") -> str:
        """The people of a photograph come first among ``people``, and the largest of them is shown.

        Those of an earlier photo go. Where nobody is found the whole photo is there with a standing skeleton, and the
        view asks for its joints to be put where the body is.

        Args:
            content: the file's bytes, see :func:`sdgan_lib.images.opened`.
            name: the file's name, to be told.

        Returns:
            What was found, to be told.

        Raises:
            UserError: the file cannot be read; all stays as it is.
        """
        with opened(name, content) as file:
            picture = decode(file)
        found = crop_people(picture, tuple(self.size), self._estimator)
        told, nobody = told_of(name, [cut.pose for cut in found]), not found
        if nobody:
            found = [whole_photo(picture, tuple(self.size))]
        offers = [
            Offer(f"{name}, {i} of {len(found)}", cut.picture, cut.pose) for i, cut in enumerate(found, 1)
        ]
        with self.hold_sync():
            self._offered[: self._of_photo] = offers
            self._of_photo = len(offers)
            self.people = self._strip()
            self.choose_person(0)
            self.placing = nobody
        return told

    @property
    def pose_tensor(self) -> Tensor:
        """The pose as float32 ``[18, 2]``, NaN for a missing joint; setting it moves skeleton and picture."""
        return to_pose(self.pose)

    @pose_tensor.setter
    def pose_tensor(self, pose: Tensor) -> None:
        self.pose = points_of(pose)

    @property
    def array(self) -> np.ndarray:
        """The picture that is shown, uint8 ``[H, W, 3]``."""
        with Image.open(BytesIO(self.picture)) as image:
            return np.asarray(image)

    def frames(self) -> Tensor:
        """The motion's poses ``[T, 18, 2]``: its keys and what lies between them, the last leading to the first."""
        if not self.motion:
            raise ValueError("the motion has no key pose yet: add one in the view, or set motion")
        return between(torch.stack([*map(to_pose, self.motion)]), self.steps, closed=True)

    def clip(self, frames_per_second: float = 8, scale: int = 3) -> bytes:
        """The person in the motion, as the bytes of a GIF file; see :func:`sdgan_lib.images.encode_gif`."""
        pictures = animate(self.generator, self.source_image, self.source_pose, self.frames())
        return encode_gif(to_uint8(pictures), frames_per_second, scale)

    @cached_property
    def sliders(self) -> JointSliders:
        """Sliders for the chosen joint of the same pose, without a picture; made when first asked for."""
        return JointSliders(self, picture=False)

    def with_sliders(self) -> ipywidgets.VBox:
        """The studio with the sliders of the chosen joint below it."""
        return ipywidgets.VBox([self, self.sliders])

    def _answer(self, _change=None) -> None:
        """Draw the pose unless that has been done, then say so; one message takes all to the view."""
        fault, picture, inside = "", self.picture, self.inside if self.wants_inside else []
        try:
            if self.pose != self._drawn or (self.wants_inside and not inside):
                self._drawn = self.pose
                given = self.generator, self.source_image, self.source_pose, self.pose_tensor
                if self.wants_inside:
                    inside = [[label, encode_png(array)] for label, array in look_inside(*given).items()]
                    picture = dict(inside)["full size"]
                else:
                    picture = render_png(*given)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            raise
        finally:
            with self.hold_sync():
                self.picture, self.inside, self.fault, self.answered = picture, inside, fault, self.asked

    def _strip(self) -> list:
        return [[name, encode_png(to_uint8(picture))] for name, picture, _ in self._offered]

    @cached_property
    def _estimator(self) -> PoseEstimator:
        return load_estimator(device=next(self.generator.parameters()).device)

    def _place(self, points: list[Point]) -> str:
        """The person's joints were put in their places by hand."""
        number = self.person
        pose = to_pose(points)
        with self.hold_sync():
            self.show_person(self.source_image, pose)
            if number >= 0:
                self._offered[number] = self._offered[number]._replace(pose=pose)
                self.person = number
        return REPLIES["placed"]

    def _film(self) -> tuple[str, list]:
        return REPLIES["saved"], ["motion.gif", "image/gif", self.clip()]

    def _grant(self, change: dict) -> None:
        """Do what the view wishes, and tell it how that went."""
        if not change["new"]:
            return
        number, kind, *values = change["new"]
        told, fault, files = "", False, []
        try:
            result = self._wishes[kind](*values)
            told, *files = result if isinstance(result, tuple) else (result,)
        except Exception as error:
            fault, told = True, str(error)
            if not isinstance(error, UserError):
                told = f"{type(error).__name__}: {error}"
                raise
        finally:
            with self.hold_sync():
                self.reply, self.wish = [number, told, fault, *files], []

    @traitlets.validate("pose", "motion")
    def _check(self, proposal: dict) -> list:
        value = proposal["value"]
        for points in value if proposal["trait"].name == "motion" else [value]:
            if not _is_pose(points):
                raise traitlets.TraitError(f"a pose is {len(JOINTS)} times [x, y] or None, got {points!r}")
        return value

    def __repr__(self) -> str:
        return f"PoseStudio({int(visible(self.pose_tensor).sum())} joints, {self.joint} chosen)"

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """The widget, and beside it a picture of what it shows, for pages without a kernel behind them."""
        bundle = super()._repr_mimebundle_(**kwargs)
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        shown = beside(
            to_uint8(self.source_image), draw_skeleton(self.array, self.pose_tensor), self.array
        ).repeat(3, 0)
        return {
            **bundle,
            "text/plain": repr(self),
            "image/png": b64encode(encode_png(shown.repeat(3, 1))).decode(),
        }


def open_studio(
    checkpoint: str | Path = SHIPPED, data: str | Path = DATA, device: str = "auto", scale: float = 4.4
) -> PoseStudio:
    """A studio with everything in it: twelve people that no generator has seen, poses to start from, and motions.

    Args:
        checkpoint: trained generator, see :func:`sdgan_lib.checkpoints.load_generator`.
        data: folder of the data set whose test split has the people.
        device: see :func:`sdgan_lib.batches.pick_device`.
        scale: pixels of the screen for one of the picture, at most.

    Raises:
        UserError: checkpoint, data set or device are not there or do not fit; with the remedy.
    """
    generator = load_generator(Path(checkpoint), pick_device(device))
    people = offered_people(Path(data))
    return PoseStudio(
        generator,
        people[0].picture,
        people[0].pose,
        poses=offered_poses(people),
        motions=offered_motions(),
        fit=True,
        people=people,
        scale=scale,
    )


class JointSliders(PoseControls):
    """Sliders of a studio's joints: they move its skeleton, and follow when it is dragged.

    Args:
        studio: whose pose they share.
        picture: whether they have a picture of their own, the studio's with the skeleton drawn over it. With it they
            stand alone; without it they belong beside the studio, and cost nothing while a joint is dragged.
    """

    def __init__(self, studio: PoseStudio, picture: bool = True):
        self.studio, self.own_picture = studio, picture
        height, width = studio.size
        super().__init__(studio.pose_tensor, (height, width), self._move, studio.joint)
        for axis in "xy":
            self.controls[axis].step = STEP
        if not picture:
            self.children = tuple(self.controls.values())
        studio.observe(self._follow, ["picture", "pose"])
        ipywidgets.dlink((self.controls["joint"], "value"), (studio, "joint"))
        ipywidgets.dlink((studio, "joint"), (self.controls["joint"], "value"))

    def _move(self, pose: Tensor) -> np.ndarray:
        self.studio.pose_tensor = pose
        return self._drawn()

    def _drawn(self) -> np.ndarray:
        return draw_skeleton(self.studio.array, self.studio.pose_tensor) if self.own_picture else NO_PICTURE

    def _draw(self, change=None) -> None:
        moved = [axis for axis in "xy" if change is not None and change["owner"] is self.controls[axis]]
        if self._busy or not moved:
            super()._draw(change)
            return
        point, axis = self._pose[JOINT[self.values["joint"]]], "xy".index(moved[0])
        # A slider in the browser rounds what it is given to its step, and sends that back: nobody has moved it.
        if abs(point[axis].item() - change["new"]) > STEP / 2 + 1e-3:
            point[axis] = change["new"]
            self._show(self.render(self.pose))

    def _follow(self, _change) -> None:
        pose = self.studio.pose_tensor
        if torch.equal(pose.nan_to_num(torch.inf), self._pose.nan_to_num(torch.inf)):
            return
        self._pose = pose
        self._show_joint()
        self._show(self._drawn())

    def _repr_mimebundle_(self, **kwargs) -> dict:
        if not self.own_picture:  # a static page shows it all the same
            self._show(draw_skeleton(self.studio.array, self.studio.pose_tensor))
        return super()._repr_mimebundle_(**kwargs)
