"""Pictures to look at: skeletons, heat maps, galleries, training curves.

Skeletons, overlays and galleries are drawn with Pillow, fast enough to follow a slider; only :func:`show` and curves
need pyplot, which they import themselves, and whose backend is left alone. All colours come from the palette of Okabe
and Ito (2008), made to be told apart with any kind of colour vision. In a skeleton the person's own right side is warm
(vermilion arm, orange leg), the left side cool (blue arm, sky-blue leg), and nose and neck are green.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from cycler import cycler
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sdgan_lib.images import encode_gif, to_uint8
from sdgan_lib.pose import JOINTS, LIMBS, SKELETON, check_pose, rescale_pose, visible

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
ORANGE, SKY_BLUE, GREEN = (230, 159, 0), (86, 180, 233), (0, 158, 115)
BLUE, VERMILION, PURPLE = (0, 114, 178), (213, 94, 0), (204, 121, 167)
GREY = (96, 96, 96)
PAPER = (246, 246, 244)  # the plain ground of pose pictures

_SIDES = {"R": (VERMILION, ORANGE), "L": (BLUE, SKY_BLUE)}  # (arm and face, leg)
JOINT_COLOURS = tuple(
    _SIDES[name[0]][name[1:] in ("hip", "kne", "ank")] if name[0] in _SIDES else GREEN for name in JOINTS
)
"""Colour of each joint; a bone has the colour of its second, outer joint."""

_LIMB_COLOURS = tuple(
    tuple(round(c * (0.6 if name.endswith(("shin", "forearm")) else 1)) for c in JOINT_COLOURS[far])
    for name, (_, far) in LIMBS.items()
)
CANDIDATE_COLOURS = (PURPLE, GREEN, *_LIMB_COLOURS, GREY, WHITE)
"""Colour of each candidate of the attention: torso, head, the limbs as their bones (shins and forearms darker),
background, new paint."""

HOUSE_STYLE = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "font.size": 10,
    "axes.prop_cycle": cycler(
        color=[tuple(c / 255 for c in rgb) for rgb in (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE)]
    ),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}
"""matplotlib settings of all figures of the course."""

Picture = Tensor | np.ndarray


def use_house_style() -> None:
    """Set the course's matplotlib style (:data:`HOUSE_STYLE`) for all figures to come."""
    import matplotlib.pyplot as plt

    plt.rcParams.update(HOUSE_STYLE)


def draw_skeleton(image: Picture, pose: Tensor, outline: tuple[int, int, int] | None = BLACK) -> np.ndarray:
    """The picture with the pose's joints and bones drawn over it, antialiased: uint8 ``[H, W, 3]``.

    Args:
        image: float ``[3, H, W]`` in [-1, 1] or uint8 ``[H, W, 3]``.
        pose: ``[18, 2]``, (x, y) in its pixels; a missing joint (NaN) is not drawn, nor are its bones.
        outline: colour that sets the skeleton off from a busy picture; None for no outline.
    """
    base = _as_picture(image)
    check_pose(pose, batched=False)
    height, width = base.shape[:2]
    fine = 4  # drawn at four times the size, then averaged; untouched pixels come back as they were
    canvas = Image.fromarray(base).resize((width * fine, height * fine), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    pose = pose.detach().cpu().double()
    points = rescale_pose(pose, (height, width), (height * fine, width * fine)).tolist()
    present = visible(pose).tolist()
    bones = [(start, end) for start, end in SKELETON if present[start] and present[end]]
    bone = fine * max(1.2, min(height, width) / 40)  # width in fine pixels

    def stroke(margin: float, colours: Sequence[tuple[int, int, int]]) -> None:
        for start, end in bones:
            draw.line((*points[start], *points[end]), fill=colours[end], width=round(bone + 2 * margin))
        radius = 0.9 * bone + margin
        for joint, (x, y) in enumerate(points):
            if present[joint]:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[joint])

    if outline is not None:
        stroke(0.35 * bone, [outline] * len(JOINTS))
    stroke(0, JOINT_COLOURS)
    return np.asarray(canvas.reduce(fine))


