"""Poses found in pictures, by MoveNet: how an outside network measures whether joints are where they should be.

MoveNet (Google, 2021; Apache-2.0) is a CenterNet (Zhou et al. 2019, "Objects as Points") for one person: a MobileNetV2
(Sandler et al. 2018) with a feature pyramid (Lin et al. 2017) and four heads at a quarter of the picture's size. Its
structure and the arithmetic of :meth:`MoveNet.decode` are read off the published graph; batch norm is folded into the
convolutions, as it is there. ``data/checkpoints/movenet/`` ships its weights and says where they come from.

Nothing is ever trained on this network or on its features. That would turn the measure into a target.
"""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import read_bytes
from sdgan_lib.pose import FACE, JOINT, JOINTS, check_pose, visible

SHIPPED = Path(__file__).parents[1] / "data/checkpoints/movenet/thunder.safetensors"
"""The estimator that comes with the repository."""

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
        x = self.pyramid(self.backbone(x))
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

    @torch.inference_mode()
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
        if pictures.ndim != 4 or pictures.shape[1] != 3 or 0 in pictures.shape:
            raise ValueError(
                f"pictures must have the shape [B, 3, H, W] with B > 0, got {list(pictures.shape)}"
            )
        if not pictures.is_floating_point():
            raise ValueError(f"pictures must be float in [-1, 1], got {pictures.dtype}: use x / 127.5 - 1")
        device = next(self.network.parameters()).device
        parts = []
        for some in pictures.split(BATCH.get(device.type, 64)):
            square = in_square(some.to(device, torch.float32), self.size)
            found = MoveNet.decode(self.network(square))
            parts.append(found.to(pictures.device))
        return _found(torch.cat(parts), *pictures.shape[-2:])


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
    pose = decoded.new_zeros(len(decoded), len(JOINTS), 2)
    scores = decoded.new_zeros(len(decoded), len(JOINTS))
    pose[:, COUNTED] = decoded[..., [1, 0]] * side - 0.5 - decoded.new_tensor([left, top])
    scores[:, COUNTED] = decoded[..., 2]
    shoulders = [JOINT["Rsho"], JOINT["Lsho"]]
    pose[:, JOINT["neck"]] = pose[:, shoulders].mean(1)
    scores[:, JOINT["neck"]] = scores[:, shoulders].amin(1)
    return Found(pose, scores)


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
