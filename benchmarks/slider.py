"""From a slider's new value to its picture, as in notebooks 01 and 03; the browser's part is left out."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Result, Run, Settings, in_turn, milliseconds, real_batch
from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.plotting import beside, draw_skeleton, heatmap_overlay
from sdgan_lib.pose import JOINT
from sdgan_lib.warping import deformable_skip, limb_warps, warp_image
from sdgan_lib.widgets import PictureControls, PoseControls, slider


def slider_controls(settings: Settings) -> dict[str, tuple]:
    """The sliders of notebooks 01 and 03: each picture with controls, the control to move, and two values for it.

    The rendering functions put together what the notebooks' own do, from the same functions of the library.
    """
    batch = real_batch(replace(settings, device="cpu"), 1)
    image, source, target = batch["source_image"], batch["source_pose"], batch["target_pose"]
    height, width = image.shape[-2:]
    features = F.avg_pool2d(image, 4)

    def skeleton_and_maps(pose: Tensor) -> np.ndarray:
        return beside(
            draw_skeleton(image[0], pose), heatmap_overlay(image[0], heatmaps(pose[None], height, width)[0])
        )

    def swing(shift: float) -> np.ndarray:
        pose = target.clone()
        pose[:, JOINT["Rwri"], 0] += shift
        warps = limb_warps(source, pose, height, width)
        small = deformable_skip(features, warps, "priority")
        large = F.interpolate(small, size=(height, width), mode="nearest")
        return beside(draw_skeleton(image[0], pose[0]), warp_image(image, warps)[0], large[0])

    pose = PoseControls(source[0], (height, width), skeleton_and_maps)
    limb = PictureControls(swing, {"shift": slider("shift", 0, -20, 20)})
    return {
        "notebook 01, a joint moved: skeleton and heat maps": (pose, "x", (20.0, 40.0)),
        "notebook 03, a forearm swung: warps, pixels and features": (limb, "shift", (-10.0, 10.0)),
    }


def bench_slider(settings: Settings) -> list[Result]:
    """From the new value of a slider to the PNG bytes of its picture, on the CPU; the browser's part is left out."""

    def mover(shown, name: str, values: tuple[float, float]) -> Run:
        ends = cycle(values)

        def move() -> bytes:
            shown.controls[name].value = next(ends)
            return shown.image.value

        return move

    runs = {case: mover(*control) for case, control in slider_controls(settings).items()}
    return [
        milliseconds("slider", case, "slider to PNG bytes", measured)
        for case, measured in in_turn(runs, settings).items()
    ]
