"""Pictures under the hand: ipywidgets controls as thin shells round pure functions.

The picture goes through ``widgets.Image`` as PNG bytes, not through matplotlib, so that it follows the hand.
Everything worth testing is in the pure ``render`` function that the caller gives.
"""

import math
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from sdgan_lib.images import encode_png
from sdgan_lib.pose import JOINT, visible

Rendered = np.ndarray | tuple[np.ndarray, str]

LABEL = {"description_width": "7em"}
"""Style of controls whose labels stand in one column."""


def slider(label: str, value: float, low: float, high: float, step: float = 1.0) -> ipywidgets.FloatSlider:
    """A slider that reports every movement, with its label beside it and its value behind it."""
    decimals = max(0, math.ceil(-math.log10(step)))
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        description=label,
        readout_format=f".{decimals}f",
        style=LABEL,
        layout=ipywidgets.Layout(width="30em"),
    )


class PictureControls(ipywidgets.VBox):
    """Controls above a picture that follows them.

    Args:
        render: pure function of the controls' values, given by name; returns uint8 ``[H, W, 3]``, or such a
            picture and one line of text to stand below it.
        controls: parameter name of ``render`` -> its widget (a slider, a dropdown, a checkbox …).
        scale: every pixel is shown as ``scale`` x ``scale`` pixels.

    Setting a control from Python, ``shown.controls["angle"].value = 30``, moves the picture too; ``shown.picture``
    is the array last shown and ``shown.text`` the line below it. An error in ``render`` is raised where the
    control was set.
    """

    def __init__(
        self, render: Callable[..., Rendered], controls: Mapping[str, ipywidgets.ValueWidget], scale: int = 3
    ):
        self.render = render
        self.controls = dict(controls)
        self.scale = scale
        own_size = ipywidgets.Layout(align_self="flex-start", max_width="100%")
        self.image = ipywidgets.Image(format="png", layout=own_size)
        self.label = ipywidgets.Label()
        super().__init__([*self.controls.values(), self.image, self.label])
        self._draw()
        for control in self.controls.values():
            control.observe(self._draw, names="value")

    @property
    def values(self) -> dict:
        """The controls' values, by the name of the parameter they set."""
        return {name: control.value for name, control in self.controls.items()}

    @property
    def text(self) -> str:
        """The line below the picture."""
        return self.label.value

    @contextmanager
    def kept(self) -> Iterator[Self]:
        """``with shown.kept():`` controls may be moved inside; afterwards they stand where they stood."""
        before = self.values
        try:
            yield self
        finally:
            for name, value in before.items():
                self.controls[name].value = value

    def _draw(self, _change=None) -> None:
        self._show(self.render(**self.values))

    def _show(self, rendered: Rendered) -> None:
        self.picture, self.label.value = rendered if isinstance(rendered, tuple) else (rendered, "")
        self.image.value = encode_png(self.picture.repeat(self.scale, 0).repeat(self.scale, 1))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.controls)})"

    def _repr_mimebundle_(self, **kwargs) -> dict:
        """The widget, and its picture as PNG for pages without a kernel behind them."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/plain": repr(self), "image/png": b64encode(self.image.value).decode()}


class PoseControls(PictureControls):
    """Moves any joint of a pose: choose the joint, then slide its x and y or take it away.

    Args:
        pose: ``[18, 2]`` in pixels, NaN for a missing joint; it is copied.
        size: (height, width) of the picture that the pose belongs to; the sliders' range.
        render: pure function of the pose ``[18, 2]``; returns what ``PictureControls`` wants.
        joint: name of the joint chosen first.
    """

    def __init__(
        self,
        pose: Tensor,
        size: tuple[int, int],
        render: Callable[[Tensor], Rendered],
        joint: str = "Rwri",
        scale: int = 3,
    ):
        self._pose = pose.detach().cpu().clone()
        self._busy = False
        height, width = size
        controls = {
            "joint": ipywidgets.Dropdown(options=list(JOINT), value=joint, description="joint", style=LABEL),
            "x": slider("x", 0, 0, width - 1, 0.5),
            "y": slider("y", 0, 0, height - 1, 0.5),
            "missing": ipywidgets.Checkbox(description="missing", indent=True, style=LABEL),
        }
        super().__init__(render, controls, scale)

    @property
    def pose(self) -> Tensor:
        """The pose as the controls have it now, ``[18, 2]``."""
        return self._pose.clone()

    @contextmanager
    def kept(self) -> Iterator[Self]:
        """As :meth:`PictureControls.kept`; every joint is put back, not only the one that was chosen."""
        pose, joint = self.pose, self.controls["joint"].value
        try:
            yield self
        finally:
            self._pose, self._busy = pose, True
            self.controls["joint"].value = joint
            self._show_joint()
            self._show(self.render(self.pose))

    def _draw(self, change=None) -> None:
        if self._busy:
            return
        if change is None or change["owner"] is self.controls["joint"]:
            self._show_joint()
            if change is not None:
                return  # another joint chosen: nothing has moved
        else:
            x, y, missing = (self.controls[name].value for name in ("x", "y", "missing"))
            joint = JOINT[self.controls["joint"].value]
            self._pose[joint] = torch.tensor([torch.nan] * 2 if missing else [x, y])
            self.controls["x"].disabled = self.controls["y"].disabled = missing
        self._show(self.render(self.pose))

    def _show_joint(self) -> None:
        """Set the controls to the chosen joint, clipped to the picture; a missing one waits in the middle."""
        point = self._pose[JOINT[self.controls["joint"].value]]
        there = bool(visible(point))
        self._busy = True
        for name, value in zip("xy", point.tolist(), strict=True):
            control = self.controls[name]
            control.value = min(max(value, control.min), control.max) if there else control.max / 2
            control.disabled = not there
        self.controls["missing"].value = not there
        self._busy = False
