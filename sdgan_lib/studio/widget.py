"""The studio in a notebook: :class:`PoseStudio`, a skeleton to drag, and sliders for the same joints."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO

import anywidget
import ipywidgets
import numpy as np
import torch
import traitlets
from PIL import Image
from torch import Tensor

from sdgan_lib.generators import Generator
from sdgan_lib.images import encode_png, to_uint8
from sdgan_lib.inference import render_png
from sdgan_lib.plotting import beside, draw_skeleton
from sdgan_lib.pose import JOINT, JOINTS, check_pose, visible
from sdgan_lib.studio import view_module, view_style
from sdgan_lib.widgets import PoseControls

Point = list[float] | None


def to_points(pose: Tensor) -> list[Point]:
    """A pose ``[18, 2]`` as the view has it: ``[x, y]`` for each joint, ``None`` for a missing one."""
    check_pose(pose, batched=False)
    pose = pose.detach().cpu().double()
    # to a thousandth of a pixel, as in the view: what has been there and back is the same
    return [[round(v, 3) for v in xy] if xy[0] == xy[0] else None for xy in pose.tolist()]


def to_pose(points: list[Point]) -> Tensor:
    """The way back from :func:`to_points`: float32 ``[18, 2]``, NaN for a missing joint."""
    return torch.tensor([[torch.nan] * 2 if point is None else point for point in points], dtype=torch.float32)


class PoseStudio(anywidget.AnyWidget):
    """A person and a skeleton to drag: the picture follows.

    Drag a joint and what hangs on it follows, bones keep their length (with Ctrl or Alt the joint moves alone). Arrow keys
    move the joint that has the focus, Delete hides it; mirror, scale, move, undo, redo and reset are buttons.

    From Python: set ``studio.pose_tensor`` (or ``studio.pose``, the list that the view shares) and the picture follows;
    an error is raised where the pose was set. ``studio.picture`` are the bytes of a PNG file, ``studio.array`` the same
    picture as uint8 ``[H, W, 3]``.

    Args:
        generator: in evaluation mode; its device is used.
        source_image: ``[3, H, W]`` in [-1, 1].
        source_pose: ``[18, 2]`` (x, y) in its pixels, NaN for a missing joint.
        target_pose: the pose to start with; by default the source's.
        poses: name -> pose ``[18, 2]`` to start from, shown as small skeletons.
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
    joint = traitlets.Enum(JOINTS).tag(sync=True)
    size = traitlets.List().tag(sync=True)
    scale = traitlets.Float(3.5).tag(sync=True)
    asked = traitlets.Int(0).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)
    fault = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        generator: Generator,
        source_image: Tensor,
        source_pose: Tensor,
        target_pose: Tensor | None = None,
        poses: Mapping[str, Tensor] | None = None,
        joint: str = "Rwri",
        scale: float = 3.5,
    ):
        check_pose(source_pose, "source_pose", batched=False)
        self.generator, self.source_image, self.source_pose = generator, source_image, source_pose
        start = to_points(source_pose if target_pose is None else target_pose)
        super().__init__(
            pose=start,
            start=start,
            source=encode_png(to_uint8(source_image)),
            poses=[[name, to_points(pose)] for name, pose in (poses or {}).items()],
            joint=joint,
            size=list(source_image.shape[-2:]),
            scale=scale,
        )
        self._drawn: list[Point] | None = None
        self._answer()
        self.observe(self._answer, ["pose", "asked"])

    @property
    def pose_tensor(self) -> Tensor:
        """The pose as float32 ``[18, 2]``, NaN for a missing joint; setting it moves skeleton and picture."""
        return to_pose(self.pose)

    @pose_tensor.setter
    def pose_tensor(self, pose: Tensor) -> None:
        self.pose = to_points(pose)

    @property
    def array(self) -> np.ndarray:
        """The picture that is shown, uint8 ``[H, W, 3]``."""
        with Image.open(BytesIO(self.picture)) as image:
            return np.asarray(image)

    @cached_property
    def sliders(self) -> JointSliders:
        """Sliders for the same pose with a picture of their own, made when first asked for."""
        return JointSliders(self)

    def with_sliders(self) -> ipywidgets.VBox:
        """The studio with the sliders of the chosen joint below it."""
        return ipywidgets.VBox([self, ipywidgets.VBox(list(self.sliders.controls.values()))])

    def _answer(self, _change=None) -> None:
        """Draw the pose unless that has been done, then say so; one message takes both to the view."""
        fault, picture = "", self.picture
        try:
            if self.pose != self._drawn:
                self._drawn = self.pose
                picture = render_png(self.generator, self.source_image, self.source_pose, self.pose_tensor)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
            raise
        finally:
            with self.hold_sync():
                self.picture, self.fault, self.answered = picture, fault, self.asked

    @traitlets.validate("pose")
    def _check(self, proposal: dict) -> list[Point]:
        points = proposal["value"]
        good = len(points) == len(JOINTS) and all(
            point is None or (len(point) == 2 and all(isinstance(v, int | float) and v == v for v in point))
            for point in points
        )
        if not good:
            raise traitlets.TraitError(f"a pose is {len(JOINTS)} times [x, y] or None, got {points!r}")
        return points

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


class JointSliders(PoseControls):
    """Sliders of a studio's joints: they move its skeleton, and follow when it is dragged.

    They stand alone too: their own picture is the studio's, with the skeleton drawn over it.
    """

    def __init__(self, studio: PoseStudio):
        self.studio = studio
        height, width = studio.size
        super().__init__(studio.pose_tensor, (height, width), self._move, studio.joint)
        studio.observe(self._follow, ["picture", "pose"])
        ipywidgets.dlink((self.controls["joint"], "value"), (studio, "joint"))
        studio.observe(lambda change: setattr(self.controls["joint"], "value", change["new"]), "joint")

    def _move(self, pose: Tensor) -> np.ndarray:
        self.studio.pose_tensor = pose
        return draw_skeleton(self.studio.array, pose)

    def _follow(self, _change) -> None:
        pose = self.studio.pose_tensor
        if torch.equal(pose.nan_to_num(-1e9), self._pose.nan_to_num(-1e9)):
            return
        self._pose = pose
        self._show_joint()
        self._show(draw_skeleton(self.studio.array, pose))
