"""Metrics of pose-based person image generation: L1, PSNR, SSIM, mask-SSIM, and the first three on the person alone.

Three more look where such pictures fail: what the person uncovers (a ghost), the head, and speckle. Two say how many of
the target's joints an outside pose estimator finds again (:mod:`sdgan_lib.estimation`).

All functions take pictures float ``[B, 3, H, W]`` in [-1, 1] and masks ``[B, 1, H, W]`` (bool, or 0 and 1), work in
float64 (on the CPU where the pictures' device has none) and return one number per picture, float64 ``[B]``.

SSIM is not invariant to an offset: its luminance term compares local means, and these must not be negative. The papers
score pictures of 0 to 255, so [-1, 1] is shifted to [0, 2] first; a data range of 2 then means what 255 does for bytes.
SSIM of the signed values would be another number: one that grey pictures fail and black ones pass.
"""

import math
from functools import reduce
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sdgan_lib.estimation import Found, pck, pckh
from sdgan_lib.pose import HEAD_BOX, JOINT, JOINTS, SKELETON, check_pose, head_box

METRICS = (
    "l1", "psnr", "ssim", "mask_ssim", "fg_l1", "fg_psnr", "fg_ssim", "uncovered_l1", "head_l1", "speckle",
    "pck", "pckh", "ssim_own_range", "mask_ssim_own_range",
)  # fmt: skip
"""What :func:`image_metrics` gives of each picture."""

SET_METRICS = ("kd_movenet", "fd_movenet", "lpips", "fid", "kid", "is", "mask_is")
"""Distances between features of networks, of whole sets of pictures (but for LPIPS, which is of pairs). The first two
are on MoveNet's features (:meth:`sdgan_lib.estimation.PoseEstimator.look`), the others, which need weights from
elsewhere, are those of :mod:`sdgan_lib.perceptual`."""

DISTANCES = ("kd_movenet", "fd_movenet", "lpips", "fid", "kid")
HIGHER_IS_BETTER = {
    name: None if name == "speckle" else not (name.endswith("l1") or name in DISTANCES)
    for name in METRICS + SET_METRICS
}
"""None: neither is; a blur has no speckle, and the targets' own is best."""

SPECKLE = 0.35  # of the [-1, 1] scale: chroma further than this from its neighbours' median is a speckle

DATA_RANGE = 2.0  # of pictures in [-1, 1]
SIGMA, RADIUS = 1.5, 5  # Wang et al. 2004: an 11 x 11 Gaussian window
WINDOW = 2 * RADIUS + 1
CHUNK = 4  # pictures worked on at once, so that the float64 intermediates stay in the processor's cache
ROWS = (
    1024  # pictures compared with all others at once, as the 12,000 pairs of Market-1501 would take gigabytes
)
NO_FLOAT64 = ("mps",)  # types of devices that have no float64: an Apple GPU

# Limbs drawn into the pose mask: the skeleton, neck to ears, hip to hip, shoulder to hip, ear to ear.
MASK_LIMBS = (
    *SKELETON,
    (JOINT["neck"], JOINT["Rear"]), (JOINT["neck"], JOINT["Lear"]), (JOINT["Rear"], JOINT["Lear"]),
    (JOINT["Rsho"], JOINT["Rhip"]), (JOINT["Lsho"], JOINT["Lhip"]), (JOINT["Rhip"], JOINT["Lhip"]),
)  # fmt: skip

DataRange = float | Literal["generated"]