def pose_picture(pose: Tensor, height: int, width: int) -> np.ndarray:
    """The skeleton of one pose ``[18, 2]`` on a plain ground: uint8 ``[height, width, 3]``."""
    return draw_skeleton(np.full((height, width, 3), PAPER, dtype=np.uint8), pose, outline=None)


def heatmap_overlay(image: Picture, heatmaps: Tensor) -> np.ndarray:
    """The picture in grey under heat maps, each in its joint's colour: uint8 ``[H, W, 3]``.

    Args:
        image: float ``[3, H, W]`` in [-1, 1] or uint8 ``[H, W, 3]``.
        heatmaps: ``[18, h, w]``, 0 to 1; of another size they are resized to the picture's. Where they overlap, the
            strongest shows.
    """
    base = _as_picture(image)
    if heatmaps.ndim != 3 or len(heatmaps) != len(JOINTS):
        raise ValueError(f"heatmaps must have shape [18, h, w], of one picture, got {list(heatmaps.shape)}")
    maps = heatmaps.detach().float().cpu()[None]
    maps = F.interpolate(maps, base.shape[:2], mode="bilinear", align_corners=False)
    strength, joint = maps[0].clamp(0, 1).max(0)
    colours = np.array(JOINT_COLOURS, dtype=np.float32)[joint.numpy()]
    grey = base.mean(2, keepdims=True, dtype=np.float32)
    alpha = 0.85 * strength.numpy()[..., None]
    return (grey * (1 - alpha) + colours * alpha).round().astype(np.uint8)


def attention_picture(shares: Tensor) -> np.ndarray:
    """Which candidate each pixel takes: their colours (:data:`CANDIDATE_COLOURS`) mixed as the attention mixes them.

    Args:
        shares: ``[12, h, w]`` in [0, 1], as :attr:`sdgan_lib.inputs.Generated.attention` holds them, of one picture.

    Returns:
        uint8 ``[h, w, 3]``.
    """
    if shares.ndim != 3 or len(shares) != len(CANDIDATE_COLOURS):
        raise ValueError(f"shares must have shape [12, h, w], of one picture, got {list(shares.shape)}")
    colours = np.array(CANDIDATE_COLOURS, dtype=np.float32)
    mixed = np.tensordot(shares.detach().float().cpu().numpy(), colours, (0, 0))
    return mixed.round().clip(0, 255).astype(np.uint8)


def beside(*pictures: Picture, gap: int = 2) -> np.ndarray:
    """Pictures of one height side by side, ``gap`` white pixels between them: uint8 ``[H, W, 3]``."""
    arrays = [_as_picture(picture) for picture in pictures]
    heights = [len(array) for array in arrays]
    if len(set(heights)) != 1:
        raise ValueError(f"pictures side by side must have one height, got {heights}")
    between = np.full((heights[0], gap, 3), 255, np.uint8)
    parts = [part for array in arrays for part in (array, between)]
    return np.concatenate(parts[:-1], axis=1)


