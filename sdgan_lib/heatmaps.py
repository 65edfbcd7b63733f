"""Heat maps: one Gaussian per joint, and the way back from a heat map to a joint.

The networks see a pose as a stack of pictures, ``exp(-d² / 2σ²)`` around each joint, with
σ = 6 px in pictures 128 px high (pose-gan's value, scaled with the height here).
"""

import torch
from torch import Tensor

SIGMA = 6.0
"""Standard deviation in pixels at ``SIGMA_HEIGHT``."""
SIGMA_HEIGHT = 128


def sigma_for(height: int) -> float:
    """The standard deviation in pixels for pictures of this height: 6 at 128, in proportion elsewhere."""
    return SIGMA * height / SIGMA_HEIGHT


def heatmaps(pose: Tensor, height: int, width: int, sigma: float | None = None) -> Tensor:
    """Heat maps ``[B, 18, height, width]`` in [0, 1] of a pose ``[B, 18, 2]`` in pixels of such a picture.

    ``sigma`` is in pixels (default ``sigma_for(height)``). A missing joint gives a map of zeros; a joint outside
    the picture gives the part of its Gaussian that falls inside. A Gaussian in the plane is the product of
    one in x and one in y, so only height + width exponentials are computed per joint.
    """
    sigma = sigma_for(height) if sigma is None else sigma
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")

    def gaussian(centre: Tensor, length: int) -> Tensor:
        pixels = torch.arange(length, device=pose.device, dtype=pose.dtype)
        return torch.exp(-(pixels[:, None] - centre[..., None, :]).square() / (2 * sigma**2)).nan_to_num(0.0)

    # The joints of a pixel lie side by side in memory (channels_last), as convolutions read them fastest.
    down, across = gaussian(pose[..., 1], height), gaussian(pose[..., 0], width)
    return (down[..., :, None, :] * across[..., None, :, :]).movedim(-1, -3)


def decode(maps: Tensor, threshold: float = 1e-3, reach: float = 0.2) -> Tensor:
    """Joints ``[B, 18, 2]``, to a fraction of a pixel, from heat maps ``[B, 18, H, W]``; NaN without a peak.

    The logarithm of a Gaussian is a parabola, so the three pixels around the highest one give its vertex
    exactly. At a border the three nearest pixels inside are used and the vertex may lie outside the picture,
    at most ``reach`` times the picture's height away. A map whose highest value is below ``threshold``, or that
    holds NaN, has no peak.
    Raises ValueError for maps smaller than 3x3.
    """
    height, width = maps.shape[-2:]
    if min(height, width) < 3:
        raise ValueError(f"heat maps must be at least 3x3 to be decoded, got {height}x{width}")
    maps = maps.detach().to(torch.promote_types(maps.dtype, torch.float32))
    peak, position = maps.flatten(-2).max(dim=-1)
    row, column = position // width, position % width
    across = maps.gather(-2, row[..., None, None].expand(*row.shape, 1, width)).squeeze(-2)
    down = maps.gather(-1, column[..., None, None].expand(*column.shape, height, 1)).squeeze(-1)
    x = _vertex(across, column, reach * height)
    y = _vertex(down, row, reach * height)
    found = (peak >= threshold) & peak.isfinite()
    return torch.where(found[..., None], torch.stack([x, y], dim=-1), torch.nan)


def _vertex(profile: Tensor, peak: Tensor, reach: float) -> Tensor:
    """Position ``[...]`` of the maximum of profiles ``[..., length]`` whose highest pixel is ``peak`` ``[...]``."""
    length = profile.shape[-1]
    middle = peak.clamp(1, length - 2)
    around = middle[..., None] + torch.arange(-1, 2, device=peak.device)
    logs = profile.gather(-1, around).clamp_min(torch.finfo(profile.dtype).tiny).log()
    before, centre, after = logs.unbind(-1)
    slope, curvature = (after - before) / 2, before - 2 * centre + after
    vertex = middle - slope / curvature
    inside = (vertex - peak).abs() <= 1
    outside = ((peak == 0) & (vertex < 0)) | ((peak == length - 1) & (vertex > peak))
    usable = (curvature < 0) & (inside | outside)
    return torch.where(usable, vertex, peak.to(vertex.dtype)).clamp(-reach, length - 1 + reach)