def l1(generated: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference, in units of the [-1, 1] scale (0 to 2)."""
    a, b = _shifted(generated, target)
    return (a - b).abs().mean((1, 2, 3))


def psnr(generated: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, data range 2; infinite for equal pictures."""
    a, b = _shifted(generated, target)
    return _decibel((a - b).square().mean((1, 2, 3)))


def ssim_map(generated: Tensor, target: Tensor, data_range: DataRange = DATA_RANGE) -> Tensor:
    """Local SSIM of each pixel and channel, float64 ``[B, 3, H, W]``: Gaussian window, population covariance.

    Equals ``skimage.metrics.structural_similarity(..., gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    full=True)``, also at the border, where the picture is continued by its mirror image.

    Args:
        data_range: a number in units of the [-1, 1] scale, or ``"generated"`` for max - min of each generated picture.
            The latter is what pose-gan's evaluation does, and a flaw: the constants that keep SSIM stable then depend
            on the picture being judged, so a pale one is judged by another rule than a contrasty one, and a constant
            one gives NaN. Use it only to compare with published tables.

    Raises:
        ValueError: a side is shorter than the window's 11 pixels.
    """
    return _ssim_of(*_moments(generated, target), _span(generated, data_range))


def _moments(generated: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What local SSIM is made of, whatever the data range: all that takes time.

    Returns:
        Product of the local means, sum of their squares, covariance, sum of the variances, each ``[B, 3, H, W]``.
    """
    a, b = _shifted(generated, target)
    height, width = a.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f"SSIM needs pictures of at least {WINDOW} x {WINDOW} pixels, got height {height}, width {width}; "
            "enlarge them, or use l1 and psnr at this size"
        )
    rows, columns = _gaussian_matrix(height, a.device), _gaussian_matrix(width, a.device)

    def blur(x: Tensor) -> Tensor:
        return rows @ (x @ columns.T)

    mean_a, mean_b = blur(a), blur(b)
    product, squares = mean_a * mean_b, mean_a.square().add_(mean_b.square())
    covariance = blur(a * b) - product
    variances = blur(a.square().add_(b.square())) - squares  # of a plus of b: SSIM needs the sum only
    return product, squares, covariance, variances


def _ssim_of(
    product: Tensor, squares: Tensor, covariance: Tensor, variances: Tensor, span: float | Tensor
) -> Tensor:
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def _both_ranges(generated: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`ssim_map` with the data range 2 and with ``"generated"``, for hardly more than the price of one."""
    moments = _moments(generated, target)
    return _ssim_of(*moments, DATA_RANGE), _ssim_of(*moments, _span(generated, "generated"))


def _span(generated: Tensor, data_range: DataRange) -> float | Tensor:
    """The data range as a number, or as one for each picture ``[B, 1, 1, 1]``."""
    if data_range != "generated":
        return float(data_range)
    pictures = _where_float64_is(generated).double()
    return (pictures.amax((1, 2, 3)) - pictures.amin((1, 2, 3))).view(-1, 1, 1, 1)


def ssim(generated: Tensor, target: Tensor, data_range: DataRange = DATA_RANGE) -> Tensor:
    """Mean SSIM: the mean of :func:`ssim_map` without its 5-pixel border, as in scikit-image."""
    a, b = _checked(generated, target)
    chunks = zip(a.split(CHUNK), b.split(CHUNK), strict=True)
    return torch.cat([_inner_mean(ssim_map(x, y, data_range)) for x, y in chunks])


def mask_ssim(
    generated: Tensor, target: Tensor, pose_mask: Tensor, data_range: DataRange = DATA_RANGE
) -> Tensor:
    """Mask-SSIM of PG2 (Ma et al. 2017) and Deformable GAN (Siarohin et al. 2018).

    Both pictures are multiplied by the target's pose mask on the 0 to 255 scale, so what lies outside turns black (-1
    here); SSIM is then averaged over the whole picture, the black part included, where both agree perfectly. It is
    therefore close to 0.8 for any generated picture at all. Report ``fg_ssim`` beside it.

    The default data range is that of PG2's script (255); pose-gan's is ``"generated"``, of the masked picture.
    """
    a, b = _checked(generated, target)
    inside = _checked_mask(pose_mask, a, "pose_mask")
    return ssim(a.where(inside, -1), b.where(inside, -1), data_range)


def fg_l1(generated: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the mask's pixels; NaN where the mask is empty."""
    a, b = _shifted(generated, target)
    return _mean_inside((a - b).abs(), _checked_mask(mask, a, "mask"))


def fg_psnr(generated: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """PSNR in dB from the mean squared error over the mask's pixels; NaN where the mask is empty."""
    a, b = _shifted(generated, target)
    return _decibel(_mean_inside((a - b).square(), _checked_mask(mask, a, "mask")))


def fg_ssim(generated: Tensor, target: Tensor, mask: Tensor, data_range: DataRange = DATA_RANGE) -> Tensor:
    """Mean of :func:`ssim_map` over the mask's pixels; NaN where the mask is empty.

    The pictures are not masked first, so nothing is made to agree; the window of a pixel on the outline reaches 5
    pixels beyond it.
    """
    a, b = _checked(generated, target)
    inside = _checked_mask(mask, a, "mask")
    chunks = zip(a.split(CHUNK), b.split(CHUNK), inside.split(CHUNK), strict=True)
    return torch.cat([_mean_inside(ssim_map(x, y, data_range), m) for x, y, m in chunks])


def uncovered_l1(generated: Tensor, target: Tensor, source_mask: Tensor, target_mask: Tensor) -> Tensor:
    """Mean absolute difference over what the person uncovers: pixels of the source mask that are not the target's.

    Meant for pairs of one camera, where the target picture shows what was hidden; a ghost is seen here. NaN where
    nothing is uncovered.
    """
    before = _checked_mask(source_mask, generated, "source_mask")
    return fg_l1(generated, target, before & ~_checked_mask(target_mask, generated, "target_mask"))


def head_l1(generated: Tensor, target: Tensor, pose: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the person's pixels in a square of 15 x 15 around the head.

    The square's centre is the mean of the face points that ``pose`` ``[B, 18, 2]`` (pixels, NaN missing) shows, rounded
    to a pixel; whatever the picture's size, its side is :data:`~sdgan_lib.pose.HEAD_BOX`. NaN without a
    face point, or where the square holds no pixel of the person.
    """
    inside = _checked_mask(mask, generated, "mask")
    height, width = generated.shape[-2:]
    pose = _where_float64_is(pose)
    return fg_l1(generated, target, inside & head_box(pose, height, width, HEAD_BOX))


def speckle(images: Tensor) -> Tensor:
    """Pixels per 10,000 whose chroma differs from the median of their 3 x 3 neighbourhood by over 0.35.

    Chroma is what is left of a colour without its mean over the channels; a pixel's difference is the largest of the
    three channels'. At the border the picture is continued by its mirror image. Prints, bags and lights have such
    pixels too: compare with the targets' own value.
    """
    chroma = _checked(images, images)[0].double()
    chroma = chroma - chroma.mean(1, keepdim=True)
    difference = (chroma - _median_of_3x3(chroma)).abs().amax(1)
    return (difference > SPECKLE).double().mean((1, 2)) * 1e4


def _median_of_3x3(maps: Tensor) -> Tensor:
    """Median of each pixel's 3 x 3 neighbourhood, ``[B, C, H, W]``; the border is continued by its mirror image.

    Columns of three are sorted, once for all the neighbourhoods that hold them; the median of the nine is the median of
    the largest minimum, the median of medians and the smallest maximum (Smith 1996). Ten times as fast as a sort.
    """

    def median(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(a, b), torch.minimum(torch.maximum(a, b), c))

    def across(columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return columns[..., :-2], columns[..., 1:-1], columns[..., 2:]

    padded = F.pad(maps, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :]
    low, high = reduce(torch.minimum, rows), reduce(torch.maximum, rows)
    return median(
        reduce(torch.maximum, across(low)),
        median(*across(median(*rows))),
        reduce(torch.minimum, across(high)),
    )


def image_metrics(
    generated: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    pose_mask: Tensor | None = None,
    source_mask: Tensor | None = None,
    pose: Tensor | None = None,
    found: Found | None = None,
) -> dict[str, Tensor]:
    """All of :data:`METRICS`, ``{name: float64 [B]}``.

    Args:
        mask: the person's pixels in the target picture, for the ``fg_`` metrics and ``head_l1``; without it
            ``pose_mask`` is used.
        pose_mask: of the target pose, from :func:`pose_mask`, for ``mask_ssim``.
        source_mask: the person's pixels in the source picture, for ``uncovered_l1``, which needs ``mask`` too: a pose
            mask ends inside the person's outline, so the person's own rim would pass for uncovered.
        pose: of the target, for ``head_l1``, ``pck`` and ``pckh``.
        found: what a pose estimator finds in the generated pictures, for ``pck`` and ``pckh``.

    Returns:
        A metric that lacks what it needs is NaN, as are the ``fg_`` metrics of a picture whose mask is empty.
    """
    a, b = _checked(generated, target)
    person = pose_mask if mask is None else mask
    inside = None if person is None else _checked_mask(person, a, "mask")
    posed = None if pose_mask is None else _checked_mask(pose_mask, a, "pose_mask")
    before = None if source_mask is None else _checked_mask(source_mask, a, "source_mask")
    whole = a, b, inside, posed, before, pose
    parts = []
    for start in range(0, len(a), CHUNK):
        x, y, m, p, s, j = (None if t is None else t[start : start + CHUNK] for t in whole)
        # The costly step, shared by ssim and fg_ssim; its memory serves the next chunk.
        local, own = _both_ranges(x, y)
        values = {"l1": l1(x, y), "psnr": psnr(x, y), "speckle": speckle(x)}
        values |= {"ssim": _inner_mean(local), "ssim_own_range": _inner_mean(own)}
        if p is not None:
            masked = map(_inner_mean, _both_ranges(x.where(p, -1), y.where(p, -1)))
            values |= zip(("mask_ssim", "mask_ssim_own_range"), masked, strict=True)
        if m is not None:
            values |= {
                "fg_l1": fg_l1(x, y, m),
                "fg_psnr": fg_psnr(x, y, m),
                "fg_ssim": _mean_inside(local, m),
            }
        if m is not None and j is not None:
            values["head_l1"] = head_l1(x, y, j, m)
        if s is not None and mask is not None:
            values["uncovered_l1"] = uncovered_l1(x, y, s, m)
        undefined = torch.full_like(values["l1"], torch.nan)
        parts.append([values.get(name, undefined) for name in METRICS])
    values = {name: torch.cat(column) for name, column in zip(METRICS, zip(*parts, strict=True), strict=True)}
    if found is not None and pose is not None:
        found, pose = Found(*map(_where_float64_is, found)), _where_float64_is(pose)
        values |= {"pck": pck(found, pose), "pckh": pckh(found, pose)}
    return values


def frechet_distance(features: Tensor, targets: Tensor) -> float:
    """Fréchet distance between two sets of features ``[N, D]`` and ``[M, D]``, each taken for a normal distribution.

    It is what FID (Heusel et al. 2017) computes of Inception's features: with means m and covariances S (dividing by
    N - 1), ``|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2))``. The trace of that root is the sum of the singular values of
    ``R1 R2ᵀ``, where ``S = Rᵀ R``. So no root is taken of a matrix, which is singular for fewer pictures than features,
    and nothing turns complex.

    Few pictures make it too large, and the more so the more features there are: compare only what has equally many.
    NaN for fewer than two pictures.
    """
    a, b = features.double(), targets.double()
    if min(len(a), len(b)) < 2:
        return math.nan
    means, roots = [], []
    for x in (a, b):
        means.append(x.mean(0))
        roots.append(torch.linalg.qr((x - means[-1]) / (len(x) - 1) ** 0.5, mode="r").R)
    spread = sum(root.square().sum() for root in roots)
    shared = torch.linalg.svdvals(roots[0] @ roots[1].T).sum()
    return ((means[0] - means[1]).square().sum() + spread - 2 * shared).item()


def kernel_distance(features: Tensor, targets: Tensor, people: Tensor) -> Tensor:
    """Kernel distance between the features of N pictures and those of their targets, by pairs of people.

    It is the squared maximum mean discrepancy (Gretton et al. 2012) with the kernel ``(x·y / D + 1)³``, which KID
    (Bińkowski et al. 2018) takes of Inception's features. Without bias whatever the number of pictures, it may fall
    below 0. Pictures of one person, a picture and its own target among them, resemble each other; so only pictures of
    different people are compared, which makes the estimate one over people, and 0 that of a perfect copy.

    Why not a Fréchet distance alone, on MoveNet's features of 500 held-out pairs of 50 people: of the shipped generator
    it is 2.2, and 4.3 where only a quarter of the people are taken; between real pictures of one half of the people and
    of the other it is 4.7. The kernel distance (times 1000) is 1.3 (95 %: 0.9 to 1.9), with a quarter of the people 1.0
    (0.3 to 2.2), and -0.1 between the halves; a blur of one pixel has 7.7, noise of 0.1 has 29.

    Args:
        features: ``[N, D]``.
        targets: ``[N, D]``, row by row those of the same pairs.
        people: who is on each of the N pairs, int64 ``[N]`` from 0 to P - 1.

    Returns:
        Float64 ``[2, P, P]``: sums over the pairs of one person (row) with those of another (column), and how many
        these are; the diagonals are 0. The distance is the ratio of the two sums, over all or over people drawn anew.
    """
    a, b = features.double(), targets.double()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    one = F.one_hot(people).double()  # [N, P]
    rows = [
        (kernel(x, a) + kernel(y, b) - kernel(x, b) - kernel(y, a)) @ one
        for x, y in zip(a.split(ROWS), b.split(ROWS), strict=True)
    ]
    sums = one.T @ torch.cat(rows)
    counts = one.sum(0)
    return torch.stack([sums, counts[:, None] * counts]).where(~torch.eye(len(counts)).bool(), 0)


def pose_mask(pose: Tensor, height: int, width: int, radius: float = 4.0) -> Tensor:
    """The pose mask of PG2 and Deformable GAN, a disc per joint and a bar per limb: bool ``[B, 1, height, width]``.

    A pixel belongs to the mask if it lies within ``radius`` pixels of a joint or of a limb of :data:`MASK_LIMBS`; gaps
    of up to 4 pixels are then closed (dilation, then erosion, by a 5 x 5 square). The radius of both papers' scripts is
    4 pixels, whatever the picture's size. Their masks differ from one another, and from this, on the outline only.

    Args:
        pose: ``[B, 18, 2]``, (x, y) in pixels; a missing joint (NaN) draws no disc, and its limbs no bar.
    """
    check_pose(pose)
    if len(pose) > CHUNK:
        return torch.cat([pose_mask(part, height, width, radius) for part in pose.split(CHUNK)])
    pose = pose.detach().float()
    x = torch.arange(width, device=pose.device, dtype=pose.dtype).view(1, 1, width)
    y = torch.arange(height, device=pose.device, dtype=pose.dtype).view(1, height, 1)
    mask = torch.zeros(len(pose), height, width, dtype=torch.bool, device=pose.device)
    for start, end in (*((joint, joint) for joint in range(len(JOINTS))), *MASK_LIMBS):
        x0, y0 = pose[:, start].view(-1, 2, 1, 1).unbind(1)
        dx, dy = (pose[:, end] - pose[:, start]).view(-1, 2, 1, 1).unbind(1)
        length2 = (dx**2 + dy**2).clamp(min=1e-6)
        along = (((x - x0) * dx + (y - y0) * dy) / length2).clamp(0, 1)  # nearest point: 0 at start, 1 at end
        distance2 = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
        mask |= distance2 <= radius**2  # a missing joint makes it NaN, which compares false
    dilated = F.max_pool2d(mask[:, None].float(), 5, stride=1, padding=2)
    return -F.max_pool2d(-dilated, 5, stride=1, padding=2) > 0.5


def _gaussian_matrix(size: int, device: torch.device) -> Tensor:
    """The ``[size, size]`` matrix that blurs a column of pixels, mirrored at both ends (d c b a | a b c d)."""
    offset = torch.arange(-RADIUS, RADIUS + 1, device=device)
    weight = torch.exp(-0.5 * (offset.double() / SIGMA) ** 2)
    source = torch.arange(size, device=device)[:, None] + offset
    source = torch.where(source < 0, -1 - source, source)
    source = torch.where(source >= size, 2 * size - 1 - source, source)
    matrix = torch.zeros(size, size, dtype=torch.float64, device=device)
    return matrix.scatter_add_(1, source, (weight / weight.sum()).expand(size, -1))


def _inner_mean(local: Tensor) -> Tensor:
    return local[..., RADIUS:-RADIUS, RADIUS:-RADIUS].mean((1, 2, 3))


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    """Mean of ``[B, 3, H, W]`` over the channels of the pixels inside; 0/0 = NaN where there are none."""
    return values.where(inside, 0).sum((1, 2, 3)) / (inside.sum((1, 2, 3)) * values.shape[1])


def _decibel(mean_squared_error: Tensor) -> Tensor:
    return 10 * torch.log10(DATA_RANGE**2 / mean_squared_error)


def _shifted(generated: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both pictures, checked, as float64 in [0, 2]."""
    a, b = _checked(generated, target)
    return a.double() + 1, b.double() + 1


def _where_float64_is(values: Tensor) -> Tensor:
    """The values without their gradients, on the CPU where their own device has no float64."""
    return values.detach().cpu() if values.device.type in NO_FLOAT64 else values.detach()


def _checked(generated: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both pictures where float64 is; the one gate through which pictures come in."""
    for name, pictures in (("generated", generated), ("target", target)):
        if pictures.ndim != 4 or pictures.shape[1] != 3 or 0 in pictures.shape:
            raise ValueError(
                f"{name} pictures must have the shape [B, 3, H, W] with B > 0, got {list(pictures.shape)}"
            )
        if not pictures.is_floating_point():
            raise ValueError(
                f"{name} pictures must be float in [-1, 1], got {pictures.dtype}: use x / 127.5 - 1"
            )
        low, high = (value.item() for value in pictures.detach().aminmax())
        if not (low >= -1.001 and high <= 1.001):  # NaN compares false, so it is caught too
            raise ValueError(
                f"{name} pictures must be finite and in [-1, 1], got values from {low:.4g} to {high:.4g}; "
                "rescale bytes with x / 127.5 - 1, clamp what overshoots"
            )
    if generated.shape != target.shape:
        raise ValueError(f"generated is {list(generated.shape)} but target is {list(target.shape)}")
    return _where_float64_is(generated), _where_float64_is(target)


def _checked_mask(mask: Tensor, pictures: Tensor, name: str) -> Tensor:
    """A mask as bool where float64 is; the one gate through which masks come in."""
    expected = (len(pictures), 1, *pictures.shape[-2:])
    if mask.shape != expected:
        raise ValueError(
            f"{name} must have the shape {list(expected)} like the pictures, got {list(mask.shape)}"
        )
    mask = _where_float64_is(mask)
    if mask.dtype == torch.bool:
        return mask
    if not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"{name} must hold 0 and 1 only; threshold it first, e.g. mask > 0.5")
    return mask == 1
