"""The stacked generator as one ONNX graph, for programs without PyTorch: the studio's page, say.

The graph computes nothing from joints. Heat maps, the limbs' maps and their masks are inputs, for whoever calls it to
compute: ``heatmaps`` and ``limbWarps`` of ``geometry.mjs``, or :func:`sdgan_lib.heatmaps.heatmaps` and
:func:`sdgan_lib.warping.limb_warps`. The deformable skip stands there in its plain form
(:func:`sdgan_lib.warping.deformable_skip_reference`), as a graph has no gather that fits the pose.

One graph, not one per photograph and one per pose: what depends on the photograph alone takes a seventh of the time.

Needs the extra ``page`` (onnx and onnxscript to write a graph, onnxruntime to run it).
"""

import contextlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sdgan_lib.errors import UserError
from sdgan_lib.files import write_whole
from sdgan_lib.generators import WARPED_LEVELS, Generator, StackedGenerator
from sdgan_lib.inputs import Inputs, make_inputs
from sdgan_lib.pose import JOINTS
from sdgan_lib.warping import REGIONS, LimbWarps, deformable_skip_reference

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
"""Version of ONNX's operators, the first with today's ``GridSample``; onnxruntime-web runs all that are used."""

INPUTS = ("source_image", "source_heatmaps", "target_heatmaps", "maps", "masks")
"""Names of the graph's inputs, see :meth:`PlainGenerator.forward`."""

OUTPUTS = ("picture", "low", "middle", "attention", "background")
"""Names of what :meth:`PlainGenerator.forward` returns. A file has the first alone (:func:`picture_alone`): the
smaller pictures cost a twentieth of the time, and nothing else needs them."""

SMALLEST = 64
"""Numbers of the smallest weights that are stored in half precision; fewer save nothing."""


@dataclass(frozen=True, eq=False)
class _Given(Inputs):
    """Inputs whose warps were computed elsewhere."""

    given: LimbWarps | None = None

    @property
    def warps(self) -> LimbWarps:
        return self.given


class PlainGenerator(StackedGenerator):
    """A trained stacked generator, by the weights and the forward pass of its class; its skips are the plain ones.

    Args:
        generator: whose configuration and weights it takes over (a copy).

    Raises:
        UserError: for a system whose graph would need the joints themselves.
    """

    def __init__(self, generator: Generator):
        config = generator.config
        if config.system != "sdgan" or not config.composition:
            raise UserError(
                "only the stacked generator with composition can be written as ONNX. Remedy: export one that was "
                "trained by the preset sdgan."
            )
        super().__init__(config)
        self.load_state_dict(generator.state_dict())
        self.eval()

    def forward(
        self,
        source_image: Tensor,
        source_heatmaps: Tensor,
        target_heatmaps: Tensor,
        maps: Tensor,
        masks: Tensor,
    ) -> tuple[Tensor, ...]:
        """The person of a picture in another pose, and what is made on the way there.

        Args:
            source_image: ``[1, 3, H, W]`` in [-1, 1].
            source_heatmaps, target_heatmaps: ``[1, 18, H, W]`` in [0, 1].
            maps, masks: ``[1, 11, 2, 3]`` and ``[1, 11, H, W]``, those of :class:`sdgan_lib.warping.LimbWarps` at the
                picture's size.

        Returns:
            The picture ``[1, 3, H, W]`` in [-1, 1], those of the low and middle scale, the attention at full size
            ``[1, 12, H, W]`` and the background ``[1, 3, H, W]``: see :class:`sdgan_lib.inputs.Generated`.
        """
        height, width = source_image.shape[-2:]
        warps = LimbWarps(maps, masks, (height, width))
        nowhere = source_image.new_full((1, len(JOINTS), 2), torch.nan)  # the joints themselves are not read
        inputs = _Given(
            source_image, nowhere, nowhere, source_heatmaps, target_heatmaps, self.config.background, warps
        )
        made = super().forward(inputs)
        return made.image, *made.images[:-1], made.attention[-1], made.background.picture

    def join_skips(self, appearance: list[Tensor], pose: list[Tensor], inputs: Inputs) -> list[Tensor]:
        skips = []
        for level in reversed(range(self.config.depth)):
            moved = appearance[level]
            if level < WARPED_LEVELS:
                moved = deformable_skip_reference(moved, inputs.warps, self.config.aggregate)
            skips.append(torch.cat([moved, pose[level]], 1))
        return skips


def graph_inputs(
    source_image: Tensor, source_pose: Tensor, target_pose: Tensor, background: str = "identity"
) -> dict[str, Tensor]:
    """What the graph is given, by name, float32, for one pair.

    Args:
        source_image: ``[1, 3, H, W]`` in [-1, 1].
        source_pose, target_pose: ``[1, 18, 2]`` (x, y) in pixels, NaN where a joint is missing.
        background: of the generator's configuration.
    """
    made = make_inputs(source_image, source_pose, target_pose, background)
    values = (source_image, made.source_heatmaps, made.target_heatmaps, made.warps.maps, made.warps.masks)
    return {name: value.float().contiguous() for name, value in zip(INPUTS, values, strict=True)}


def export_onnx(generator: Generator, out: Path, size: tuple[int, int] = (128, 64)) -> Path:
    """Write a trained stacked generator as an ONNX graph for one picture of a fixed size, its one output ``picture``.

    Weights that half precision holds without loss, as all of an exported file are, are stored in it and widened when
    the graph is loaded: it computes in float32.

    Args:
        generator: as :func:`sdgan_lib.checkpoints.load_generator` returns it.
        out: file to write, by convention ``.onnx``.
        size: height and width of the pictures.

    Raises:
        UserError: the extra ``page`` is not installed, the generator is of another system, or it does not take
            pictures of this size.
    """
    generator.config.check_size(*size)
    graph = to_onnx(PlainGenerator(generator).cpu(), example_inputs(*size), INPUTS, OUTPUTS)
    write_whole(out, picture_alone(graph).SerializeToString())
    return out


def picture_alone(graph: "ModelProto") -> "ModelProto":
    """The part of a graph of :class:`PlainGenerator` that its ``picture`` needs; weights stay where they are."""
    from onnx.utils import Extractor

    return Extractor(graph).extract_model(list(INPUTS), list(OUTPUTS[:1]))


def example_inputs(height: int, width: int) -> tuple[Tensor, ...]:
    """Inputs of :class:`PlainGenerator` of the right shapes, without meaning."""
    maps = [
        (3, height, width),
        *[(len(JOINTS), height, width)] * 2,
        (len(REGIONS), 2, 3),
        (len(REGIONS), height, width),
    ]
    return tuple(torch.rand(1, *shape) for shape in maps)


def to_onnx(
    module: nn.Module, example: tuple[Tensor, ...], inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> "ModelProto":
    """A network as an ONNX graph for inputs of the shapes of ``example``, its weights halved where nothing is lost."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed, which writes ONNX graphs. Remedy: pip install -e '.[page]'"
        ) from error
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporter's own making
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    model = program.model_proto
    _halve(model)
    return model


def _halve(model: "ModelProto") -> None:
    """Store float32 weights in half precision where that changes none of them; a ``Cast`` widens each again."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < SMALLEST or not np.array_equal(half.astype(np.float32), values):
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    # what is left of the place where it was written, and of the names of PyTorch's operations, is nobody's business
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.metadata_props[:], model.metadata_props[:], graph.value_info[:]