def show(
    pictures: Mapping[str, Picture],
    height: float = 3.6,
    limits: tuple[float, float] | None = None,
    columns: int = 6,
) -> None:
    """Show pictures under their titles, ``columns`` to a row, each ``height`` inches high.

    A picture is float ``[3, h, w]`` in [-1, 1], uint8 ``[h, w, 3]``, or a map of numbers ``[h, w]``, which is shown in
    matplotlib's viridis colours with its own colour bar; ``limits`` are the values of its two ends (default: the map's
    own). The figure is made with pyplot and shown at once.
    """
    import matplotlib.pyplot as plt

    across = min(columns, len(pictures))
    down = -(-len(pictures) // across)
    first = next(iter(pictures.values()))
    tall, wide = first.shape[-2:] if isinstance(first, Tensor) or first.ndim == 2 else first.shape[:2]
    size = (max(1.5, height * wide / tall) + 0.25) * across, (height + 0.35) * down
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        axis.set_title(title, fontsize="medium")
        if picture.ndim == 3:
            axis.imshow(_as_picture(picture))
            continue
        low, high = limits or (None, None)
        values = picture.detach().cpu().numpy() if isinstance(picture, Tensor) else picture
        drawn = axis.imshow(values, vmin=low, vmax=high, cmap="viridis")
        if limits is None:
            figure.colorbar(drawn, ax=axis, shrink=0.6)
    plt.show()


class MovingPicture:
    """A GIF that a notebook plays: what :func:`moving_picture` returns.

    Attributes:
        gif: bytes of the file.
    """

    def __init__(self, gif: bytes, text: str) -> None:
        self.gif = gif
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/gif": base64.b64encode(self.gif).decode(), "text/plain": self._text}


def moving_picture(
    *pictures: Tensor | np.ndarray, frames_per_second: float = 8, scale: int = 3
) -> MovingPicture:
    """Frames as a moving picture that a notebook shows and plays for ever.

    Args:
        pictures: float ``[T, 3, H, W]`` in [-1, 1] or uint8 ``[T, H, W, 3]``; several films of one height and length
            are shown side by side.
        frames_per_second: see :func:`sdgan_lib.images.encode_gif`.
        scale: by which each pixel is repeated, across and down.

    Raises:
        ValueError: the films differ in length or height.
    """
    films = [to_uint8(film) if isinstance(film, Tensor) else film for film in pictures]
    lengths = {len(film) for film in films}
    if len(lengths) != 1:
        raise ValueError(f"films side by side must have one length, got {[len(film) for film in films]}")
    frames = np.stack([beside(*frames) for frames in zip(*films, strict=True)])
    count, height, width = frames.shape[:3]
    text = f"moving picture: {count} frames of {height * scale}x{width * scale}, {frames_per_second:g} per second"
    return MovingPicture(encode_gif(frames, frames_per_second, scale), text)


def gallery(
    columns: Mapping[str, Tensor],
    scale: int = 3,
    row_labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Image.Image:
    """A table of pictures, one row per example, one column per heading.

    Args:
        columns: heading -> pictures float ``[N, 3, h, w]`` in [-1, 1], or poses ``[N, 18, 2]`` in pixels of the largest
            pictures, shown as skeletons on a plain ground.
        scale: every picture is shown at ``scale`` times the size of the largest, enlarged by repeating pixels, so that
            a smaller one shows how coarse it is.
        row_labels: N short texts, at the left, of one line or several.
        title: one line over the whole.

    Raises:
        ValueError: the columns differ in the number of examples or in the shape of their pictures.
    """
    height, width = _common_size(columns)
    rows = len(next(iter(columns.values())))
    if row_labels is not None and len(row_labels) != rows:
        raise ValueError(f"{len(row_labels)} row labels for {rows} examples")
    cell_height, cell_width, gap = height * scale, width * scale, 2 * scale
    font = ImageFont.load_default(max(12, min(20, cell_width // 7)))
    headings = [_wrap(heading, font, cell_width) for heading in columns]
    line = sum(font.getmetrics())
    top = line * max(map(len, headings)) + 2 * gap + (0 if title is None else line + 2 * gap)
    label_lines = [text for label in row_labels or () for text in label.split("\n")]
    left = gap + (0 if row_labels is None else gap + round(max(map(font.getlength, label_lines))))
    xs = [left + column * (cell_width + gap) for column in range(len(columns))]
    ys = [top + row * (cell_height + gap) for row in range(rows)]

    sheet = Image.new("RGB", (xs[-1] + cell_width + gap, ys[-1] + cell_height + gap), WHITE)
    draw = ImageDraw.Draw(sheet)
    if title is not None:
        draw.text(((left + sheet.width) / 2, gap), title, fill=BLACK, font=font, anchor="ma")
    for x, lines, values in zip(xs, headings, columns.values(), strict=True):
        for number, text in enumerate(reversed(lines), 1):
            draw.text(
                (x + cell_width / 2, top - gap - line * number), text, fill=BLACK, font=font, anchor="ma"
            )
        for y, value in zip(ys, values, strict=True):
            sheet.paste(_cell(value, (height, width), (cell_height, cell_width)), (x, y))
    for y, label in zip(ys, row_labels or (), strict=False):
        draw.text((gap, y + cell_height / 2), label, fill=BLACK, font=font, anchor="lm")
    return sheet


def _common_size(columns: Mapping[str, Tensor]) -> tuple[int, int]:
    """(height, width) of the largest pictures of a gallery, whose columns are checked against one another."""
    pictures = [values for values in columns.values() if values.ndim == 4]
    if not pictures:
        raise ValueError("a gallery needs at least one column of pictures [N, 3, h, w]")
    height, width = max(tuple(values.shape[-2:]) for values in pictures)
    rows = len(pictures[0])
    for heading, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"column '{heading}' has {len(values)} examples, the others {rows}")
        if values.ndim == 4 and values.shape[-2] * width != values.shape[-1] * height:
            raise ValueError(
                f"column '{heading}' has pictures of height {values.shape[-2]}, width {values.shape[-1]}: "
                f"not of the shape of {height} x {width}"
            )
        if values.ndim != 4:
            check_pose(values, f"column '{heading}', neither pictures nor poses,")
    return height, width


def _cell(value: Tensor, size: tuple[int, int], cell: tuple[int, int]) -> Image.Image:
    """A picture, or a pose in pixels of ``size``, enlarged to ``cell``, both (height, width)."""
    if value.ndim == 2:
        return Image.fromarray(pose_picture(rescale_pose(value, size, cell), *cell))
    return Image.fromarray(to_uint8(value)).resize(cell[::-1], Image.Resampling.NEAREST)


def training_curves(
    log: pd.DataFrame | Iterable[Mapping[str, Any]], keys: Sequence[str] | None = None, x: str = "step"
) -> Figure:
    """One small panel per logged quantity over ``x``: each value pale, their running mean dark.

    Args:
        log: a table, or one mapping per logged step; a quantity may be missing in some rows.
        keys: the quantities to show, by default all numbers but step and seconds.
        x: the quantity along the horizontal axis.

    Returns:
        A figure of pyplot: ``plt.show()`` shows it; close it after saving.

    Raises:
        ValueError: there is nothing to show.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    table = log if isinstance(log, pd.DataFrame) else pd.DataFrame(list(log))
    if x not in table:
        raise ValueError(f"the log has no '{x}'; it has: {', '.join(map(str, table.columns)) or 'nothing'}")
    if keys is None:
        numbers = table.select_dtypes("number").dropna(axis="columns", how="all")
        keys = [key for key in numbers.columns if key not in (x, "step", "seconds")]
    unknown = [key for key in keys if key not in table]
    if unknown or not keys:
        raise ValueError(f"nothing to show: the log has no {', '.join(unknown) or 'numbers'}")
    across = min(3, len(keys))
    down = -(-len(keys) // across)
    with plt.rc_context(HOUSE_STYLE):
        size = (3.4 * across, 2.3 * down)
        figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
        for axis, key in zip(axes.flat, keys, strict=False):
            values = table[[x, key]].dropna()
            smooth = values[key].rolling(max(1, len(values) // 20), min_periods=1, center=True).mean()
            axis.plot(values[x], values[key], color="C0", alpha=0.25, linewidth=0.8)
            axis.plot(values[x], smooth, color="C0", linewidth=1.6)
            axis.set_title(key, fontsize="medium")
        for axis in axes.flat[len(keys) :]:
            axis.set_visible(False)
        for axis in axes[-1]:
            axis.set_xlabel(x)
    return figure


def _as_picture(image: Picture) -> np.ndarray:
    picture = to_uint8(image) if isinstance(image, Tensor) else image
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"expected one picture, float [3, H, W] or uint8 [H, W, 3], got {picture.dtype} {list(picture.shape)}"
        )
    return picture


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The text in lines of at most ``width`` pixels, broken at spaces; a longer word stays whole."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
