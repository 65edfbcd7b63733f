"""MoveNet against the published graph, its converter, and the shares of joints found again.

``tests/reference/movenet.safetensors`` holds what the graph makes of two held-out pictures: written by
``data/checkpoints/movenet/convert.py``, which runs the graph node by node in numpy.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from data.checkpoints.movenet import convert as converter
from sdgan_lib import estimation
from sdgan_lib.datasets import open_split
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import (
    COUNTED,
    LIGHTNING,
    MOVENET_JOINTS,
    SHIPPED,
    VARIANTS,
    Found,
    MoveNet,
    Person,
    PoseEstimator,
    crop_to_model,
    find_people,
    find_person,
    head_size,
    load_estimator,
    pck,
    pckh,
    same_padding,
    torso_length,
)
from sdgan_lib.images import decode, from_uint8, opened, pixels, read_picture
from sdgan_lib.pose import FACE, JOINT, REQUIRED, body_size, flip_pose, rescale_pose, visible
from sdgan_lib.protocol import read_annotations, stop

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests/reference/movenet.safetensors"
REFERENCES = {
    "thunder": (SHIPPED, REFERENCE),
    "lightning": (LIGHTNING, REFERENCE.with_stem("movenet-lightning")),
}
TEST = ROOT / "data/people/people-dataset/test"
STANDING = torch.tensor([
    (32, 18), (32, 28), (23, 29), (20, 43), (19, 57), (41, 29), (44, 43), (46, 56), (27, 60), (26, 85),
    (25, 110), (37, 60), (39, 85), (40, 110), (30, 16), (34, 16), (28, 18), (36, 18),
], dtype=torch.float32)[None]  # fmt: skip


@pytest.fixture(scope="module")
def estimator():
    return load_estimator()


@pytest.fixture(scope="module")
def reference():
    return load_file(REFERENCE)


# ------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("variant", REFERENCES)
def test_the_network_is_the_published_graph(variant):
    weights, made = REFERENCES[variant]
    estimator, reference = load_estimator(weights), load_file(made)
    assert estimator.size == VARIANTS[variant].size
    pictures = converter.squares(reference["pictures"], estimator.size)
    with torch.inference_mode():  # the graph's 1 / 127.5 is rounded to half precision, ours is not
        maps = estimator.network(
            torch.from_numpy(pictures).permute(0, 3, 1, 2) * float(np.float16(1 / 127.5)) - 1
        )
        joints = MoveNet.decode(maps)
    assert reference["joints"].std() > 0.1 and set(converter.MAPS) == set(maps._fields)
    for name, found in maps._asdict().items():
        expected = torch.from_numpy(reference[name])
        assert expected.abs().max() > 10, "maps of size 1e-3 would agree whatever the network does"
        torch.testing.assert_close(found[:1, :, ::4, ::4], expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(joints, torch.from_numpy(reference["joints"]), atol=1e-3, rtol=0)


def test_the_graphs_rounded_constants_change_the_joints_by_less_than_one_in_a_thousand(estimator, reference):
    pictures = torch.from_numpy(converter.squares(reference["pictures"], 256)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        joints = MoveNet.decode(estimator.network(pictures))
    torch.testing.assert_close(joints, torch.from_numpy(reference["joints"]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "weights"), [("thunder", 6_226_046), ("lightning", 2_317_974)])
def test_both_variants_have_the_published_number_of_weights(name, weights):
    with torch.device("meta"):
        network = MoveNet(VARIANTS[name].width)
    assert sum(value.numel() for value in network.parameters()) == weights
    size = VARIANTS[name].size
    assert network(torch.empty(1, 3, size, size, device="meta")).heatmaps.shape == (
        1,
        17,
        size // 4,
        size // 4,
    )


@pytest.mark.parametrize("size", [7, 8, 31, 32])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_same_padding_makes_the_size_that_its_name_promises(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == -(-size // stride)
    assert 0 <= after - before <= 1


def test_an_even_side_halved_is_padded_after_only():
    assert same_padding(256, 3, 2) == (0, 1) and same_padding(255, 3, 2) == (1, 1) == same_padding(256, 3, 1)


def test_the_person_near_the_middle_is_taken_and_each_joint_near_where_the_regression_points():
    """Two people, the one at the side a bit more certain; two peaks per joint, the far one a bit higher."""
    maps = estimation.Maps(
        *(torch.full((1, c, 64, 64), v) for c, v in ((1, -9.0), (34, 0.0), (17, -9.0), (34, 0.0)))
    )
    maps.centre[0, 0, 30, 33], maps.centre[0, 0, 30, 5] = 1.0, 1.5
    maps.regression[0, 0::2, 30, 33], maps.regression[0, 1::2, 30, 33] = 8.5, -3.25  # y, x: to (38.5, 29.75)
    maps.heatmaps[0, :, 40, 31], maps.heatmaps[0, :, 60, 10] = 0.5, 1.0
    maps.offsets[0, 0::2, 40, 31], maps.offsets[0, 1::2, 40, 31] = 0.25, 0.75
    maps.offsets[0, 6, 40, 31] = -0.5  # y of the fourth joint
    found = MoveNet.decode(maps)
    assert found.shape == (1, 17, 3)
    expected = torch.tensor([40.25 / 64, 31.75 / 64, 1 / (1 + np.exp(-0.5))]).float().expand(17, 3).clone()
    expected[3, 0] = 39.5 / 64
    torch.testing.assert_close(found[0], expected)


# ------------------------------------------------------------------------------------- pictures in, poses out


def held_out(count):
    """Pictures and poses of held-out people, evenly drawn."""
    rows = read_annotations(ROOT / "data/people/people-annotation-test.csv", stop)
    names = list(rows)[:: len(rows) // count][:count]
    pictures = torch.stack([read_picture(TEST / name) for name in names])
    return pictures, torch.stack([rows[name][1] for name in names])


class Brightest(torch.nn.Module):
    """In the network's place: all joints at the centre of the light in the square, 17 shares of it."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def backbone(self, square):
        return [square]

    def maps(self, features):
        square = features[-1]
        light = (square[:, 0] + 1).double()
        size = square.shape[-1]
        centre = (torch.arange(size).double() + 0.5) / size
        y, x = (light.sum(2) @ centre, light.sum(1) @ centre)
        return (torch.stack([y, x], 1) / light.sum((1, 2))[:, None]).float()


