"""The generator as an ONNX graph, run by onnxruntime, beside PyTorch's on held-out pairs."""

import sys

import numpy as np
import pytest
import torch

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.cli import PEOPLE, SHIPPED
from sdgan_lib.cli import main as command
from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import held_out
from sdgan_lib.generators import GeneratorConfig, make_generator
from sdgan_lib.studio import export
from sdgan_lib.studio.export import INPUTS, OUTPUTS, export_onnx, graph_inputs

pytest.importorskip("onnx", reason="the extra page is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra page is not installed")

PAIRS = 50


def opened(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """The shipped generator's graph as the command line writes it, and the whole one that it is taken from."""
    folder = tmp_path_factory.mktemp("graph")
    whole, written = folder / "whole.onnx", folder / "sdgan.onnx"

    def kept(*args):
        made = to_onnx(*args)
        whole.write_bytes(made.SerializeToString())
        return made

    to_onnx = export.to_onnx
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "to_onnx", kept)
        assert command(["export", str(SHIPPED), str(written)]) == 0
    return written, whole


@pytest.fixture(scope="module")
def graph(graphs):
    return graphs[0]


@pytest.mark.slow
def test_the_graph_makes_the_pictures_that_pytorch_makes(graphs):
    generator, session, whole = load_generator(SHIPPED), *map(opened, graphs)
    for some, outputs in ((session, OUTPUTS[:1]), (whole, OUTPUTS)):
        assert [given.name for given in some.get_inputs()] == list(INPUTS)
        assert [made.name for made in some.get_outputs()] == list(outputs)
    pairs = held_out(PEOPLE)
    worst, changed = dict.fromkeys(OUTPUTS, 0.0), 0.0
    for index in np.linspace(0, len(pairs) - 1, PAIRS).astype(int):
        pair = pairs[int(index)]
        image, source, target = (pair[name][None] for name in ("source_image", "source_pose", "target_pose"))
        with torch.inference_mode():
            made = generator.transfer(image, source, target)
        wanted = made.image, *made.images[:2], made.attention[-1], made.background.picture
        feed = graph_inputs(image, source, target, generator.config.background)
        feed = {name: value.numpy() for name, value in feed.items()}
        (picture,), found = session.run(None, feed), whole.run(None, feed)
        assert picture.shape == (1, 3, 128, 64) and np.array_equal(picture, found[0])
        for name, values, tensor in zip(OUTPUTS, found, wanted, strict=True):
            assert values.shape == tensor.shape
            worst[name] = max(worst[name], float(np.abs(values - tensor.numpy()).max()))
        changed = max(changed, float(np.abs(picture - image.numpy()).max()))
    assert max(worst.values()) < 1e-4, f"the graph differs: {worst}"
    assert changed > 0.5, "the graph gives the source picture back"


@pytest.mark.slow
def test_the_file_is_as_small_as_the_exported_weights(graph):
    assert graph.stat().st_size < 1.1 * SHIPPED.stat().st_size
    text = graph.read_bytes()
    assert b"sdgan_lib/" not in text and b"site-packages" not in text, "the file tells where it was made"


def test_another_system_is_refused(tmp_path):
    for config in (
        GeneratorConfig(system="deformable", width=2, depth=4),
        GeneratorConfig(system="sdgan", width=4, depth=4),
    ):
        with pytest.raises(UserError, match="composition"):
            export_onnx(make_generator(config), tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_named_with_the_remedy(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert command(["export", str(SHIPPED), str(tmp_path / "graph.onnx")]) == 1
    told = capsys.readouterr().err
    assert "onnxscript" in told and "pip install -e '.[page]'" in told
    assert not list(tmp_path.iterdir())
