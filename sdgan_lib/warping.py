"""Affine limb warps: move the appearance of every body part from the source pose to the target pose.

For each of ten body regions an affine map is fitted by least squares (paper, eq. 1) between the region's
points in the two poses; an eleventh belongs to the background. A map leads from a pixel of the target picture
to the pixel of the source picture whose appearance belongs there. A region acts only inside its mask, drawn
in the target pose. The deformable skip samples the source's features through these maps and merges the
regions.

Geometry and constants follow pose-gan (Siarohin et al., 2018), with these differences: pixels and features
are related by their centres for any height and width; the torso has a mask of its own instead of the whole
picture (there, the torso's map also moves the background: ``background="torso"`` does that here); the maximum
is taken over the regions that cover a pixel, not over zero-filled maps, so that negative features survive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from sdgan_lib.pose import FACE, JOINT, LIMBS, body_size, check_pose, to_grid, visible

REGIONS = ("torso", "head", *LIMBS, "background")
"""The eleven regions, in the order of ``LimbWarps.maps`` and ``LimbWarps.masks``."""

TORSO, HEAD, BACKGROUND = REGIONS.index("torso"), REGIONS.index("head"), REGIONS.index("background")

HALF_WIDTH = 0.2
"""Half the width of a limb, and how far the torso reaches beyond its four joints, in body sizes."""
HEAD_HALF_SIDE = 0.4
"""Half the side of the head's square mask, in body sizes."""
BEFORE = 0.1
"""How far a limb begins before its first joint, in limb lengths."""
BEYOND = {"thigh": (0.1, 0.1), "upper_arm": (0.1, 0.1), "shin": (0.3, 0.5), "forearm": (0.3, 0.5)}
"""How far a limb ends beyond its second joint, in (extended) limb lengths: in the fit, in the mask."""
MIN_SPREAD = 0.01
"""A fit needs target points that spread in every direction by this many body sizes (RMS)."""

PRIORITY = (
    "head", "right_forearm", "left_forearm", "right_upper_arm", "left_upper_arm",
    "right_shin", "left_shin", "right_thigh", "left_thigh", "torso", "background",
)  # fmt: skip
"""Regions from front to back, for ``aggregate="priority"``: as seen on most people, not derived from depth."""


@dataclass(frozen=True, eq=False)
class LimbWarps:
    """The warps of a batch of pose pairs, at one picture or feature size.

    maps: ``[B, 11, 2, 3]``, float64 (float32 where the device has no float64): target pixel (x, y, 1) to
        source pixel (x, y), both in pixels of ``size``; the identity for an absent region.
    masks: float32 ``[B, 11, H, W]`` in the target pose: how much of a pixel the region covers; 0 or 1 at full
        size, a fraction after ``at``; all zero for an absent region.
    size: (H, W).
    """

    maps: Tensor
    masks: Tensor
    size: tuple[int, int]

    @property
    def present(self) -> Tensor:
        """Which regions contribute: bool ``[B, 11]``."""
        return self.masks.flatten(2).any(dim=-1)

    @cached_property
    def covering(self) -> Tensor:
        """Which regions cover which pixel: bool ``[B, 11, H, W]``, at least one region for every pixel.

        A region covers a pixel when it fills at least half of it; where none does, whichever fills most.
        """
        enough = self.masks.amax(dim=1, keepdim=True).clamp(max=0.5) * (1 - 1e-6)
        return self.masks >= enough

    @cached_property
    def _sizes(self) -> dict[tuple[int, int], "LimbWarps"]:
        return {}

    @cached_property
    def _plans(self) -> dict[str, "_Plan"]:
        return {}

    def at(self, height: int, width: int) -> "LimbWarps":
        """These warps for feature maps of height x width (the result is kept and shared between calls).

        Maps are rescaled by the relation of pixel centres, x = (u + 0.5) * scale - 0.5; masks are averaged
        over each feature pixel's area. Any size, also with different scales in x and y.
        """
        if (height, width) == self.size:
            return self
        if (height, width) not in self._sizes:
            scale = self.maps.new_tensor([self.size[1] / width, self.size[0] / height])
            linear, shift = self.maps[..., :2], self.maps[..., 2]
            corner = (scale - 1) / 2
            shift = (shift + linear @ corner - corner) / scale
            maps = torch.cat([linear * scale / scale[:, None], shift[..., None]], dim=-1)
            rows = _area_weights(self.size[0], height, self.masks)
            columns = _area_weights(self.size[1], width, self.masks)
            self._sizes[height, width] = LimbWarps(maps, rows @ (self.masks @ columns.T), (height, width))
        return self._sizes[height, width]

    def plan(self, aggregate: str) -> "_Plan":
        """How :func:``deformable_skip`` moves features of this size (kept for later calls)."""
        if aggregate not in self._plans:
            self._plans[aggregate] = _make_plan(self, aggregate)
        return self._plans[aggregate]


