"""From joints to a picture: one, whole and piece by piece, and batches of 64."""

import numpy as np
import torch

from benchmarks.measure import (
    Result,
    Settings,
    asked_for,
    in_turn,
    medians,
    milliseconds,
    prepared,
    real_batch,
    result,
)
from sdgan_lib.generators import make_generator
from sdgan_lib.images import encode_png, to_uint8
from sdgan_lib.inference import render_png
from sdgan_lib.inputs import make_inputs
from sdgan_lib.presets import PRESETS


def bench_inference(settings: Settings) -> list[Result]:
    """One picture of each preset from joints to PNG bytes, whole and piece by piece, and batches of 64."""
    return [found for name in settings.presets for found in _inference_results(name, settings)]


@torch.inference_mode()
def _inference_results(name: str, settings: Settings) -> list[Result]:
    config = PRESETS[name].generator
    torch.manual_seed(0)
    generator = make_generator(config).to(settings.device).eval()
    one, many = (
        [batch[key] for key in ("source_image", "source_pose", "target_pose")]
        for batch in (real_batch(settings, 1), real_batch(settings, 64))
    )
    inputs = make_inputs(*one, config.background)
    image = generator(inputs).image
    drawn = asked_for(inputs)
    runs = {
        "joints to PNG bytes": lambda: render_png(generator, *(x[0] for x in one)),
        "inputs": lambda: prepared(one, config.background, drawn),
        "inputs and generator": lambda: generator(prepared(one, config.background, drawn)),
        "picture to PNG bytes": lambda: encode_png(to_uint8(image)[0]),
        "64": lambda: generator.transfer(*many).image,
    }
    timed = in_turn(runs, settings)
    whole = timed["joints to PNG bytes"]
    alone = medians(timed["inputs and generator"]) - medians(timed["inputs"])
    slow = np.percentile([1e3 * t for m in whole for t in m.times], 95)
    many_rates = [64 / t for m in timed["64"] for t in m.times]
    target = {} if name.endswith("-paper") else {"at_most": 40}
    return [
        milliseconds("inference", name, "joints to PNG bytes", whole, **target),
        result("inference", name, "joints to PNG bytes, 95th percentile", [slow], "ms"),
        milliseconds("inference", name, "heat maps, maps and masks", timed["inputs"]),
        result("inference", name, "generator", 1e3 * alone, "ms"),
        milliseconds("inference", name, "picture to PNG bytes", timed["picture to PNG bytes"]),
        result("inference", name, "batches of 64", many_rates, "images/s"),
    ]