@pytest.mark.parametrize("size", [(128, 64), (64, 128), (33, 50), (700, 411), (300, 300)])
def test_places_come_back_in_pixels_of_the_picture(size, monkeypatch):
    """Whatever is enlarged or made smaller on the way in."""
    monkeypatch.setattr(
        MoveNet,
        "decode",
        lambda place: torch.cat([place, torch.full((len(place), 1), 0.7)], 1)[:, None].expand(-1, 17, 3),
    )
    height, width = size
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = [(0.3 * width, 0.45 * height), (0.6 * width, 0.7 * height)]
    spots = [torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * (0.04 * height) ** 2)) for px, py in places]
    found = PoseEstimator(Brightest(), 256)((2 * torch.stack(spots) - 1)[:, None].expand(-1, 3, -1, -1))
    expected = torch.tensor(places)[:, None].expand(-1, 18, -1)
    torch.testing.assert_close(found.pose, expected, atol=0.02 * max(1, max(size) / 256), rtol=0)
    assert found.scores.shape == (2, 18) and (found.scores == 0.7).all()


@pytest.mark.parametrize("size", [(128, 64), (100, 250), (411, 700)])
def test_the_square_is_one_point_one_times_the_longer_side_and_black(size):
    white = torch.ones(1, 3, *size)
    share = (estimation.in_square(white, 256) + 1).mean() / 2
    torch.testing.assert_close(share.item(), min(size) / max(size) / 1.1**2, rtol=0.02, atol=0)
    corners = estimation.in_square(white, 256)[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, torch.full((1, 3, 4), -1.0))


def test_what_is_made_smaller_is_averaged_not_thinned_out():
    stripes = torch.ones(1, 3, 640, 640)
    stripes[..., ::2] = -1
    middle = estimation.in_square(stripes, 192)[..., 48:-48, 48:-48]
    assert middle.abs().max() < 0.1


def test_joints_of_held_out_people_are_found_where_they_are(estimator):
    """The order of the joints, x and y, left and right, pixels: with any of them wrong few would be found."""
    pictures, poses = held_out(12)
    found = estimator(pictures)
    assert found.pose.shape == (12, 18, 2) and found.scores.shape == (12, 18)
    assert found.pose.isfinite().all() and (0 <= found.scores).all() and (found.scores <= 1).all()
    assert pck(found, poses).mean() > 0.85
    error = (found.pose - poses)[:, FACE]
    assert error.nanmean((0, 1)).abs().max() < 0.7, "half a pixel is not lost on the way"
    mirrored = estimator(pictures.flip(-1))
    assert pck(mirrored, flip_pose(poses, 64)).mean() > 0.85 > 0.5 > pck(mirrored, poses).mean()


