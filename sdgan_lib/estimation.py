"""Poses found in pictures, by MoveNet: how an outside network measures whether joints are where they should be.

MoveNet (Google, 2021; Apache-2.0) is a CenterNet (Zhou et al. 2019, "Objects as Points") for one person: a MobileNetV2
(Sandler et al. 2018) with a feature pyramid (Lin et al. 2017) and four heads at a quarter of the picture's size. Its
structure and the arithmetic of :meth:`MoveNet.decode` are read off the published graph; batch norm is folded into the
convolutions, as it is there. ``data/checkpoints/movenet/`` ships its weights and says where they come from.

Nothing is ever trained on this network or on its features. That would turn the measure into a target.

It also finds people in photographs (:func:`find_people`), which :func:`crop_to_model` brings to where the training
pictures have theirs.
"""

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load
from torch import Tensor, nn

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import read_bytes
from sdgan_lib.images import from_uint8, pixels
from sdgan_lib.pose import FACE, JOINT, JOINTS, body_size, check_pose, visible

SHIPPED = Path(__file__).parents[1] / "data/checkpoints/movenet/thunder.safetensors"
"""The estimator that comes with the repository: Thunder, the more exact one."""

LIGHTNING = SHIPPED.with_name("lightning.safetensors")
"""The other one, some four times as quick, less exact."""

FILE_LIMIT = 1 << 26
"""Bytes of the largest file that is read as an estimator's weights."""

MARGIN = 1.1
"""Side of the square that is looked at, as a multiple of the picture's longer side."""

BATCH = {"cpu": 1}
"""Pictures that go through the network at once, by type of device, else 64. On one core one by one is quickest: 20 per
second, against 16 by fours and 14 by eights, whose maps leave the cache."""

LEAST_SCORE = 0.2
"""Score from which a joint counts as found, as in MoveNet's own published cropping; below it, its place is a guess.

On 200 held-out pictures one in a hundred of the joints in their right places has less than 0.25."""

CERTAIN = 0.4
"""Certainty (:class:`Person`) from which somebody is there.

Measured with Thunder, each view looked at again, closer: 150 parts of pictures without people reach at most 0.32,
held-out people at least 0.44."""

LEAST_EXTENT = 1 / 16
"""Extent (:class:`Person`) from which somebody is there, as a share of the picture's longer side: enlarged further, a
blur passes for a body."""

LEAST_CENTRE = 0.15
"""Value of the centre map from which a place is looked at closer; at people's centres it is seldom below 0.3."""

MOST_LOOKS = 4
"""How often one person is looked at, each time closer."""

TRAINED = (128, 64)
"""Height and width of the pictures that the shipped generator was trained on."""

BODY_SIZE, HEAD_SIZE = 29.2 / 128, 14.7 / 128
"""Body size and head size of the embedded people, as shares of the picture's height: their means."""

GROUND, HIPS, NECK = 117 / 128, 67 / 128, 38 / 128
"""Where their lower ankle, hips and neck lie, as shares of the height: medians. The ankle varies least, by 4 pixels."""

BLACK = -1.0
NEAR = 1.8  # cells: added to a distance before it divides, so that the peak of a weight is finite

MOVENET_JOINTS = (
    "nose", "Leye", "Reye", "Lear", "Rear", "Lsho", "Rsho", "Lelb", "Relb", "Lwri", "Rwri",
    "Lhip", "Rhip", "Lkne", "Rkne", "Lank", "Rank",
)  # fmt: skip
"""MoveNet's 17 joints in its order (COCO's), by their names in :data:`sdgan_lib.pose.JOINTS`."""

COUNTED = tuple(JOINT[name] for name in MOVENET_JOINTS)
"""Indices of the joints that are counted by :func:`pck`: all but the neck, which is drawn between the shoulders."""


class Variant(NamedTuple):
    """One of the published networks.

    Attributes:
        width: multiplier of MobileNetV2's channels.
        size: side in pixels of the pictures it was trained for, a multiple of 32.
        digest: SHA-256 of the file that ``data/checkpoints/movenet/convert.py`` makes of it.
    """

    width: float
    size: int
    digest: str


VARIANTS = {
    "thunder": Variant(1.75, 256, "4b605fb4734783b63ecff2c4a414fc4df0ef78898b1de242c1c394769d6d4415"),
    "lightning": Variant(1.0, 192, "e546e6562ebe794cfe88aab4a288255711595029183ba35c53e2a8015e77f45d"),
}