def limb_warps(
    source_pose: Tensor, target_pose: Tensor, height: int, width: int, background: str = "identity"
) -> LimbWarps:
    """The eleven regions' maps and masks for poses ``[B, 18, 2]`` in pixels of a height x width picture.

    - torso: fitted to both hips and shoulders; the mask is their convex hull widened by 0.2 body sizes.
    - head: fitted to both shoulders and the face points (one at least) that both poses show; the mask is a
      square of half-side 0.4 body sizes around the mean of the target's face points.
    - limbs: fitted to a rectangle around the bone, of half-width 0.2 body sizes; the mask is the target's
      rectangle, made longer for shins and forearms to take in the foot or hand. A limb that the source does
      not show is taken from the limb of the other side.
    - background: whatever no other region's mask covers. ``background="identity"`` leaves it in place (a
      fixed camera); ``"torso"`` moves it with the torso, as pose-gan does.

    A region is absent (mask 0, map identity) when joints it needs are missing or when its target points are
    so close to a line that the fit is singular (``MIN_SPREAD``). Poses get no gradient.
    Raises ValueError for poses of another shape or an unknown ``background``.
    """
    if background not in ("identity", "torso"):
        raise ValueError(f'background must be "identity" or "torso", got {background!r}')
    check_pose(source_pose, "source_pose")
    check_pose(target_pose, "target_pose")
    if source_pose.shape != target_pose.shape:
        raise ValueError(f"{len(source_pose)} source poses for {len(target_pose)} target poses")
    exact = torch.float32 if source_pose.device.type == "mps" else torch.float64
    source, target = source_pose.detach().to(exact), target_pose.detach().to(exact)
    size = body_size(target)

    to_points, seen = _region_points(target)
    from_points, from_seen = _region_points(source)
    limbs = slice(HEAD + 1, None)
    other_side = [i ^ 1 for i in range(len(LIMBS))]
    lacking = ~from_seen[:, limbs].any(-1, keepdim=True)
    for values, where in ((from_points, lacking[..., None]), (from_seen, lacking)):
        values[:, limbs] = torch.where(where, values[:, limbs][:, other_side], values[:, limbs])
    seen = seen & from_seen
    complete = seen.sum(-1) >= torch.tensor([4, 3] + [4] * len(LIMBS), device=seen.device)
    complete[:, HEAD] &= seen[:, HEAD, :2].all(-1)
    maps, spread = _fit(to_points, from_points, seen.to(exact))
    present = complete & (spread > MIN_SPREAD * size[:, None]) & maps.flatten(2).isfinite().all(-1)

    pixels = (
        torch.arange(width, device=size.device, dtype=torch.float32),
        torch.arange(height, device=size.device, dtype=torch.float32)[:, None],
    )
    masks = _masks(target, size, *pixels) & present[..., None, None]
    covering = torch.cat([masks, ~masks.any(dim=1, keepdim=True)], dim=1)
    identity = torch.eye(2, 3, device=maps.device, dtype=maps.dtype)
    maps = torch.where(present[..., None, None], maps, identity)
    behind = maps[:, TORSO] if background == "torso" else identity.expand(len(maps), 2, 3)
    return LimbWarps(torch.cat([maps, behind[:, None]], dim=1), covering.float(), (height, width))


def body_mask(pose: Tensor, height: int, width: int) -> Tensor:
    """Where a body in this pose ``[B, 18, 2]`` is: float32 ``[B, 1, height, width]``, 1 on its ten regions, else 0."""
    pose = pose.detach().float()
    x = torch.arange(width, device=pose.device, dtype=torch.float32)
    y = torch.arange(height, device=pose.device, dtype=torch.float32)[:, None]
    return _masks(pose, body_size(pose), x, y).any(dim=1, keepdim=True).float()


