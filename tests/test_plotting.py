"""plotting.py: what is drawn where, in which colour and size; and that matplotlib is left as it was."""

import base64
import io
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sdgan_lib.heatmaps import heatmaps
from sdgan_lib.images import encode_png, to_uint8
from sdgan_lib.plotting import (
    BLUE,
    GREEN,
    HOUSE_STYLE,
    JOINT_COLOURS,
    ORANGE,
    PAPER,
    SKY_BLUE,
    VERMILION,
    WHITE,
    draw_skeleton,
    gallery,
    heatmap_overlay,
    moving_picture,
    pose_picture,
    training_curves,
    use_house_style,
)
from sdgan_lib.pose import JOINT, JOINTS, LEFT_RIGHT, SKELETON

MISSING = torch.full((18, 2), torch.nan)
GREY = np.full((128, 64, 3), 128, dtype=np.uint8)


def spread_pose() -> torch.Tensor:
    """18 joints far apart from one another on a 128x64 picture."""
    return torch.tensor([[10.0 + 20 * (i % 3), 10.0 + 20 * (i // 3)] for i in range(18)])


def pose_of(**joints: tuple[float, float]) -> torch.Tensor:
    pose = MISSING.clone()
    for name, point in joints.items():
        pose[JOINT[name]] = torch.tensor(point)
    return pose


def has_colour(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return np.abs(pixel.astype(int) - colour).max() <= 3


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# --- bytes ----------------------------------------------------------------------------------------


def test_to_uint8_and_back():
    levels = torch.arange(256, dtype=torch.float32).view(1, 16, 16).expand(3, -1, -1)
    array = to_uint8(levels / 127.5 - 1)
    assert array.dtype == np.uint8 and array.shape == (16, 16, 3)
    assert np.array_equal(array[..., 1], levels[0].numpy())
    batch = torch.stack([torch.full((3, 4, 5), value) for value in (-1.5, -1.0, 0.0, 1.0, 2.0)])
    batch[0, 0] = 1  # red first
    shown = to_uint8(batch.requires_grad_())
    assert shown.shape == (5, 4, 5, 3)
    assert shown[:, 0, 0].tolist() == [[255, 0, 0], [0] * 3, [128] * 3, [255] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(4, 5, 3), "expected float images"),
        (torch.zeros(3, 4, 5, dtype=torch.uint8), "uint8"),
        (torch.full((3, 4, 5), torch.nan), "NaN"),
    ],
)
def test_to_uint8_names_bad_input(images, message):
    with pytest.raises(ValueError, match=message):
        to_uint8(images)


def test_encode_png_decodes_to_the_same_picture():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    data = encode_png(picture)
    assert data.startswith(b"\x89PNG")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture)


# --- skeletons ------------------------------------------------------------------------------------


@pytest.mark.parametrize("outline", [(0, 0, 0), None])
@pytest.mark.parametrize("scale", [1, 2])
def test_each_joint_has_its_colour_at_its_pixel(outline, scale):
    picture = np.repeat(np.repeat(GREY, scale, 0), scale, 1)
    pose = (spread_pose() + 0.5) * scale - 0.5
    shown = draw_skeleton(picture, pose, outline)
    assert shown.shape == picture.shape and shown.dtype == np.uint8
    for joint, (x, y) in enumerate(spread_pose().int().tolist()):
        pixel = shown[y * scale, x * scale]
        assert has_colour(pixel, JOINT_COLOURS[joint]), JOINTS[joint]


def test_a_bone_has_the_colour_of_its_outer_joint():
    shown = draw_skeleton(GREY, pose_of(neck=(30, 20), Rhip=(30, 60), Rkne=(50, 60)), None)
    assert has_colour(shown[20, 30], GREEN) and has_colour(shown[40, 30], ORANGE)
    assert has_colour(shown[60, 40], ORANGE)


def test_a_bone_lies_between_its_joints():
    shown = draw_skeleton(GREY, pose_of(Rsho=(30, 20), Relb=(30, 60)), None)
    change = np.abs(shown.astype(float) - GREY).sum(2)
    ys, xs = change.nonzero()
    assert 17 <= ys.min() <= 19 and 61 <= ys.max() <= 63 and 27 <= xs.min() and xs.max() <= 33
    y, x = np.mgrid[:128, :64]
    assert abs(np.average(x, weights=change) - 30) < 0.2  # a half-pixel shift would show
    assert abs(np.average(y, weights=change) - 40) < 0.2
    assert 1 <= (change[30:50] > 0).sum(1).mean() <= 4  # thin
    outlined = draw_skeleton(GREY, pose_of(Rsho=(30, 20), Relb=(30, 60)))
    assert has_colour(outlined[40, 30], VERMILION)
    row = outlined[40].astype(int).sum(1)
    assert row[:30].min() < 0.6 * 384 and row[31:].min() < 0.6 * 384  # dark on both sides


def test_left_and_right_have_different_colours_in_every_pair():
    for joint, name in enumerate(JOINTS):
        side = {"R": (VERMILION, ORANGE), "L": (BLUE, SKY_BLUE)}.get(name[0])
        assert JOINT_COLOURS[joint] in (side or (GREEN,))
        if side:
            assert JOINT_COLOURS[LEFT_RIGHT[joint]] != JOINT_COLOURS[joint]
    assert len({JOINT_COLOURS[JOINT[name]] for name in ("Rwri", "Lwri", "Rank", "Lank", "nose")}) == 5


def test_missing_joints_draw_nothing():
    assert np.array_equal(draw_skeleton(GREY, MISSING), GREY)
    ends = draw_skeleton(GREY, pose_of(Rsho=(10, 10), Rwri=(50, 110)))  # the elbow between them is missing
    assert np.array_equal(ends[30:90], GREY[30:90])
    half = pose_of(Rsho=(10, 10))
    half[JOINT["Relb"]] = torch.tensor([torch.nan, 40.0])  # one coordinate missing counts as missing
    assert np.array_equal(draw_skeleton(GREY, half), draw_skeleton(GREY, pose_of(Rsho=(10, 10))))


@settings(deadline=None, max_examples=30)
@given(
    kept=st.sets(st.integers(0, 17)),
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    seed=st.integers(0, 999),
)
def test_any_pose_draws_inside_any_picture_and_leaves_the_rest(kept, height, width, seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pose = MISSING.clone()
    for joint in kept:  # up to half a picture outside
        pose[joint] = torch.from_numpy(rng.uniform(-0.5, 1.5, 2) * (width, height)).float()
    before = picture.copy()
    shown = draw_skeleton(picture, pose)
    assert np.array_equal(picture, before) and shown.shape == picture.shape
    y, x = np.mgrid[:height, :width]
    reach = 3 + 2.5 * max(1.2, min(height, width) / 40)
    near = np.zeros((height, width), dtype=bool)
    for start, end in (*SKELETON, *((joint, joint) for joint in kept)):
        if start in kept and end in kept:
            (x0, y0), (x1, y1) = pose[start].tolist(), pose[end].tolist()
            along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / max((x1 - x0) ** 2 + (y1 - y0) ** 2, 1e-6)
            along = np.clip(along, 0, 1)
            near |= np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) <= reach
    assert np.array_equal(shown[~near], picture[~near])


def test_a_tensor_and_its_bytes_give_the_same_picture():
    image = torch.rand(3, 128, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert np.array_equal(draw_skeleton(image, spread_pose()), draw_skeleton(to_uint8(image), spread_pose()))


def test_pose_picture_is_a_skeleton_on_a_plain_ground():
    shown = pose_picture(spread_pose(), 128, 64)
    assert shown.shape == (128, 64, 3)
    assert tuple(shown[127, 63]) == PAPER
    assert np.array_equal(
        shown, draw_skeleton(np.full((128, 64, 3), PAPER, np.uint8), spread_pose(), outline=None)
    )
    assert has_colour(shown[10, 10], GREEN)
    assert np.array_equal(pose_picture(MISSING, 20, 10), np.full((20, 10, 3), PAPER, np.uint8))


@pytest.mark.parametrize(
    ("image", "pose", "message"),
    [
        (GREY, MISSING[None], r"\[18, 2\], got \[1, 18, 2\]"),
        (GREY.astype(np.float32), MISSING, "float32"),
        (torch.zeros(1, 3, 8, 8), MISSING, r"\[1, 8, 8, 3\]"),
    ],
)
def test_skeletons_name_bad_input(image, pose, message):
    with pytest.raises(ValueError, match=message):
        draw_skeleton(image, pose)


# --- heat maps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(128, 64), (32, 16)])
def test_heatmaps_colour_the_picture_at_their_joints(size):
    pose = pose_of(Rwri=(12, 100), Lank=(50, 30))
    maps = heatmaps(pose[None], 128, 64, sigma=5.0)
    if size != (128, 64):
        maps = torch.nn.functional.interpolate(maps, size, mode="area")
    red = np.zeros((128, 64, 3), dtype=np.uint8)
    red[..., 0] = 240
    shown = heatmap_overlay(red, maps[0]).astype(int)
    assert shown.shape == (128, 64, 3)
    assert np.abs(shown[100, 12] - VERMILION).max() < 45 and np.abs(shown[30, 50] - SKY_BLUE).max() < 60
    assert np.abs(shown[5, 5] - 80).max() <= 1  # far away: the picture in grey
    assert np.array_equal(heatmap_overlay(red, torch.zeros(18, 4, 2)), np.full_like(red, 80))


def test_heatmaps_of_a_batch_are_refused():
    with pytest.raises(ValueError, match=r"\[18, h, w\]"):
        heatmap_overlay(GREY, torch.zeros(1, 18, 8, 8))


# --- galleries ------------------------------------------------------------------------------------


def example_columns(rows: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    high = torch.rand(rows, 3, 128, 64, generator=generator) * 2 - 1
    low = torch.nn.functional.avg_pool2d(high, 4)
    return {"low": low, "target pose": spread_pose().expand(rows, -1, -1), "high": high}


def cells(sheet: Image.Image, columns: int, rows: int, scale: int, left: int) -> list[list[np.ndarray]]:
    """The pictures of a sheet, found from its lower right corner."""
    array, gap = np.asarray(sheet), 2 * scale
    height, width = 128 * scale, 64 * scale
    top = array.shape[0] - rows * (height + gap)
    return [
        [
            array[top + r * (height + gap) :, left + c * (width + gap) :][:height, :width]
            for c in range(columns)
        ]
        for r in range(rows)
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [2, 3])
def test_gallery_holds_each_picture_enlarged_by_repeating_pixels(scale):
    columns = example_columns()
    sheet = gallery(columns, scale=scale)
    gap = 2 * scale
    assert sheet.width == gap + 3 * (64 * scale + gap)
    found = cells(sheet, columns=3, rows=2, scale=scale, left=gap)
    for row in range(2):
        low, pose, high = found[row]
        assert np.array_equal(high[::scale, ::scale], to_uint8(columns["high"][row]))
        assert np.array_equal(high[scale - 1 :: scale, scale - 1 :: scale], to_uint8(columns["high"][row]))
        step = 4 * scale
        assert np.array_equal(low[::step, ::step], to_uint8(columns["low"][row]))
        assert np.array_equal(low[step - 1 :: step, step - 1 :: step], to_uint8(columns["low"][row]))
        enlarged = (spread_pose() + 0.5) * scale - 0.5
        assert np.array_equal(pose, pose_picture(enlarged, 128 * scale, 64 * scale))


def ink(sheet: Image.Image, box: tuple[int, int, int, int]) -> int:
    """Pixels within (left, top, right, bottom) that differ from white."""
    return int((np.asarray(sheet.crop(box)) != np.array(WHITE)).any(-1).sum())


def test_gallery_writes_a_heading_over_each_column_and_only_there():
    columns = example_columns(1)
    sheet = gallery(columns, scale=3)
    top = sheet.height - (128 * 3 + 6)
    widths = []
    for column in range(3):
        left = 6 + column * (64 * 3 + 6)
        assert ink(sheet, (left, 0, left + 192, top)) > 60
        assert ink(sheet, (left - 6, 0, left, sheet.height)) == 0  # nothing runs over into the gaps
        band = (np.asarray(sheet.crop((left, 0, left + 192, top))) < 128).any(-1).any(0).nonzero()[0]
        widths.append(band.max() - band.min())
        assert abs((band.max() + band.min()) / 2 - 96) < 4  # centred
    assert (
        widths[1] > 1.5 * widths[0]
    )  # "target pose" is longer than "low": they are the texts, not a placeholder
    other = gallery({"HIGH" if k == "high" else k: v for k, v in columns.items()}, scale=3)
    assert other.size == sheet.size
    assert not np.array_equal(np.asarray(other)[:top], np.asarray(sheet)[:top])
    assert np.array_equal(np.asarray(other)[top:], np.asarray(sheet)[top:])


def test_gallery_wraps_long_headings_and_makes_room_for_row_labels():
    images = example_columns(2)["high"]
    short, long = gallery({"high": images}), gallery({"high output of the third stage, enlarged": images})
    assert long.height > short.height and long.width == short.width
    labelled = gallery({"high": images}, row_labels=["same camera", "b"])
    margin = labelled.width - short.width
    assert margin > 60 and labelled.height == short.height
    assert ink(labelled, (0, labelled.height - 390, margin, labelled.height)) > 5
    assert np.array_equal(np.asarray(labelled)[:, margin:], np.asarray(short))


def test_a_gallery_has_room_for_a_title_and_for_labels_of_several_lines():
    columns = {"a": torch.zeros(2, 3, 128, 64)}
    plain, titled = gallery(columns), gallery(columns, title="of all")
    band = titled.height - plain.height
    assert band > 15 and titled.width == plain.width
    assert (np.asarray(titled)[:band] < 128).any() and (
        np.asarray(gallery(columns, title=" "))[:band] == 255
    ).all()
    assert np.array_equal(np.asarray(titled)[band:], np.asarray(plain))
    one, two = (
        gallery(columns, row_labels=["same camera", "b"]),
        gallery(columns, row_labels=["same\ncamera", "b"]),
    )
    assert plain.width < two.width < one.width

    def inked_rows(sheet):
        return int((np.asarray(sheet)[:-390, : sheet.width - plain.width] < 128).any((1, 2)).sum())

    assert inked_rows(two) > 1.5 * inked_rows(one)


def test_gallery_follows_the_largest_picture_and_its_pose_pixels():
    wide = torch.zeros(1, 3, 32, 48)
    sheet = gallery({"pose": pose_of(Rwri=(40, 8))[None], "a": wide[..., ::2, ::2], "b": wide}, scale=2)
    assert sheet.width == 4 + 3 * (96 + 4)
    top = sheet.height - (64 + 4)
    assert has_colour(np.asarray(sheet)[top + 17, 4 + 81], VERMILION)


@pytest.mark.parametrize(
    ("columns", "labels", "message"),
    [
        ({}, None, "at least one column of pictures"),
        ({"pose": MISSING[None]}, None, "at least one column of pictures"),
        (
            {"a": torch.zeros(2, 3, 8, 8), "b": torch.zeros(1, 3, 8, 8)},
            None,
            "'b' has 1 examples, the others 2",
        ),
        (
            {"a": torch.zeros(2, 3, 8, 8), "b": torch.zeros(2, 3, 8, 4)},
            None,
            "'b' has pictures of height 8, width 4",
        ),
        (
            {"a": torch.zeros(2, 3, 8, 8), "b": torch.zeros(2, 18)},
            None,
            r"'b', neither pictures nor poses, must have shape \[B, 18, 2\]",
        ),
        ({"a": torch.zeros(2, 3, 8, 8)}, ["one"], "1 row labels for 2 examples"),
    ],
)
def test_gallery_names_bad_input(columns, labels, message):
    with pytest.raises(ValueError, match=message):
        gallery(columns, row_labels=labels)


# --- matplotlib -----------------------------------------------------------------------------------


def test_a_moving_picture_is_a_gif_that_a_notebook_shows():
    film = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 16, 8)
    shown = moving_picture(film, frames_per_second=10, scale=2)
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"image/gif", "text/plain"}
    assert base64.b64decode(bundle["image/gif"]) == shown.gif
    text = "moving picture: 5 frames of 32x16, 10 per second"
    assert bundle["text/plain"] == repr(shown) == text
    with Image.open(io.BytesIO(shown.gif)) as gif:
        assert (
            gif.format == "GIF" and gif.n_frames == 5 and gif.size == (16, 32) and gif.info["duration"] == 100
        )
        for i in range(5):
            gif.seek(i)
            assert abs(int(np.asarray(gif.convert("L"))[0, 0]) - int(to_uint8(film)[i, 0, 0, 0])) <= 1


def test_films_side_by_side():
    films = to_uint8(torch.rand(3, 3, 16, 8)), torch.rand(3, 3, 16, 12)
    with Image.open(io.BytesIO(moving_picture(*films, scale=1).gif)) as gif:
        assert gif.n_frames == 3 and gif.size == (8 + 2 + 12, 16)
    with pytest.raises(ValueError, match=r"one length, got \[3, 2\]"):
        moving_picture(films[0], films[1][:2])
    with pytest.raises(ValueError, match="one height"):
        moving_picture(films[0], films[1][:, :, :8])


def test_training_curves_show_each_quantity_at_its_steps():
    log = [
        {"step": 10 * i, "seconds": 0.5 * i, "l1": 1 / (i + 1), "d_loss": 2.0 - 0.01 * i} for i in range(100)
    ]
    log += [{"step": 1000, "seconds": 51.0, "l1": 0.5, "val_ssim": 0.3, "note": "end"}]
    figure = training_curves(log)
    panels = {axis.get_title(): axis for axis in figure.axes if axis.get_visible()}
    assert set(panels) == {"l1", "d_loss", "val_ssim"}
    raw, smooth = panels["l1"].lines
    assert raw.get_xdata().tolist() == [row["step"] for row in log]
    assert raw.get_ydata().tolist() == [row["l1"] for row in log]
    assert np.abs(np.diff(smooth.get_ydata())).max() < np.abs(np.diff(raw.get_ydata())).max()
    assert panels["d_loss"].lines[0].get_xdata().tolist() == [
        10 * i for i in range(100)
    ]  # absent in the last row
    assert all(axis.get_xlabel() == "step" for axis in panels.values())
    figure.canvas.draw()
    only = training_curves(pd.DataFrame(log), keys=["l1"], x="seconds")
    assert [axis.get_title() for axis in only.axes] == ["l1"]
    assert only.axes[0].lines[0].get_xdata()[-1] == 51.0


@pytest.mark.parametrize(
    ("log", "keys", "message"),
    [
        ([], None, "has no 'step'; it has: nothing"),
        ([{"epoch": 1, "l1": 2}], None, "has no 'step'; it has: epoch, l1"),
        ([{"step": 1, "note": "x"}], None, "no numbers"),
        ([{"step": 1, "l1": 2}], ["ssim"], "no ssim"),
    ],
)
def test_training_curves_name_what_is_missing(log, keys, message):
    with pytest.raises(ValueError, match=message):
        training_curves(log, keys)


def test_house_style_is_set_on_request_only_and_the_backend_never():
    backend = matplotlib.get_backend()
    with plt.rc_context():
        plt.rcParams["axes.spines.top"] = True
        training_curves([{"step": 1, "l1": 2.0}])
        assert plt.rcParams["axes.spines.top"] is True
        use_house_style()
        assert plt.rcParams["figure.dpi"] == 100 == HOUSE_STYLE["figure.dpi"]
        assert plt.rcParams["axes.spines.top"] is False
        axis = plt.figure().add_subplot()
        assert axis.plot([0, 1])[0].get_color() == tuple(value / 255 for value in BLUE)
    assert matplotlib.get_backend() == backend


def test_pyplot_and_pandas_are_loaded_by_what_needs_them_alone():
    code = """
import sys, torch
from sdgan_lib import plotting, reports
plotting.draw_skeleton(torch.zeros(3, 16, 8), torch.zeros(18, 2))
print(*sorted({"matplotlib.pyplot", "pandas"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"