class Found(NamedTuple):
    """What :class:`PoseEstimator` finds.

    Attributes:
        pose: ``[B, 18, 2]``, (x, y) in pixels of the pictures; never NaN, so look at the scores. The neck is the middle
            of the shoulders.
        scores: ``[B, 18]`` in 0 to 1, the network's certainty; the neck has the lower one of the shoulders.
    """

    pose: Tensor
    scores: Tensor


class Maps(NamedTuple):
    """The four heads' maps, ``[B, C, S / 4, S / 4]``.

    Attributes:
        centre: ``[B, 1, ...]``, logits of a person's centre.
        regression: ``[B, 34, ...]``, (y, x) from a person's centre to each joint, in cells.
        heatmaps: ``[B, 17, ...]``, logits of the joints.
        offsets: ``[B, 34, ...]``, (y, x) from the cell's corner to the joint, in cells.
    """

    centre: Tensor
    regression: Tensor
    heatmaps: Tensor
    offsets: Tensor


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of ``size`` pixels by TensorFlow's SAME: the result has ``ceil(size / stride)``.

    An odd number of zeros has its extra one after. With stride 2 and an even size a 3-pixel window therefore starts on
    the first pixel, where PyTorch's ``padding=1`` would start one before it.
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Conv(nn.Conv2d):
    """A convolution with bias and TensorFlow's SAME padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (same_padding(n, self.kernel_size[0], self.stride[0]) for n in x.shape[-2:])
        if rows[0] == rows[1] and columns[0] == columns[1]:
            return F.conv2d(
                x, self.weight, self.bias, self.stride, (rows[0], columns[0]), self.dilation, self.groups
            )
        x = F.pad(x, (*columns, *rows))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Block(nn.Module):
    """MobileNetV2's inverted residual: widen (unless ``expansion`` is 1), depthwise 3 x 3, narrow; added to its input.

    It is added where the shapes agree. ReLU6 follows the first two convolutions, nothing the last.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = Conv(inputs, inner) if expansion > 1 else None
        self.depthwise = Conv(inner, inner, 3, stride, groups=inner)
        self.project = Conv(inner, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return x + y if self.residual else y


class Separable(nn.Module):
    """A depthwise 3 x 3 and a 1 x 1 convolution, followed by a ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)))


# (expansion, channels, blocks, stride of the first) of MobileNetV2's stages, Table 2 of its paper.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
TAPPED = (1, 2, 3)  # stages whose results enter the pyramid: 1/4, 1/8 and 1/16 of the picture's size
LAST = 1280  # channels of MobileNetV2's last convolution, whatever its width
PYRAMID = (64, 32, 24, 24)  # channels of the pyramid at 1/32, 1/16, 1/8 and 1/4
HEAD = 96  # inner channels of a head


def scaled(channels: int, width: float) -> int:
    """Channels at a width: the multiple of 8 nearest to the product, at least 8."""
    return max(8, int(channels * width + 4) // 8 * 8)


class Backbone(nn.Module):
    """MobileNetV2: a picture ``[B, 3, S, S]`` as features of 1/4, 1/8, 1/16 and 1/32 of its size."""

    def __init__(self, width: float) -> None:
        super().__init__()
        channels = scaled(32, width)
        self.stem = Conv(3, channels, 3, stride=2)
        self.stages = nn.ModuleList()
        self.channels = []
        for stage, (expansion, outputs, blocks, stride) in enumerate(STAGES):
            outputs = scaled(outputs, width)
            layers = [
                Block(channels if i == 0 else outputs, outputs, stride if i == 0 else 1, expansion)
                for i in range(blocks)
            ]
            self.stages.append(nn.Sequential(*layers))
            channels = outputs
            if stage in TAPPED:
                self.channels.append(channels)
        self.last = Conv(channels, LAST)
        self.channels.append(LAST)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self.stem(x))
        features = []
        for stage, layers in enumerate(self.stages):
            x = layers(x)
            if stage in TAPPED:
                features.append(x)
        return [*features, F.relu6(self.last(x))]


class Pyramid(nn.Module):
    """A feature pyramid: from coarse to fine, each level is the coarser one enlarged plus its own features.

    Args:
        channels: of the backbone's features, fine to coarse.
    """

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        coarse_first = list(reversed(channels))
        widths = (PYRAMID[0], *PYRAMID[:3])
        self.lateral = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1) for inputs, outputs in zip(coarse_first, widths, strict=True)
        )
        self.smooth = nn.ModuleList(Separable(inputs, outputs) for inputs, outputs in pairwise(PYRAMID))

    def forward(self, features: list[Tensor]) -> Tensor:
        coarsest, *finer = reversed(features)
        x = self.lateral[0](coarsest)
        for lateral, smooth, feature in zip(self.lateral[1:], self.smooth, finer, strict=True):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = smooth(x + lateral(feature))
        return x


class Head(nn.Module):
    """One of the heads: :class:`Separable`, then a 1 x 1 convolution to its maps."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.features = Separable(PYRAMID[-1], HEAD)
        self.maps = nn.Conv2d(HEAD, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(self.features(x))


class MoveNet(nn.Module):
    """The network: pictures ``[B, 3, S, S]`` in [-1, 1] become :class:`Maps`. ``S`` is a multiple of 32.

    Args:
        width: multiplier of the backbone's channels: 1.75 for Thunder, 1 for Lightning.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        joints = len(MOVENET_JOINTS)
        self.backbone = Backbone(width)
        self.pyramid = Pyramid(self.backbone.channels)
        self.centre = Head(1)
        self.regression = Head(2 * joints)
        self.heatmaps = Head(joints)
        self.offsets = Head(2 * joints)

    def forward(self, x: Tensor) -> Maps:
        return self.maps(self.backbone(x))

    def maps(self, features: list[Tensor]) -> Maps:
        """The heads' maps from what the backbone gives."""
        x = self.pyramid(features)
        return Maps(self.centre(x), self.regression(x), self.heatmaps(x), self.offsets(x))

    @staticmethod
    def decode(maps: Maps) -> Tensor:
        """Joints from the heads' maps, as the published graph computes them: ``[B, 17, 3]`` of (y, x, score).

        The person is the one whose centre is most certain, near the picture's centre first. From it the regression
        points roughly at each joint; the joint's cell is where its heat map divided by the distance to that rough place
        is highest (both distances + 1.8 cells). The offset there refines it, and the heat map there is the score.

        y and x are shares of the square: 0 and 1 are its outer edges.
        """
        batch, joints, rows, columns = maps.heatmaps.shape
        y = torch.arange(rows, device=maps.heatmaps.device, dtype=maps.heatmaps.dtype).view(rows, 1)
        x = torch.arange(columns, device=y.device, dtype=y.dtype)

        centrality = ((y - rows // 2).square() + (x - columns // 2).square()).sqrt() + NEAR
        centre = (maps.centre[:, 0].sigmoid() / centrality).flatten(1).argmax(1)  # [B], a cell's number
        of_centre = centre.view(batch, 1, 1).expand(-1, 2 * joints, 1)
        rough = maps.regression.flatten(2).gather(2, of_centre).view(batch, joints, 2)
        rough = rough + torch.stack([centre // columns, centre % columns], 1).view(batch, 1, 2)

        scores = maps.heatmaps.sigmoid()
        rough_y, rough_x = rough.view(batch, joints, 2, 1, 1).unbind(2)
        distance = ((y - rough_y).square() + (x - rough_x).square()).sqrt() + NEAR
        cell = (scores / distance).flatten(2).argmax(2)[..., None]  # [B, 17, 1]

        offset = maps.offsets.view(batch, joints, 2, -1).gather(3, cell[:, :, None].expand(-1, -1, 2, -1))
        place = torch.cat([cell // columns, cell % columns], 2) + offset[..., 0]
        score = scores.flatten(2).gather(2, cell)
        return torch.cat([place / place.new_tensor([rows, columns]), score], 2)


class PoseEstimator:
    """Pictures to poses: each is put into a black square, resized, and looked at by :class:`MoveNet`.

    Args:
        network: in evaluation mode, on the device where the work is to be done.
        size: side of the square that the network is given, in pixels.
    """

    def __init__(self, network: MoveNet, size: int) -> None:
        self.network = network.eval()
        self.size = size

    def __call__(self, pictures: Tensor) -> Found:
        """The pose of the one person in each picture.

        Args:
            pictures: float ``[B, 3, H, W]`` in [-1, 1], of any size, on any device.

        Returns:
            :class:`Found`, float32 on the pictures' device. It always has all joints: a score below
            :data:`LEAST_SCORE` says that there is none to be seen.

        Raises:
            ValueError: for another shape or type.
        """
        return Found(*self.look(pictures)[:2])

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pose in each picture, as by a call, and what the network saw on the way, in one pass.

        Returns:
            Pose and scores as in :class:`Found`; and the backbone's last features, at 1/32 of the size, averaged over
            the square: float32 ``[B, 1280]``, 0 to 6, for :func:`sdgan_lib.metrics.kernel_distance`.
        """
        if pictures.ndim != 4 or pictures.shape[1] != 3 or 0 in pictures.shape:
            raise ValueError(
                f"pictures must have the shape [B, 3, H, W] with B > 0, got {list(pictures.shape)}"
            )
        if not pictures.is_floating_point():
            raise ValueError(f"pictures must be float in [-1, 1], got {pictures.dtype}: use x / 127.5 - 1")
        device = next(self.network.parameters()).device
        decoded, seen = [], []
        for some in pictures.split(BATCH.get(device.type, 64)):
            features = self.network.backbone(in_square(some.to(device, torch.float32), self.size))
            decoded.append(MoveNet.decode(self.network.maps(features)).to(pictures.device))
            seen.append(features[-1].mean((2, 3)).to(pictures.device))
        return *_found(torch.cat(decoded), *pictures.shape[-2:]), torch.cat(seen)


class _View(NamedTuple):
    """A square of a photograph, in its pixels; it may reach beyond the borders, where all is black."""

    left: int
    top: int
    side: int


def square_around(height: int, width: int) -> tuple[int, int, int]:
    """(side, left, top) in pixels of the square around a picture: :data:`MARGIN` times the longer side, centred."""
    side = round(MARGIN * max(height, width))
    return side, (side - width) // 2, (side - height) // 2


def in_square(pictures: Tensor, size: int) -> Tensor:
    """Pictures ``[B, 3, H, W]`` in the middle of a black square (:func:`square_around`), resized to ``size``.

    Bilinear; averaging where it shrinks. Black is what the published code fills up with.
    """
    height, width = pictures.shape[-2:]
    side, left, top = square_around(height, width)
    square = F.pad(pictures, (left, side - width - left, top, side - height - top), value=BLACK)
    return F.interpolate(square, (size, size), mode="bilinear", align_corners=False, antialias=side > size)


def _found(decoded: Tensor, height: int, width: int) -> Found:
    """What :meth:`MoveNet.decode` gives, ``[B, 17, 3]`` in shares of the square, as 18 joints in a picture's pixels."""
    side, left, top = square_around(height, width)
    return _in_view(decoded, _View(-left, -top, side))


def _in_view(decoded: Tensor, view: _View) -> Found:
    """What :meth:`MoveNet.decode` gives, ``[B, 17, 3]`` in shares of a square, as 18 joints in the picture's pixels."""
    pose = decoded.new_zeros(len(decoded), len(JOINTS), 2)
    scores = decoded.new_zeros(len(decoded), len(JOINTS))
    pose[:, COUNTED] = decoded[..., [1, 0]] * view.side - 0.5 + decoded.new_tensor([view.left, view.top])
    scores[:, COUNTED] = decoded[..., 2]
    shoulders = [JOINT["Rsho"], JOINT["Lsho"]]
    pose[:, JOINT["neck"]] = pose[:, shoulders].mean(1)
    scores[:, JOINT["neck"]] = scores[:, shoulders].amin(1)
    return Found(pose, scores)


class Person(NamedTuple):
    """Somebody found in a photograph.

    Attributes:
        pose: ``[18, 2]``, (x, y) in its pixels, NaN where a joint's score is below :data:`LEAST_SCORE`.
        scores: ``[18]`` in 0 to 1.
        certainty: the mean of the six best scores, so that a body that is cut off counts as well as a whole one.
    """

    pose: Tensor
    scores: Tensor
    certainty: float

    @property
    def extent(self) -> float:
        """The longer side in pixels of the box round the joints that were found; 0 without any."""
        there = self.pose[visible(self.pose)]
        return float((there.amax(0) - there.amin(0)).max()) if len(there) else 0.0


def find_person(picture: Image.Image, estimator: PoseEstimator | None = None) -> Person | None:
    """The largest, most certain person of a photograph; None where nobody is found.

    The whole is looked at first, and its parts only where that shows nobody.

    Args:
        picture: RGB, as :func:`sdgan_lib.images.decode` gives it, of any size.
        estimator: the shipped Thunder unless given.
    """
    estimator = estimator or load_estimator()
    whole, *parts = _views(*picture.size)
    people = _people(picture, [whole], estimator) or _people(picture, parts, estimator)
    return people[0] if people else None


def find_people(picture: Image.Image, estimator: PoseEstimator | None = None) -> list[Person]:
    """The people of a photograph, the largest and most certain first; an empty list where there is nobody.

    MoveNet is made for one person. But its map of centres shows several, so each place where it is high, in the whole
    picture and in nine overlapping quarters, is looked at closer, again and again as long as the joints grow more
    certain. Who is smaller than about a tenth of the picture, or mostly hidden behind another, is easily missed.

    Args:
        picture: as for :func:`find_person`.
        estimator: the shipped Thunder unless given.
    """
    return _people(picture, _views(*picture.size), estimator or load_estimator())


def _people(picture: Image.Image, views: list[_View], estimator: PoseEstimator) -> list[Person]:
    """The people whose centres show in some views, each once."""
    found: list[Person] = []
    for view in _candidates(picture, views, estimator):
        person = _closer(picture, view, estimator)
        if person.certainty >= CERTAIN and person.extent >= LEAST_EXTENT * max(picture.size):
            found.append(person)
    found.sort(key=lambda person: -person.certainty)
    people: list[Person] = []
    for person in found:
        if not any(_same(person, other) for other in people):
            people.append(person)
    return sorted(people, key=lambda person: -person.certainty * person.extent)


def _views(width: int, height: int) -> list[_View]:
    """The square around a picture, then overlapping squares of half its longer side."""
    side, left, top = square_around(height, width)
    half = math.ceil(max(width, height) / 2)
    views = [_View(-left, -top, side)]
    for y in _starts(height, half):
        views += [_View(x, y, half) for x in _starts(width, half)]
    return views


def _starts(length: int, half: int) -> list[int]:
    """Where overlapping parts of a side begin: three along the longer side, two or one along one not much over half."""
    if length <= half:
        return [(length - half) // 2]
    count = 2 * math.ceil(length / half) - 1
    return [round(i * (length - half) / (count - 1)) for i in range(count)]


def _candidates(picture: Image.Image, views: list[_View], estimator: PoseEstimator) -> list[_View]:
    """Squares round the bodies that the centre maps of some views hint at, the surest first, no two nearly the same."""
    hints: list[tuple[float, _View]] = []
    for view in views:
        maps, view = _look(picture, view, estimator)
        centres = maps.centre[0, 0].sigmoid().cpu()
        peak = (centres == F.max_pool2d(centres[None], 5, 1, 2)[0]) & (centres > LEAST_CENTRE)
        for y, x in peak.nonzero().tolist():
            rough = maps.regression[0, :, y, x].view(-1, 2).cpu() + torch.tensor([y, x])
            points = rough.flip(1) / len(centres) * view.side + torch.tensor([view.left, view.top])
            hints.append((float(centres[y, x]), _around(points, picture.size)))
    hints.sort(key=lambda hint: -hint[0])
    kept: list[_View] = []
    for _, view in hints:
        if not any(_overlap(view, other) > 0.6 for other in kept):
            kept.append(view)
    return kept


def _overlap(a: _View, b: _View) -> float:
    """Intersection over union of two squares."""
    across = min(a.left + a.side, b.left + b.side) - max(a.left, b.left)
    down = min(a.top + a.side, b.top + b.side) - max(a.top, b.top)
    common = max(0, across) * max(0, down)
    return common / (a.side**2 + b.side**2 - common)


def _around(points: Tensor, size: tuple[int, int]) -> _View:
    """The square of :data:`MARGIN` times the longer side round points ``[N, 2]``, kept in a picture (width, height)."""
    points = points.minimum(points.new_tensor(size) - 1).clamp(min=0)
    low, high = points.amin(0), points.amax(0)
    side = max(8, math.ceil(MARGIN * float((high - low).max())))
    left, top = ((low + high - side) / 2).round().int().tolist()
    return _View(left, top, side)


def _look(picture: Image.Image, view: _View, estimator: PoseEstimator) -> tuple[Maps, _View]:
    """What the network makes of a view, and the view as it was taken, up to three network's pixels larger.

    A view that is much larger than the network's picture is averaged over whole blocks of pixels first.
    """
    block = max(1, view.side // (3 * estimator.size))
    left, top = view.left - view.left % block, view.top - view.top % block
    side = math.ceil((view.left + view.side - left) / block) * block
    side = max(side, math.ceil((view.top + view.side - top) / block) * block)
    right, bottom = min(picture.width, left + side), min(picture.height, top + side)
    inside = picture.reduce(block, (max(0, left), max(0, top), right, bottom))
    x, y = min(0, left) // block, min(0, top) // block
    square = inside.crop((x, y, x + side // block, y + side // block))  # black beyond the borders
    square = square.resize((estimator.size, estimator.size), Image.Resampling.BILINEAR)
    device = next(estimator.network.parameters()).device
    with torch.inference_mode():
        return estimator.network(from_uint8(pixels(square))[None].to(device)), _View(left, top, side)


def _closer(picture: Image.Image, view: _View, estimator: PoseEstimator) -> Person:
    """The person in the middle of a view, looked at closer as long as that makes it more certain."""
    best = None
    for _ in range(MOST_LOOKS):
        maps, view = _look(picture, view, estimator)
        found = _in_view(MoveNet.decode(maps).cpu(), view)
        pose, scores = found.pose[0], found.scores[0]
        certainty = float(scores[list(COUNTED)].topk(6).values.mean())
        if best is not None and certainty <= best.certainty:
            break
        best = Person(pose.masked_fill(scores[:, None] < LEAST_SCORE, torch.nan), scores, certainty)
        if certainty < CERTAIN / 2:
            break
        view = _around(best.pose[visible(best.pose)], picture.size)
    return best


def _same(a: Person, b: Person) -> bool:
    """Whether two findings are of one person: joints that both have lie near one another."""
    both = visible(a.pose) & visible(b.pose)
    if both.sum() < 3:
        return False
    distance = (a.pose - b.pose)[both].norm(dim=-1).mean()
    return float(distance) < 0.25 * max(a.extent, b.extent)


@dataclass(frozen=True)
class Crop:
    """Which part of a photograph a picture for the generator is.

    Attributes:
        left, top: outer corner of the part, in pixels of the photograph, counted from its own outer corner.
        scale: pixels of the picture for one of the photograph.
        size: (height, width) of the picture.
    """

    left: float
    top: float
    scale: float
    size: tuple[int, int]

    def to(self, points: Tensor) -> Tensor:
        """Points ``[..., 2]`` of the photograph in pixels of the picture."""
        return (points + 0.5 - points.new_tensor([self.left, self.top])) * self.scale - 0.5

    def back(self, points: Tensor) -> Tensor:
        """Points ``[..., 2]`` of the picture in pixels of the photograph."""
        return (points + 0.5) / self.scale + points.new_tensor([self.left, self.top]) - 0.5


class Cropped(NamedTuple):
    """What :func:`crop_to_model` gives.

    Attributes:
        picture: ``[3, H, W]`` in [-1, 1].
        pose: ``[18, 2]``, (x, y) in its pixels; NaN also for what lies outside.
        crop: the way there and back.
    """

    picture: Tensor
    pose: Tensor
    crop: Crop


def crop_to_model(picture: Image.Image, pose: Tensor, size: tuple[int, int] = TRAINED) -> Cropped:
    """The part of a photograph in which a person has the size and the place that training pictures show people in.

    The body is as large as theirs (without a torso, the head), its lower ankle on their ground (without ankles the
    hips, without those the neck where theirs is), the middle of its joints in the middle. Beyond the photograph's
    borders its outermost pixels are repeated.

    Args:
        picture: RGB, of any size.
        pose: ``[18, 2]``, (x, y) in its pixels, NaN where a joint is missing.
        size: (height, width) of the picture to make.

    Raises:
        UserError: the pose has neither a torso (hip and shoulder of one side) nor a head (neck and a face point).
    """
    check_pose(pose, batched=False)
    height, width = size
    body, head = float(body_size(pose)), float(head_size(pose[None]))
    share, length = (BODY_SIZE, body) if body > 0 else (HEAD_SIZE, head)
    if not length > 0:
        raise UserError(
            "the person has neither a hip and a shoulder of one side nor a neck and a face to measure by. Remedy: "
            "choose a photo that shows one of the two, or give the pose (--source-pose)."
        )
    scale = share * height / length
    there = pose[visible(pose)]
    ankle = pose[[JOINT["Rank"], JOINT["Lank"]], 1].nan_to_num(-math.inf).max()
    hips = pose[[JOINT["Rhip"], JOINT["Lhip"]], 1].nanmean()
    anchors = ((ankle, GROUND), (hips, HIPS), (pose[JOINT["neck"], 1], NECK))
    y, place = next((y, place) for y, place in anchors if y.isfinite())
    middle = (there[:, 0].amin() + there[:, 0].amax()) / 2
    left, top = float(middle) + 0.5 - width / 2 / scale, float(y) + 0.5 - (place * height + 0.5) / scale
    crop = Crop(left, top, scale, size)
    within = crop.to(pose)
    outside = ((within < -0.5) | (within >= within.new_tensor([width, height]) - 0.5)).any(-1)
    return Cropped(_cut(picture, crop), within.masked_fill(outside[:, None], torch.nan), crop)


def crop_people(
    picture: Image.Image, size: tuple[int, int] = TRAINED, estimator: PoseEstimator | None = None
) -> list[Cropped]:
    """The people of a photograph, each as :func:`crop_to_model` cuts them out, the largest and most certain first.

    Who shows neither torso nor head to measure by is left out.

    Args:
        picture: RGB, of any size.
        size: (height, width) of the pictures to make.
        estimator: as for :func:`find_people`.
    """
    found = []
    for person in find_people(picture, estimator):
        with suppress(UserError):
            found.append(crop_to_model(picture, person.pose, size))
    return found


def whole_photo(picture: Image.Image, size: tuple[int, int] = TRAINED) -> Cropped:
    """The whole of a photograph with a standing skeleton in its middle, to be put where the body is by hand.

    Args:
        picture: RGB, of any size; what it lacks to the form of ``size`` is filled with its outermost pixels.
        size: (height, width) of the picture to make.
    """
    height, width = size
    small = picture.copy()
    small.thumbnail((8 * max(size), 8 * max(size)))
    scale = min(height / small.height, width / small.width)
    left, top = (small.width - width / scale) / 2, (small.height - height / scale) / 2
    shrunk = small.width / picture.width
    crop = Crop(left / shrunk, top / shrunk, scale * shrunk, size)
    return Cropped(_cut(small, Crop(left, top, scale, size)), template(size), crop)


STANDING = (
    *((0, -0.3), (0, -0.21), (-0.07, -0.21), (-0.1, -0.1), (-0.12, 0), (0.07, -0.21), (0.1, -0.1), (0.12, 0)),
    *((-0.05, 0.02), (-0.05, 0.2), (-0.05, 0.38), (0.05, 0.02), (0.05, 0.2), (0.05, 0.38)),
    *((-0.018, -0.32), (0.018, -0.32), (-0.04, -0.31), (0.04, -0.31)),
)
"""A person who stands and faces us: (x, y) of the 18 joints from the picture's middle, in heights of the picture."""


def template(size: tuple[int, int] = TRAINED) -> Tensor:
    """A standing person in the middle of a picture of (height, width), all joints there: ``[18, 2]``."""
    height, width = size
    return torch.tensor([(width - 1) / 2, (height - 1) / 2]) + height * torch.tensor(STANDING)


def _cut(picture: Image.Image, crop: Crop) -> Tensor:
    """The part of a photograph as a picture ``[3, H, W]`` in [-1, 1]."""
    height, width = crop.size
    right, bottom = crop.left + width / crop.scale, crop.top + height / crop.scale
    x, y = math.floor(crop.left), math.floor(crop.top)
    columns = np.arange(x, math.ceil(right)).clip(0, picture.width - 1)
    rows = np.arange(y, math.ceil(bottom)).clip(0, picture.height - 1)
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    inside = np.asarray(picture.crop(tuple(map(int, box))))
    part = Image.fromarray(inside[rows - rows[0]][:, columns - columns[0]])
    exact = (crop.left - x, crop.top - y, right - x, bottom - y)
    return from_uint8(pixels(part.resize((width, height), Image.Resampling.BILINEAR, exact, reducing_gap=3)))


def torso_length(pose: Tensor) -> Tensor:
    """Distance in pixels from the neck to the middle of the hips, ``[B]``; NaN without the neck or without any hip.

    With one hip missing the other one stands for the middle.
    """
    check_pose(pose)
    hips = pose[:, [JOINT["Rhip"], JOINT["Lhip"]]].nanmean(1)
    return (pose[:, JOINT["neck"]] - hips).norm(dim=-1)


def head_size(pose: Tensor) -> Tensor:
    """Distance in pixels from the neck to the middle of the face points, ``[B]``; NaN where either is missing.

    It stands for the head size of MPII (Andriluka et al. 2014, "2D Human Pose Estimation: New Benchmark and State of
    the Art Analysis"), 0.6 of the diagonal of the head's box, which 18 joints do not have. With boxes from the masks of
    245 held-out pictures the two agree (median of their ratio 0.97). Whichever way the head is turned, it keeps its
    length, as the ears' distance does not.
    """
    check_pose(pose)
    face = pose[:, FACE].nanmean(1)
    return (pose[:, JOINT["neck"]] - face).norm(dim=-1)


def pck(found: Found, pose: Tensor, share: float = 0.25, least_score: float = LEAST_SCORE) -> Tensor:
    """Percentage of correct key points, as a share: how many of a pose's joints are found again where they should be.

    A joint is found again if its place is within ``share`` of the torso (:func:`torso_length` of ``pose``) and its
    score is ``least_score`` or more: the network always names a place, also for a joint that it does not see. What
    counts are the joints that ``pose`` has, but for the neck, which no network finds: it would count the shoulders
    twice.

    Args:
        found: what :class:`PoseEstimator` finds in pictures of which ``pose`` should be true.
        pose: ``[B, 18, 2]``, (x, y) in the same pixels, NaN for missing.
        share: of the torso's length.
        least_score: scores below it count as not found.

    Returns:
        float64 ``[B]``, 0 to 1; NaN where ``pose`` has no torso.

    Raises:
        ValueError: the shapes do not agree.
    """
    return _found_within(found, pose, share * torso_length(pose), least_score)


def pckh(found: Found, pose: Tensor, share: float = 0.5, least_score: float = LEAST_SCORE) -> Tensor:
    """PCKh (Andriluka et al. 2014): as :func:`pck`, within ``share`` of the head's size (:func:`head_size`).

    NaN where ``pose`` has no neck or no face point.
    """
    return _found_within(found, pose, share * head_size(pose), least_score)


def _found_within(found: Found, pose: Tensor, radius: Tensor, least_score: float) -> Tensor:
    if found.pose.shape != pose.shape or found.scores.shape != pose.shape[:2]:
        raise ValueError(f"found poses are {list(found.pose.shape)} but pose is {list(pose.shape)}")
    there = visible(pose)[:, COUNTED]
    distance = (found.pose - pose).norm(dim=-1)[:, COUNTED]
    good = (distance <= radius[:, None]) & (
        found.scores[:, COUNTED] >= least_score
    )  # a missing joint: NaN, false
    result = good.sum(1).double() / there.sum(1)
    return result.masked_fill(radius.isnan(), torch.nan)


def load_estimator(path: str | Path | None = None, device: str | torch.device = "cpu") -> PoseEstimator:
    """An estimator of poses from a file that ``data/checkpoints/movenet/convert.py`` made.

    Only the files of :data:`VARIANTS` are taken, to the byte: figures can be compared only if all were measured by the
    same network.

    Args:
        path: the file; the shipped Thunder if None.
        device: where its work is to be done.

    Raises:
        UserError: the file is missing, is not readable, is damaged or is another one.
    """
    path = SHIPPED if path is None else Path(path)
    content = read_bytes(path, FILE_LIMIT)
    digest = hashlib.sha256(content).hexdigest()
    variant = next((variant for variant in VARIANTS.values() if variant.digest == digest), None)
    if variant is None:
        message = f"damaged, or not one of MoveNet's {' and '.join(VARIANTS)} (SHA-256 {digest[:12]}…)"
        remedy = "get it anew, or make it anew: python -m data.checkpoints.movenet.convert"
        raise UserError(Problem(path, message, remedy))
    network = MoveNet(variant.width)
    network.load_state_dict(load(content))  # widens the half precision
    return PoseEstimator(network.to(device), variant.size)