def _region_points(pose: Tensor) -> tuple[Tensor, Tensor]:
    """Points ``[B, 10, 7, 2]`` that the regions are fitted to, and which of them exist: bool ``[B, 10, 7]``."""
    torso = pose[:, [JOINT["Rhip"], JOINT["Lhip"], JOINT["Lsho"], JOINT["Rsho"]]]
    head = pose[:, [JOINT["Rsho"], JOINT["Lsho"], *FACE]]
    limbs = _limb_corners(pose)
    most = head.shape[1]
    points = [F.pad(part, (0, 0, 0, most - part.shape[-2]), value=torch.nan) for part in (torso, head, limbs)]
    points = torch.cat([points[0][:, None], points[1][:, None], points[2]], dim=1)
    seen = visible(points)
    return points.masked_fill(~seen[..., None], 0.0), seen


def _limb_axes(pose: Tensor, beyond: int) -> tuple[Tensor, Tensor]:
    """Ends of the limbs' axes, each ``[B, 8, 2]``, extended for the fit (``beyond=0``) or the mask (1)."""
    first = pose[:, [fr for fr, _ in LIMBS.values()]]
    second = pose[:, [to for _, to in LIMBS.values()]]
    first = first + BEFORE * (first - second)
    share = pose.new_tensor([BEYOND[name.split("_", 1)[1]][beyond] for name in LIMBS])
    return first, second + share[:, None] * (second - first)


def _limb_corners(pose: Tensor) -> Tensor:
    """Corners ``[B, 8, 4, 2]`` of the rectangles that limbs are fitted to; NaN for a missing limb."""
    first, second = _limb_axes(pose, beyond=0)
    along = second - first
    along = along / along.norm(dim=-1, keepdim=True)
    across = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    across = across * HALF_WIDTH * body_size(pose)[:, None, None]
    return torch.stack([first + across, first - across, second - across, second + across], dim=2)