def test_nobody_is_found_in_noise(estimator):
    noise = torch.rand(2, 3, 128, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = estimator(noise)
    assert found.scores.mean() < estimation.LEAST_SCORE
    assert pck(found, STANDING.expand(2, -1, -1)).max() < 0.2


def test_the_neck_is_the_middle_of_the_shoulders_as_certain_as_the_lesser(estimator):
    found = estimator(held_out(3)[0])
    shoulders = [JOINT["Rsho"], JOINT["Lsho"]]
    torch.testing.assert_close(found.pose[:, JOINT["neck"]], found.pose[:, shoulders].mean(1))
    assert torch.equal(found.scores[:, JOINT["neck"]], found.scores[:, shoulders].amin(1))
    assert sorted([*COUNTED, JOINT["neck"]]) == list(range(18)) and len(MOVENET_JOINTS) == 17


def test_a_look_gives_the_pose_and_what_was_seen_in_one_pass(estimator):
    pictures = held_out(2)[0]
    pictures = torch.cat([pictures, pictures.roll(1, -1)])  # both a pixel further right
    passes = []
    hook = estimator.network.backbone.register_forward_hook(
        lambda _, given, made: passes.append((given, made))
    )
    pose, scores, seen = estimator.look(pictures)
    hook.remove()
    assert len(passes) == 4 and seen.shape == (4, 1280)
    for (square,), features in passes:
        assert torch.isin(features[-1].mean((2, 3)), seen).all() and square.shape == (1, 3, 256, 256)
    found = estimator(pictures)
    assert torch.equal(found.pose, pose) and torch.equal(found.scores, scores)
    apart = torch.cdist(seen, seen)
    assert apart[0, 2] < 0.3 * apart[0, 1] and apart[1, 3] < 0.3 * apart[0, 1]  # each the nearer to its own


def test_a_picture_gets_the_same_pose_whatever_stands_beside_it(estimator, monkeypatch):
    pictures, _ = held_out(5)
    apart = [estimator(picture[None]) for picture in pictures]
    monkeypatch.setitem(estimation.BATCH, "cpu", 3)
    together = estimator(pictures)
    torch.testing.assert_close(together.pose, torch.cat([one.pose for one in apart]), atol=1e-3, rtol=0)
    torch.testing.assert_close(together.scores, torch.cat([one.scores for one in apart]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(0, 3, 8, 8)])
def test_pictures_of_another_shape_are_refused(estimator, wrong):
    with pytest.raises(ValueError, match=re.escape(f"got {list(wrong.shape)}")):
        estimator(wrong)


def test_bytes_are_refused(estimator):
    with pytest.raises(ValueError, match=r"got torch\.uint8"):
        estimator(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


# --------------------------------------------------------------------------------------------------- the metrics


def found_at(pose, score=0.9):
    return Found(pose.clone().nan_to_num(-99), torch.full(pose.shape[:2], score))


def test_sizes_of_torso_and_head():
    hips = (32, 60)
    assert torso_length(STANDING).item() == pytest.approx(32) and hips == (32, 28 + 32)
    face = np.mean([(32, 18), (30, 16), (34, 16), (28, 18), (36, 18)], axis=0)
    assert head_size(STANDING).item() == pytest.approx(28 - face[1])
    one_hip, one_ear = STANDING.clone(), STANDING.clone()
    one_hip[:, JOINT["Lhip"]] = torch.nan
    assert torso_length(one_hip).item() == pytest.approx(np.hypot(5, 32))
    one_ear[:, [joint for joint in FACE if joint != JOINT["Rear"]]] = torch.nan
    assert head_size(one_ear).item() == pytest.approx(np.hypot(4, 10))


@pytest.mark.parametrize(("metric", "radius"), [(pck, 8.0), (pckh, 0.5 * 10.8)])
def test_a_joint_is_found_within_the_radius_and_not_beyond(metric, radius):
    assert metric(found_at(STANDING), STANDING).tolist() == [1.0]
    for distance, expected in ((radius - 0.01, 1.0), (radius + 0.01, 16 / 17)):
        moved = found_at(STANDING)
        moved.pose[0, JOINT["Rwri"]] += distance * torch.tensor([0.6, 0.8])
        value = metric(moved, STANDING)
        assert value.dtype == torch.float64 and value.tolist() == pytest.approx([expected])


def test_the_share_of_the_size_can_be_chosen():
    moved = found_at(STANDING + torch.tensor([7.0, 0]))
    assert pck(moved, STANDING).item() == 1 and pck(moved, STANDING, share=0.2).item() == 0
    assert pckh(moved, STANDING).item() == 0 and pckh(moved, STANDING, share=0.7).item() == 1


@pytest.mark.parametrize("metric", [pck, pckh])
def test_what_counts_is_what_the_pose_has_but_for_the_neck(metric):
    pose = STANDING.clone()
    pose[:, [JOINT["Rwri"], JOINT["Lank"]]] = torch.nan
    found = found_at(pose)
    found.pose[:, JOINT["neck"]] += 50
    assert metric(found, pose).item() == 1
    found.pose[:, JOINT["nose"]] += 50
    assert metric(found, pose).item() == pytest.approx(14 / 15)


@pytest.mark.parametrize("metric", [pck, pckh])
def test_a_joint_of_a_low_score_is_not_found(metric):
    found = found_at(STANDING)
    found.scores[0, JOINT["nose"]] = 0.19
    assert metric(found, STANDING).item() == pytest.approx(16 / 17)
    assert metric(found, STANDING, least_score=0.1).item() == 1
    found.scores[0, JOINT["nose"]] = estimation.LEAST_SCORE
    assert metric(found, STANDING).item() == 1


def test_without_its_measure_a_share_is_undefined():
    poses = STANDING.expand(4, -1, -1).clone()
    poses[1, [JOINT["Rhip"], JOINT["Lhip"]]] = torch.nan
    poses[2, JOINT["neck"]] = torch.nan
    poses[3, list(FACE)] = torch.nan
    found = found_at(poses)
    assert pck(found, poses).isnan().tolist() == [False, True, True, False]
    assert pckh(found, poses).isnan().tolist() == [False, False, True, True]


def test_poses_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"found poses are \[1, 18, 2\] but pose is \[2, 18, 2\]"):
        pck(found_at(STANDING), STANDING.expand(2, -1, -1))
    with pytest.raises(ValueError, match=r"pose must have shape"):
        pck(found_at(STANDING), STANDING[0])


# ----------------------------------------------------------------------------------------------- the weights' file


def test_the_card_says_what_the_file_is():
    card = (SHIPPED.parent / "README.md").read_text(encoding="utf-8")
    for variant, path in (("thunder", SHIPPED), ("lightning", LIGHTNING)):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == VARIANTS[variant].digest and f"| `{path.name}` | SHA-256 `{digest}`" in card
    assert "Apache License" in (SHIPPED.parent / "LICENSE").read_text(encoding="utf-8")


def test_a_single_changed_bit_is_noticed(tmp_path):
    content = bytearray(SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "thunder.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"thunder\.safetensors: damaged, or not one of.*Remedy: get it anew"):
        load_estimator(path)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(UserError, match=rf"{re.escape(str(path))}: .*Remedy"):
            load_estimator(path)


# ------------------------------------------------------------------------------------------------- the converter


def written(folder, weights, nodes=()):
    """A TF.js graph model in its two files, weights in the given types; the path of the first."""
    specs = []
    for name, value in weights.items():
        kind = {"quantization": {"dtype": "float16"}} if value.dtype == np.float16 else {}
        specs.append({"name": name, "shape": list(value.shape), "dtype": "int32", **kind})
    graph = {"modelTopology": {"node": list(nodes)}, "weightsManifest": [{"weights": specs}]}
    path = folder / "graph.json"
    path.write_text(json.dumps(graph))
    path.with_suffix(".bin").write_bytes(b"".join(value.tobytes() for value in weights.values()))
    return path


def as_in_the_graph(network):
    """A network's weights by the names, and in the axes, of the graph."""
    state, weights = network.state_dict(), {"grid": np.arange(6, dtype=np.int32)}
    for mine, (kernel, bias) in converter.tensor_names().items():
        axes = (2, 3, 0, 1) if mine.endswith("depthwise") else (2, 3, 1, 0)
        weights[kernel] = state[f"{mine}.weight"].half().numpy().transpose(axes)
        if bias:
            weights[bias] = state[f"{mine}.bias"].half().numpy()
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def test_weights_come_through_the_files_bit_for_bit(tmp_path):
    torch.manual_seed(0)
    network = MoveNet(0.35)
    nodes, weights = converter.read_graph(written(tmp_path, as_in_the_graph(network), [{"op": "Const"}]))
    assert nodes == [{"op": "Const"}] and weights["grid"].tolist() == [0, 1, 2, 3, 4, 5]
    converted = converter.convert(weights)
    assert set(converted) == set(network.state_dict())
    for name, value in network.state_dict().items():
        assert converted[name].dtype == np.float16
        assert torch.equal(torch.tensor(converted[name]), value.half()), name


def test_the_converter_knows_the_graphs_names():
    """Every kernel and bias of Thunder's graph, by its shape there; what is left are the constants of its decoding."""
    with safe_open(REFERENCE, "np") as file:
        shapes = json.loads(file.metadata()["shapes"])
    weights = as_in_the_graph(MoveNet(VARIANTS["thunder"].width))
    del weights["grid"]
    assert len(weights) == 141
    assert {name: list(value.shape) for name, value in weights.items()}.items() <= shapes.items()
    assert all(np.prod(shapes[name]) <= 64 * 64 for name in shapes.keys() - weights.keys())


def test_a_graph_that_lacks_a_weight_or_has_more_is_refused():
    weights = as_in_the_graph(MoveNet(0.35))
    more = weights | {"another": np.zeros((1, 1, 4, 4), np.float16)}
    with pytest.raises(UserError, match=r"the graph has more weights: another\. Remedy"):
        converter.convert(more)
    name = next(name for name in weights if name.endswith("block_9_expand/Conv2D_weights"))
    del weights[name]
    with pytest.raises(UserError, match=rf"no weight {name}\. Remedy"):
        converter.convert(weights)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    path = written(tmp_path, {"a": np.zeros(4, np.float16)})
    binary = path.with_suffix(".bin")
    for content, what in ((bytes(6), "not a TF.js graph model"), (bytes(10), r"10 bytes, its table names 8")):
        binary.write_bytes(content)
        with pytest.raises(UserError, match=rf"{what}.*Remedy"):
            converter.read_graph(path)
    binary.unlink()
    with pytest.raises(UserError, match=r"graph\.bin.*Remedy"):
        converter.read_graph(path)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def node(op, inputs, padding="SAME", stride=1, fused=()):
    return {
        "name": "out", "op": op, "input": inputs,
        "attr": {
            "padding": {"s": encoded(padding)}, "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
            "fused_ops": {"list": {"s": [encoded(name) for name in fused]}},
            "half_pixel_centers": {"b": True}, "align_corners": {"b": False},
        },
    }  # fmt: skip


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_graphs_convolutions_are_run_as_tensorflow_defines_them(side, stride):
    """By its definition of SAME, every output written out as a sum; the zeros' extra one comes after."""
    rng = np.random.default_rng(0)
    picture = rng.normal(size=(1, side, side, 2)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)
    bias = rng.normal(size=4).astype(np.float32)
    graph = node("_FusedConv2D", ["input", "kernel", "bias"], "SAME", stride, ("BiasAdd", "Relu6"))
    found = converter.run_graph([graph], {"kernel": kernel, "bias": bias}, picture)["out"]
    outputs = -(-side // stride)
    before = max((outputs - 1) * stride + 3 - side, 0) // 2
    expected = np.zeros((1, outputs, outputs, 4))
    for i, j, a, b in np.ndindex(outputs, outputs, 3, 3):
        y, x = i * stride + a - before, j * stride + b - before
        if 0 <= y < side and 0 <= x < side:
            expected[0, i, j] += picture[0, y, x] @ kernel[a, b]
    np.testing.assert_allclose(found, np.clip(expected + bias, 0, 6), atol=1e-5)
    assert (found == 0).any() and (found == 6).any()

    kernel = rng.normal(size=(3, 3, 2, 1)).astype(np.float32)
    graph = node("DepthwiseConv2dNative", ["input", "kernel"], "SAME", stride)
    found = converter.run_graph([graph], {"kernel": kernel}, picture)["out"]
    padded = np.pad(picture, ((0, 0), (before, 3), (before, 3), (0, 0)))
    corner = (padded[0, :3, :3] * kernel[..., 0]).sum((0, 1))
    np.testing.assert_allclose(found[0, 0, 0], corner, atol=1e-5)
    assert found.shape == (1, outputs, outputs, 2)


def test_the_graphs_enlargement_is_bilinear_between_pixel_centres():
    picture = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype(np.float32)
    found = converter.run_graph(
        [node("ResizeBilinear", ["input", "size"])], {"size": np.array([10, 12])}, picture
    )
    ours = F.interpolate(torch.from_numpy(picture).permute(0, 3, 1, 2), scale_factor=2, mode="bilinear")
    np.testing.assert_allclose(found["out"], ours.permute(0, 2, 3, 1), atol=1e-6)


def test_a_network_that_is_not_the_graph_is_not_written(estimator, reference):
    pictures = converter.squares(reference["pictures"][:1], 256)
    expected = {name: reference[name][:1] for name in ("joints",)}
    assert converter.check(estimator.network, expected, pictures) < 1e-3
    with pytest.raises(UserError, match="joints of the network are not those of the graph"):
        converter.check(estimator.network, {"joints": expected["joints"] + 0.002}, pictures)


# ---------------------------------------------------------------------------------------------------- photographs


def photo(size: tuple[int, int], *places: tuple[int, int, int, int]) -> tuple[Image.Image, torch.Tensor]:
    """Held-out people pasted into a larger picture, and their poses ``[N, 18, 2]`` in its pixels.

    Args:
        size: (width, height) of the picture, a panorama.
        places: for each person its number in the held-out split, left, top, height in pixels.
    """
    part = open_split("data/people", "test")
    with Image.open(ROOT / "data/render/panoramas/venice.png") as file:
        picture = file.convert("RGB").resize(size)
    poses = []
    for index, left, top, height in places:
        with Image.open(part.image_path(index)) as file:
            picture.paste(file.resize((height // 2, height), Image.Resampling.BICUBIC), (left, top))
        poses.append(
            rescale_pose(part.poses[index], part.size, (height, height // 2)) + torch.tensor([left, top])
        )
    return picture, torch.stack(poses)


def error(person: Person, pose: torch.Tensor) -> float:
    """Median distance of joints that both have, as a share of the pose's body size."""
    return float((person.pose - pose).norm(dim=-1).nanmedian() / body_size(pose))


@pytest.mark.parametrize("size, place", [
    ((64, 128), (21, 0, 0, 128)),
    ((500, 900), (260, 40, 60, 800)),
    ((900, 500), (400, 610, 90, 390)),
    ((3000, 2000), (90, 300, 400, 1500)),
    ((1600, 1200), (641, 900, 700, 330)),
    ((600, 2400), (260, 100, 1600, 640)),
    ((2600, 1700), (21, 1900, 1100, 240)),
])  # fmt: skip
def test_a_person_is_found_wherever_it_stands(estimator, size, place):
    picture, (pose,) = photo(size, place)
    person = find_person(picture, estimator)
    assert person is not None and person.certainty > estimation.CERTAIN
    assert error(person, pose) < 0.12
    there = visible(pose)
    assert (visible(person.pose) & there).sum() >= 0.8 * there.sum()
    assert torch.equal(visible(person.pose), person.scores >= estimation.LEAST_SCORE)
    assert 0.7 < person.extent / float(nan_range(pose).max()) < 1.3


def nan_range(pose):
    there = pose[visible(pose)]
    return there.amax(0) - there.amin(0)


def test_looking_closer_makes_it_more_exact(estimator):
    picture, (pose,) = photo((1600, 1200), (641, 900, 500, 420))
    whole = estimator(from_uint8(pixels(picture))[None]).pose[0]
    assert error(find_person(picture, estimator), pose) < 0.6 * error(
        Person(whole, torch.ones(18), 1.0), pose
    )


def test_everybody_is_found_once_the_largest_first(estimator):
    places = [(21, 20, 300, 300), (260, 320, 60, 620), (400, 760, 200, 450), (641, 1050, 360, 340)]
    picture, poses = photo((1300, 800), *places)
    people = find_people(picture, estimator)
    nearest = [min(range(4), key=lambda i: error(person, poses[i])) for person in people]
    assert sorted(nearest) == [0, 1, 2, 3]
    assert nearest[0] == 1
    for person, i in zip(people, nearest, strict=True):
        assert error(person, poses[i]) < 0.15
    assert error(find_person(picture, estimator), poses[1]) < 0.15


def test_the_same_person_is_not_found_twice(estimator, monkeypatch):
    picture, (pose,) = photo((900, 700), (21, 300, 100, 500))
    views = [estimation._View(280, 80, 540), estimation._View(250, 90, 500), estimation._View(200, 0, 690)]
    monkeypatch.setattr(estimation, "_candidates", lambda *_: views)
    people = find_people(picture, estimator)
    assert len(people) == 1 and error(people[0], pose) < 0.12


@pytest.mark.parametrize("certainty, size, there", [(0.41, 50, True), (0.39, 50, False), (0.9, 48, False)])
def test_who_is_uncertain_or_tiny_is_nobody(estimator, monkeypatch, certainty, size, there):
    pose = STANDING[0] * size / float(nan_range(STANDING[0]).max())
    person = Person(pose, torch.full((18,), certainty), certainty)
    monkeypatch.setattr(estimation, "_candidates", lambda *_: [estimation._View(0, 0, 9)])
    monkeypatch.setattr(estimation, "_closer", lambda *_: person)
    assert (find_person(Image.new("RGB", (800, 600)), estimator) is person) == there


def test_each_look_is_closer(estimator, monkeypatch):
    picture, _ = photo((1600, 1200), (641, 900, 500, 420))
    view = estimation._View(700, 300, 900)
    several = estimation._closer(picture, view, estimator)
    monkeypatch.setattr(estimation, "MOST_LOOKS", 1)
    assert estimation._closer(picture, view, estimator).certainty < several.certainty


def test_nobody_is_told_as_nobody(estimator):
    with Image.open(ROOT / "data/render/panoramas/venice.png") as file:
        empty = file.convert("RGB")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8))
    for picture in (
        empty.resize((700, 500)),
        noise,
        Image.new("RGB", (20, 20)),
        Image.new("RGB", (1, 7), "white"),
    ):
        assert find_person(picture, estimator) is None and find_people(picture, estimator) == []


def test_a_body_that_is_cut_off_lacks_joints(estimator):
    """Head and shoulders to the hips: a person all the same, whose legs are missing."""
    picture, (pose,) = photo((256, 512), (260, 0, 0, 512))
    person = find_person(picture.crop((0, 0, 256, 290)), estimator)
    assert person is not None
    assert error(person, pose) < 0.15
    legs = [JOINT[name] for name in ("Rkne", "Lkne", "Rank", "Lank")]
    assert (person.scores[legs] < person.scores[[JOINT["Rsho"], JOINT["Lsho"]]].min()).all()
    assert visible(person.pose)[legs].sum() < 4


@pytest.mark.parametrize(
    "kind", [1, 2, 3, 4, 5, 6, 7, 8, "L.jpg", "CMYK.jpg", "RGBA.webp", "16.png", "P.png"]
)
def test_photos_of_every_kind(estimator, tmp_path, kind):
    """Turned as EXIF says, grey, CMYK, transparent, of 16 bits, with a palette."""
    picture, (pose,) = photo((400, 600), (260, 60, 40, 520))
    path = tmp_path / (kind if isinstance(kind, str) else "turned.jpg")
    if isinstance(kind, int):
        back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each orientation
        stored = picture if kind == 1 else picture.transpose(Image.Transpose(back[kind]))
        exif = Image.Exif()
        exif[0x112] = kind
        stored.save(path, exif=exif, quality=95)
    elif kind == "16.png":
        Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(path)
    elif kind == "RGBA.webp":
        picture.putalpha(255)
        picture.save(path, quality=95)
    else:
        picture.convert(path.stem).save(path)
    with opened(path) as file:
        shown = decode(file)
    assert shown.size == (400, 600) and shown.mode == "RGB"
    person = find_person(shown, estimator)
    assert person is not None and error(person, pose) < 0.15


def test_a_picture_of_twelve_thousand_pixels_and_one_of_twenty(estimator):
    small, (pose,) = photo((1200, 500), (260, 500, 20, 460))
    person = find_person(small.resize((12_000, 5_000), Image.Resampling.NEAREST), estimator)
    assert person is not None and error(person, rescale_pose(pose, (500, 1200), (5_000, 12_000))) < 0.12
    tiny, (pose,) = photo((64, 128), (260, 0, 0, 128))
    tiny = tiny.resize((20, 40), Image.Resampling.BOX)
    person = find_person(tiny, estimator)
    assert person is None or error(person, rescale_pose(pose, (128, 64), (40, 20))) < 0.5


class Marks(torch.nn.Module):
    """In the network's place: the picture itself."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, square):
        return square


@pytest.mark.parametrize(
    "view", [(10, 20, 64), (-30, -50, 400), (100, 40, 257), (-3, -7, 2900), (1111, 555, 1777)]
)
def test_a_view_shows_what_is_there(view):
    """A bright spot is seen where the view says that it is, also beyond borders and where whole blocks are averaged."""
    width, height = 2600, 2100
    left, top, side = view
    x, y = (
        max(0, left) + min(width - max(0, left), side) * 0.4,
        max(0, top) + min(height - max(0, top), side) * 0.55,
    )
    if left < 0:
        x = (left + side) * 0.4
    if top < 0:
        y = (top + side) * 0.55
    x, y = min(x, width - 20), min(y, height - 20)
    ys, xs = np.mgrid[0:height, 0:width]
    spot = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * (0.03 * side) ** 2))
    picture = Image.fromarray((255 * spot).astype(np.uint8)).convert("RGB")
    shown, taken = estimation._look(picture, estimation._View(*view), PoseEstimator(Marks(), 192))
    light = (shown[0, 0].double() + 1).clamp(min=0.05) - 0.05
    centre = (torch.arange(192).double() + 0.5) / 192
    found = light.sum(0) @ centre / light.sum(), light.sum(1) @ centre / light.sum()
    place = [
        share * taken.side - 0.5 + start for share, start in zip(found, (taken.left, taken.top), strict=True)
    ]
    assert abs(place[0] - x) < 0.0006 * side + 0.1 and abs(place[1] - y) < 0.0006 * side + 0.1
    assert taken.left <= left and taken.top <= top
    assert taken.left + taken.side >= left + side and taken.side <= side + 2 * max(1, side // 576)


# ---------------------------------------------------------------------------------------------------- crops


@pytest.mark.parametrize("size", [(128, 64), (256, 128), (96, 48)])
@pytest.mark.parametrize("place", [(260, 60, 40, 520), (21, 500, 300, 333), (641, 0, 250, 350)])
def test_a_person_is_cropped_to_where_training_has_it(size, place):
    picture, (pose,) = photo((800, 600), place)
    cropped = crop_to_model(picture, pose, size)
    assert cropped.picture.shape == (3, *size) and cropped.picture.abs().max() <= 1
    share = cropped.pose / torch.tensor([size[1], size[0]])
    assert float(body_size(cropped.pose)) / size[0] == pytest.approx(estimation.BODY_SIZE, rel=1e-4)
    ankles = cropped.pose[[JOINT["Rank"], JOINT["Lank"]], 1].nan_to_num(-1).max()
    assert float(ankles) / size[0] == pytest.approx(estimation.GROUND, abs=1e-4)
    xs = share[visible(cropped.pose), 0]
    assert float(xs.min() + xs.max()) == pytest.approx(1 - 1 / size[1], abs=1e-4)
    torch.testing.assert_close(cropped.crop.back(cropped.pose)[visible(cropped.pose)], pose[visible(cropped.pose)],
                               atol=0.01, rtol=0)  # fmt: skip


def test_training_pictures_are_left_nearly_as_they_are():
    """What is measured on the training pictures: a crop of a picture of theirs is most of that picture."""
    part = open_split("data/people", "test")
    moved = []
    for i in range(0, 1000, 5):
        if visible(part.poses[i])[[*REQUIRED, JOINT["Rank"], JOINT["Lank"]]].all():
            crop = crop_to_model(Image.new("RGB", (64, 128)), part.poses[i]).crop
            moved.append([crop.left, crop.top, crop.scale])
    middle = torch.tensor(moved).median(0).values
    assert middle[:2].abs().max() < 2 and abs(middle[2] - 1) < 0.03


def test_points_of_the_picture_lie_on_the_same_things_of_the_photo():
    """A spot of the photo is seen in the crop where ``to`` says, and ``back`` finds it, within half a pixel."""
    pose = STANDING[0] * 4 + torch.tensor([200.0, 70.0])
    spots = torch.tensor([[325.0, 180.0], [300.5, 411.25], [350.0, 300.0]])
    ys, xs = np.mgrid[0:600, 0:800]
    for x, y in spots.tolist():
        light = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * 6.0**2))
        cropped = crop_to_model(Image.fromarray((255 * light).astype(np.uint8)).convert("RGB"), pose)
        seen = (cropped.picture[0].double() + 1).clamp(min=0.05) - 0.05
        rows, columns = torch.arange(128).double(), torch.arange(64).double()
        found = torch.stack([seen.sum(0) @ columns, seen.sum(1) @ rows]) / seen.sum()
        torch.testing.assert_close(cropped.crop.back(found), torch.tensor([x, y]).double(), atol=0.2, rtol=0)
        torch.testing.assert_close(cropped.crop.to(torch.tensor([x, y]).double()), found, atol=0.15, rtol=0)


def test_beyond_the_borders_the_outermost_pixels_go_on():
    red = Image.new("RGB", (38, 72), "red")
    cropped = crop_to_model(red, STANDING[0] * 0.6)
    assert cropped.crop.left < -0.5 and cropped.crop.top < -0.5
    assert cropped.crop.left + 64 / cropped.crop.scale > 38.5
    assert cropped.crop.top + 128 / cropped.crop.scale > 72.5
    assert (cropped.picture[0] > 0.99).all() and (cropped.picture[1:] < -0.99).all()


def test_what_a_person_lacks_does_not_stop_the_crop():
    picture, (pose,) = photo((800, 600), (260, 60, 40, 520))
    whole = crop_to_model(picture, pose)
    upper = pose.clone()
    upper[[JOINT[name] for name in ("Rkne", "Lkne", "Rank", "Lank")]] = torch.nan
    cropped = crop_to_model(picture, upper)
    hips = cropped.pose[[JOINT["Rhip"], JOINT["Lhip"]], 1].mean() / 128
    assert float(hips) == pytest.approx(estimation.HIPS, abs=1e-4) and cropped.crop.scale == whole.crop.scale
    upper[[JOINT["Rhip"], JOINT["Lhip"]]] = torch.nan
    cropped = crop_to_model(picture, upper)
    assert cropped.crop.scale == pytest.approx(whole.crop.scale, rel=0.25)
    assert float(cropped.pose[JOINT["neck"], 1]) / 128 == pytest.approx(estimation.NECK, abs=1e-4)
    upper[JOINT["neck"]] = torch.nan
    with pytest.raises(
        UserError, match=r"neither a hip and a shoulder .* nor a neck and a face.*--source-pose"
    ):
        crop_to_model(picture, upper)


def test_joints_outside_the_crop_are_missing():
    picture, (pose,) = photo((800, 600), (260, 200, 40, 520))
    pose[JOINT["Rwri"], 0] -= 300
    pose[JOINT["Lwri"], 0] += 300
    cropped = crop_to_model(picture, pose)
    assert not visible(cropped.pose)[[JOINT["Rwri"], JOINT["Lwri"]]].any()
    assert torch.equal(visible(cropped.pose)[list(REQUIRED)], visible(pose)[list(REQUIRED)])