def _fit(points: Tensor, images: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares from ``points`` to ``images`` ``[..., N, 2]``: maps ``[..., 2, 3]`` and spread ``[...]``.

    The normal equations about the points' mean are 2x2 and solved in closed form. The spread is the RMS
    distance of the points from the line that fits them best: 0 means that they determine no affine map.
    """
    share = (weights / weights.sum(-1, keepdim=True).clamp_min(1))[..., None]
    centre, image_centre = (share * points).sum(-2, keepdim=True), (share * images).sum(-2, keepdim=True)
    offsets = points - centre
    covariance = offsets.mT @ (share * offsets)
    cross = (images - image_centre).mT @ (share * offsets)
    a, b, d = covariance[..., 0, 0], covariance[..., 0, 1], covariance[..., 1, 1]
    determinant = a * d - b * b
    inverse = torch.stack([d, -b, -b, a], dim=-1).unflatten(-1, (2, 2)) / determinant[..., None, None]
    linear = cross @ inverse
    shift = image_centre.mT - linear @ centre.mT
    largest = (a + d) / 2 + ((a - d) / 2).hypot(b)
    spread = (determinant / largest).clamp_min(0).sqrt()
    return torch.cat([linear, shift], dim=-1), spread.nan_to_num(0.0)


def _masks(target: Tensor, size: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Masks bool ``[B, 10, H, W]`` of the body regions in the target pose; ``x`` is ``[W]``, ``y`` ``[H, 1]``."""
    target, size = target.float(), size.float()
    torso = _in_torso(target, HALF_WIDTH * size, x, y)
    middle = target[:, FACE].nanmean(dim=1)[..., None, None]
    side = HEAD_HALF_SIDE * size[:, None, None]
    head = ((x - middle[:, 0]).abs() <= side) & ((y - middle[:, 1]).abs() <= side)
    first, second = _limb_axes(target, beyond=1)
    limbs = _in_rectangle(first, second, HALF_WIDTH * size[:, None], x, y)
    return torch.cat([torso[:, None], head[:, None], limbs], dim=1)


def _in_rectangle(first: Tensor, second: Tensor, half_width: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Which pixels lie in the rectangles around axes from ``first`` to ``second`` ``[..., 2]``: ``[..., H, W]``."""
    length = (second - first).norm(dim=-1)[..., None, None]
    ax, ay = ((second - first)[..., None, None] / length[..., None, :, :]).unbind(-3)
    cx, cy = ((first + second)[..., None, None] / 2).unbind(-3)
    along = ax * x + (ay * y - (ax * cx + ay * cy))
    across = ax * y - (ay * x + (ax * cy - ay * cx))
    return (along.abs_() <= length / 2) & (across.abs_() <= half_width[..., None, None])


def _in_torso(target: Tensor, margin: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Which pixels are at most ``margin`` ``[B]`` from the convex hull of the hips and shoulders: bool ``[B, H, W]``.

    The hull of four points is the union of the triangles that they form. Whatever is near the hull is near one
    of the points or lies in a rectangle around one of the sides. This holds for any order of the points: a
    twisted torso is no special case.
    """
    points = target[:, [JOINT["Rhip"], JOINT["Lhip"], JOINT["Lsho"], JOINT["Rsho"]]]
    pairs = list(combinations(range(4), 2))
    first, second = points[:, [i for i, _ in pairs]], points[:, [j for _, j in pairs]]
    dx, dy = (second - first)[..., None, None].unbind(-3)
    x0, y0 = first[..., None, None].unbind(-3)
    side = dx * y - (dy * x + (dx * y0 - dy * x0))
    left = dict(zip(pairs, (side >= 0).unbind(1), strict=True))
    right = dict(zip(pairs, (side <= 0).unbind(1), strict=True))
    inside = _in_rectangle(first, second, margin[:, None], x, y).any(dim=1)
    px, py = points[..., None, None].unbind(-3)
    inside |= ((x - px).square() + (y - py).square() <= margin.square()[:, None, None, None]).any(dim=1)
    for i, j, k in combinations(range(4), 3):  # on the same side of i->j, j->k and k->i
        inside |= (left[i, j] & left[j, k] & right[i, k]) | (right[i, j] & right[j, k] & left[i, k])
    return inside


def _area_weights(from_length: int, to_length: int, like: Tensor) -> Tensor:
    """``[to_length, from_length]``: the share of each old pixel in each new one when a row is resized."""
    edges = torch.arange(to_length + 1, dtype=torch.float64) * (from_length / to_length)
    pixels = torch.arange(from_length, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp_min(0) * (to_length / from_length)).to(like)


# The reference: one sampling of the whole picture per region


def sample_regions(features: Tensor, warps: LimbWarps) -> Tensor:
    """Source features ``[B, C, h, w]`` moved by each region's map, everywhere: ``[B, 11, C, h, w]``."""
    height, width = features.shape[-2:]
    maps = warps.at(height, width).maps.flatten(0, 1)
    # From source pixels to grid coordinates is affine too: put it into the maps. Target pixels are counted from
    # the picture's middle, where float32 is finest.
    size = maps.new_tensor([width, height])
    middle = (size - 1) / 2
    shift = to_grid(maps[..., :2] @ middle + maps[..., 2], height, width)
    linear = maps[..., :2] * 2 / size[:, None]
    across, down, shift = (v.to(features.dtype)[:, None, None] for v in (*linear.unbind(-1), shift))
    x = torch.arange(width, device=maps.device, dtype=features.dtype)[:, None] - (width - 1) / 2
    y = torch.arange(height, device=maps.device, dtype=features.dtype)[:, None, None] - (height - 1) / 2
    grid = across * x + (down * y + shift)
    grid = grid.view(len(features), -1, width, 2)  # the regions one below the other
    sampled = F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.unflatten(2, (len(REGIONS), height)).movedim(2, 1)


def warp_regions(features: Tensor, warps: LimbWarps) -> Tensor:
    """Source features ``[B, C, h, w]`` moved by each region's map, times its mask: ``[B, 11, C, h, w]``."""
    return sample_regions(features, warps) * warps.at(*features.shape[-2:]).masks[:, :, None].to(
        features.dtype
    )


def deformable_skip_reference(features: Tensor, warps: LimbWarps, aggregate: str = "max") -> Tensor:
    """The deformable skip written down plainly, and slow: ``deformable_skip`` computes the same."""
    warps = warps.at(*features.shape[-2:])
    sampled, covering = sample_regions(features, warps), warps.covering[:, :, None]
    if aggregate == "max":
        return sampled.masked_fill(~covering, -torch.inf).amax(dim=1)
    if aggregate == "average":
        weights = (warps.masks[:, :, None] * covering).to(features.dtype)
        return (sampled * weights).sum(dim=1) / weights.sum(dim=1)
    if aggregate == "priority":
        order = [REGIONS.index(name) for name in PRIORITY]
        front = covering[:, order].float().argmax(dim=1, keepdim=True)
        return sampled[:, order].gather(1, front.expand(-1, 1, *sampled.shape[2:])).squeeze(1)
    raise ValueError(f'aggregate must be "max", "average" or "priority", got {aggregate!r}')


# The same, sampling only what is covered


class _Gather:
    """A sparse matrix ``[n_rows, n_columns]``: each output row is a weighted sum of four input rows."""

    def __init__(self, column: Tensor, weight: Tensor):
        """Which four input rows: ``[n_rows, 4]``, and their weights, alike."""
        self.column, self.weight = column, weight

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The columns that are not empty, and for each, one after another, its rows and weights from an offset on."""
        column, order = self.column.flatten().sort(stable=True)
        used, count = column.unique_consecutive(return_counts=True)
        return used.long(), order >> 2, self.weight.flatten()[order], count.cumsum(0) - count

    def __call__(self, rows: Tensor) -> Tensor:
        return F.embedding_bag(self.column, rows, mode="sum", per_sample_weights=self.weight.to(rows.dtype))

    def add_transposed(self, rows: Tensor, to: Tensor) -> Tensor:
        """Add the product of the transpose with ``rows`` to ``to``, in place."""
        used, row, weight, offset = self.transposed
        weight = weight.to(rows.dtype)
        sums = F.embedding_bag(row, rows, offset, mode="sum", per_sample_weights=weight)
        return to.index_add_(0, used, sums)


@dataclass(frozen=True, eq=False)
class _Plan:
    """A deformable skip at one size: gather candidates for the pixels that move, then merge them layer by layer."""

    moved: Tensor
    """Pixels, counted over the batch, that take their value from elsewhere; the others keep their own."""
    gather: _Gather
    """The candidates: first one for each of ``moved``, then those of each further layer."""
    layers: list[Tensor]
    """For each further layer, the places in ``moved`` that its candidates are for."""


class _MoveRows(torch.autograd.Function):
    """Rows ``[pixels, C]`` moved and merged as a ``_Plan`` says, by their maximum or else by their sum.

    Both directions read scattered rows and write each row once, so the gradient is fast and deterministic.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, plan: _Plan, by_maximum: bool) -> Tensor:
        merged, *more = plan.gather(rows).split([len(plan.moved), *map(len, plan.layers)])
        ctx.plan, ctx.wins = plan, []
        for place, candidate in zip(plan.layers, more, strict=True):
            before = merged[place]
            if by_maximum:
                ctx.wins.append(candidate > before)
                merged[place] = torch.maximum(before, candidate)
            else:
                merged[place] = before + candidate
        return rows.index_copy(0, plan.moved, merged)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        plan = ctx.plan
        merged, more = gradient[plan.moved], []
        for k in reversed(range(len(plan.layers))):
            after = merged[plan.layers[k]]
            if ctx.wins:
                more.insert(0, after * ctx.wins[k])
                merged[plan.layers[k]] = after * ~ctx.wins[k]
            else:
                more.insert(0, after)
        still = gradient.index_fill(0, plan.moved, 0)
        return plan.gather.add_transposed(torch.cat([merged, *more]), still), None, None


def _make_plan(warps: LimbWarps, aggregate: str) -> _Plan:
    """Prepare ``deformable_skip`` at the warps' own size."""
    moves, layers = _layers(warps, PRIORITY if aggregate == "priority" else REGIONS)
    if aggregate == "priority":
        layers = layers[:1]
    place, region = (torch.cat(column) for column in zip(*layers, strict=True))
    batch, y, x = moves.nonzero(as_tuple=True)
    moved = (batch * warps.size[0] + y) * warps.size[1] + x
    batch, y, x = batch[place], y[place], x[place]
    share = None
    if aggregate == "average":
        weights = warps.masks * warps.covering
        share = (weights / weights.sum(dim=1, keepdim=True))[batch, region, y, x]
    gather = _sampling(warps, batch, region, y, x, share)
    return _Plan(moved, gather, [place for place, _ in layers[1:]])


def _layers(warps: LimbWarps, order: Sequence[str]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Which pixels move, and the regions that cover them, layer by layer.

    The first are bool ``[B, H, W]``. Layer k = 0, 1, ... says which of them, counted among those that move, a (k+1)-th
    region covers, and which region, taken in this order.

    A pixel does not move where only the background covers it and the background's map is the identity.
    """
    bit = {name: 1 << k for k, name in enumerate(order)}  # of a pixel's regions the first has the lowest
    worth = torch.tensor([bit[name] for name in REGIONS], dtype=torch.int32, device=warps.masks.device)
    bits = (warps.covering * worth[:, None, None]).sum(dim=1, dtype=torch.int32)
    identity = torch.eye(2, 3, device=warps.maps.device, dtype=warps.maps.dtype)
    still = (warps.maps[:, BACKGROUND] == identity).flatten(1).all(-1)
    moves = (bits != bit["background"]) | ~still[:, None, None]
    bits = bits[moves]
    regions = torch.tensor([REGIONS.index(name) for name in order], device=bits.device)
    place = torch.arange(len(bits), device=bits.device)
    layers = []
    while len(place) or not layers:
        rest = bits & (bits - 1)  # without the lowest bit
        layers.append((place, regions[(bits - rest).float().log2().long()]))
        more = rest.nonzero().squeeze(1)
        place, bits = place[more], rest[more]
    return moves, layers


def _sampling(
    warps: LimbWarps, batch: Tensor, region: Tensor, y: Tensor, x: Tensor, share: Tensor | None
) -> _Gather:
    """Bilinear sampling of the source for each (picture, region, pixel), as a sparse matrix over source pixels."""
    height, width = warps.size
    maps = warps.maps.view(-1, 6).index_select(0, batch * len(REGIONS) + region)
    xx, xy, x1, yx, yy, y1 = maps.T.contiguous()
    source_x, source_y = xx * x + xy * y + x1, yx * x + yy * y + y1
    left, top = source_x.floor(), source_y.floor()
    right, bottom = (source_x - left).float(), (source_y - top).float()
    rows, columns = torch.stack([top, top + 1]), torch.stack([left, left + 1])
    row_share = torch.stack([1 - bottom, bottom]) * ((rows >= 0) & (rows < height))
    column_share = torch.stack([1 - right, right]) * ((columns >= 0) & (columns < width))
    weights = (row_share[:, None] * column_share).flatten(0, 1)
    if share is not None:
        weights = weights * share
    first = (rows.clamp(0, height - 1) + batch * height) * width
    places = (first[:, None] + columns.clamp(0, width - 1)).flatten(0, 1)
    return _Gather(places.T.int().contiguous(), weights.T.contiguous())


def deformable_skip(features: Tensor, warps: LimbWarps, aggregate: str = "max") -> Tensor:
    """The source's features ``[B, C, h, w]`` moved into the target pose and merged: ``[B, C, h, w]``.

    Any h, w: the warps are rescaled as needed. Sampling is bilinear with zeros outside the picture. Where
    several regions cover a pixel (``LimbWarps.covering``), ``aggregate="max"`` takes each channel's largest value
    (as Deformable GAN does), ``"average"`` the mean weighted by coverage, ``"priority"`` the region in front.

    Differentiable in the features. Only covered (picture, region, pixel) triples are sampled, computed in
    float32 (float64 for float64 features), and returned in the features' type.
    """
    if aggregate not in ("max", "average", "priority"):
        raise ValueError(f'aggregate must be "max", "average" or "priority", got {aggregate!r}')
    batch, channels, height, width = features.shape
    if batch != len(warps.maps):
        raise ValueError(f"{batch} feature maps for {len(warps.maps)} warps")
    plan = warps.at(height, width).plan(aggregate)
    rows = features.to(torch.promote_types(features.dtype, torch.float32))
    rows = rows.permute(0, 2, 3, 1).reshape(-1, channels)
    moved = _MoveRows.apply(rows, plan, aggregate != "average")
    return moved.view(batch, height, width, channels).permute(0, 3, 1, 2).to(features.dtype)


def warp_image(images: Tensor, warps: LimbWarps, aggregate: str = "priority") -> Tensor:
    """The answer without a network: source images ``[B, 3, H, W]`` with every part moved to the target pose.

    By default the region in front is shown where several overlap, which keeps faces, hands and edges crisp;
    an average shows overlaps half transparent, a maximum the brightest.
    """
    return deformable_skip(images, warps, aggregate)
