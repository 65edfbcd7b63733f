"""Pictures as people have them: every kind shows what its viewer shows, and what cannot be shown is named."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from figures import heic
from PIL import Image, ImageSequence

from sdgan_lib import images
from sdgan_lib.errors import UserError
from sdgan_lib.images import (
    BACKGROUND,
    decode,
    encode_gif,
    encode_png,
    from_uint8,
    opened,
    pixels,
    read_picture,
    to_uint8,
    upright_size,
    write_picture,
)

RAMP = np.linspace(0, 255, 12 * 20).round().astype(np.uint8).reshape(12, 20)
"""A greyscale picture with every part of the range."""

WHITE = Image.new("RGB", (1, 1), BACKGROUND).getpixel((0, 0))[0]
OVER = Image.fromarray(np.full_like(RAMP, 51))  # alpha of a fifth
FAINT = (RAMP * 0.2 + WHITE * 0.8).round()


def grey(mode: str = "L") -> Image.Image:
    return Image.fromarray(RAMP).convert(mode)


def palette(**options: object) -> Image.Image:
    """A palette whose order is not that of its greys."""
    picture = Image.fromarray(255 - RAMP)
    picture.putpalette([value for i in range(256) for value in (255 - i,) * 3])
    assert picture.mode == "P"
    picture.info.update(options)
    return picture


def with_alpha(picture: Image.Image) -> Image.Image:
    picture.putalpha(OVER)
    return picture


def save(picture: Image.Image, path: Path, **options: object) -> None:
    """Pillow's ``save``; HEIC without the plugin that the library itself must find."""
    if path.suffix == ".heic":
        path.write_bytes(heic(picture, **options))
    else:
        picture.save(path, **options)


# name: (how it is made, how to save it, greys that are right, tolerance)
KINDS: dict[str, tuple[Callable[[], Image.Image], dict, np.ndarray, float]] = {
    "1.png": (lambda: Image.fromarray(RAMP >= 128), {}, (RAMP >= 128) * 255.0, 0),
    "L.png": (grey, {}, RAMP, 0),
    "L4.png": (lambda: palette(), {"bits": 8}, RAMP, 0),
    "16.png": (lambda: Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP, 0),
    "16.tif": (lambda: Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP, 0),
    "16.pgm": (lambda: Image.fromarray(RAMP.astype(np.int32) * 257), {}, RAMP, 0),
    "32 bytes.tif": (lambda: Image.fromarray(RAMP.astype(np.int32)), {}, RAMP, 0),
    "32.tif": (lambda: Image.fromarray((RAMP / 255.0 * (2**31 - 1)).astype(np.int32)), {}, RAMP, 0.51),
    "float to 1.tif": (lambda: Image.fromarray((RAMP / 255).astype(np.float32)), {}, RAMP, 0),
    "float to 255.tif": (lambda: Image.fromarray(RAMP.astype(np.float32)), {}, RAMP, 0),
    "grey.jpg": (grey, {"quality": 100}, RAMP, 2),
    "rgb.jpg": (lambda: grey("RGB"), {"quality": 100}, RAMP, 2),
    "cmyk.jpg": (lambda: grey("RGB").convert("CMYK"), {"quality": 100}, RAMP, 3),
    "cmyk.tif": (lambda: grey("RGB").convert("CMYK"), {}, RAMP, 0),
    "P.gif": (palette, {}, RAMP, 0),
    "P transparent.png": (
        palette, {"transparency": bytes([51] * 256)}, FAINT, 1,
    ),
    "RGB transparent.png": (
        lambda: grey("RGB"), {"transparency": (0, 0, 0)}, np.where(RAMP == 0, WHITE, RAMP), 0,
    ),
    "LA.png": (lambda: with_alpha(grey()), {}, FAINT, 1),
    "RGBA.png": (lambda: with_alpha(grey("RGB")), {}, FAINT, 1),
    "RGBA.tif": (lambda: with_alpha(grey("RGB")), {}, FAINT, 1),
    "RGBA.webp": (lambda: with_alpha(grey("RGB")), {"lossless": True, "exact": True}, FAINT, 1),
    "RGB.webp": (lambda: grey("RGB"), {"lossless": True}, RAMP, 0),
    "RGB.bmp": (lambda: grey("RGB"), {}, RAMP, 0),
    "RGB.heic": (lambda: grey("RGB"), {}, RAMP, 1),
    "L.heic": (grey, {}, RAMP, 1),
    "16.heic": (lambda: Image.fromarray(RAMP.astype(np.uint16) * 257), {}, RAMP, 1),
    "RGBA.heic": (lambda: with_alpha(grey("RGB")), {}, FAINT, 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_the_same_greys(tmp_path: Path, kind: str) -> None:
    make, options, expected, tolerance = KINDS[kind]
    save(make(), tmp_path / kind, **options)
    found = (read_picture(tmp_path / kind) + 1) * 127.5
    assert found.shape == (3, 12, 20)
    assert (found - torch.tensor(np.asarray(expected, np.float32))).abs().max() <= tolerance + 1e-3
    with opened(tmp_path / kind) as image:
        assert (pixels(decode(image, "L")).float() - found[:1]).abs().max() <= 1


def test_sixteen_bits_per_colour_and_sixteen_shades(tmp_path: Path) -> None:
    """What Pillow does not write: PNG of 16 bits per colour, and of 4 bits."""
    for name, bits, colour, row in (
        ("rgb16.png", 16, 2, b"".join(struct.pack(">3H", *(v * 257,) * 3) for v in (0, 51, 255))),
        ("grey4.png", 4, 0, bytes([0x03, 0xF0])),
    ):
        header = struct.pack(">IIBBBBB", 3, 1, bits, colour, 0, 0, 0)
        data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        found = ((read_picture(tmp_path / name) + 1) * 127.5).round()
        assert found[:, 0].tolist() == [[0, 51, 255]] * 3


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    """A picture stored turned or mirrored, with the orientation that undoes it, is the picture."""
    T = Image.Transpose
    stored = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
              7: T.TRANSVERSE, 8: T.ROTATE_270}  # fmt: skip
    upright = Image.fromarray(np.dstack([RAMP] * 3))
    turned = upright.transpose(stored[orientation]) if orientation in stored else upright
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / f"p.{ending}"
    save(
        turned,
        path,
        exif=exif,
        **({"quality": 100} if ending == "jpg" else {"lossless": True} if ending == "webp" else {}),
    )
    found = (read_picture(path) + 1) * 127.5
    assert (found[0] - torch.tensor(RAMP)).abs().max() <= 3
    with opened(path) as image:
        assert upright_size(image) == (12, 20)
    # As an iPhone writes it: said by EXIF, and by the container itself.
    if ending == "heic" and orientation > 1:
        assert b"irot" in path.read_bytes() or b"imir" in path.read_bytes()


def bomb(path: Path, width: int = 50_000, height: int = 50_000) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )


def half(path: Path) -> None:
    grey("RGB").save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-200])


def half_heic(path: Path) -> None:
    path.write_bytes(heic(grey("RGB"))[:-200])


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "bomb": (bomb, "too large, more than 67,108,864 pixels. Remedy: make it smaller"),
    "large": (lambda path: bomb(path, 10_000, 10_000), "too large, more than 67,108,864 pixels"),
    "half": (half, r"truncated or not a picture \(.*\). Remedy: copy it again"),
    "empty": (lambda path: path.write_bytes(b""), "truncated or not a picture"),
    "text": (lambda path: path.write_text("hello"), r"not a picture \(cannot identify image file\)"),
    "half of HEIC": (half_heic, r"truncated or not a picture \(.*\). Remedy: copy it again"),
    "HEIC": (lambda path: path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(99)), "save it as JPEG or PNG"),
    "program": (
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"),
        "EPS is not read; what is read: JPEG.*Remedy: save it as JPEG or PNG",
    ),
    "not finite": (
        lambda path: Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(path, format="TIFF"),
        "its values lie between nan and nan",
    ),
    "negative": (
        lambda path: Image.fromarray(np.full((4, 4), -1, np.int32)).save(path, format="TIFF"),
        "its values lie between -1 and -1, not from 0",
    ),
    "large floats": (
        lambda path: Image.fromarray(np.full((4, 4), 999, np.float32)).save(path, format="TIFF"),
        "its values lie between 999 and 999, not from 0 to 255",
    ),
    "folder": (lambda path: path.mkdir(), "it is a folder: name a file"),
    "missing": (lambda path: None, "no such file or directory"),
    "pipe": (os.mkfifo, "a device or a pipe"),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNREADABLE)
def test_what_cannot_be_shown_is_named(
    tmp_path: Path, fault: str, recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, message = UNREADABLE[fault]
    path = tmp_path / "a\x1bb.jpg"
    make(path)
    if fault in ("bomb", "large"):
        monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match=message) as caught:
        read_picture(path)
    assert str(caught.value).startswith(str(tmp_path / r"a\x1bb.jpg")) and str(caught.value).isprintable()
    assert not recwarn.list


def test_bytes_and_tensors(tmp_path: Path) -> None:
    every = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    floats = from_uint8(every)
    assert floats.min() == -1 and floats.max() == 1
    assert (to_uint8(floats) == every.movedim(0, -1).numpy()).all()
    (tmp_path / "a.png").write_bytes(encode_png(to_uint8(floats)))
    assert torch.equal(read_picture(tmp_path / "a.png"), floats)
    for wrong, message in (
        (floats[0], "expected float"), (every, "expected float"), (floats / 0, "NaN or infinite"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            to_uint8(wrong)


@pytest.mark.parametrize("ending", images.WRITABLE)
def test_pictures_are_written_in_the_format_of_the_ending(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "new" / f"a{ending}"
    write_picture(path, grey("RGB"))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert (read_picture(path)[0] - from_uint8(torch.tensor(RAMP))).abs().max() < 0.25


@pytest.mark.parametrize("name", ["a", "a.gifff", "a.json", "a.eps"])
def test_an_ending_that_names_no_picture(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: its ending .* choose one of \.png, \.jpg"):
        write_picture(tmp_path / "new" / name, grey())
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------- moving pictures


def film(count: int, height: int = 24, width: int = 16) -> np.ndarray:
    """A white bar that moves over a still coloured ground of few colours: uint8 ``[count, height, width, 3]``."""
    ground = (
        np.random.default_rng(0)
        .integers(0, 256, (6, 4, 3), np.uint8)
        .repeat(height // 6, 0)
        .repeat(width // 4, 1)
    )
    frames = np.stack([ground] * count)
    for i in range(count):
        frames[i, :, i % width] = 255
    return frames


def played(data: bytes) -> tuple[np.ndarray, list[int], dict]:
    """Frames uint8 ``[T, H, W, 3]`` of a GIF as a viewer shows them, their durations in ms, what its header says."""
    with Image.open(io.BytesIO(data)) as gif:
        assert gif.format == "GIF"
        frames, durations, info = [], [], dict(gif.info)
        for frame in ImageSequence.Iterator(gif):
            durations.append(frame.info["duration"])
            frames.append(np.asarray(frame.convert("RGB")))
    return np.stack(frames), durations, info


@pytest.mark.parametrize("scale", [1, 3])
def test_a_gif_holds_every_frame_and_plays_for_ever(scale):
    frames = film(12)
    shown, durations, info = played(encode_gif(frames, 8, scale))
    np.testing.assert_array_equal(shown, frames.repeat(scale, 1).repeat(scale, 2))
    assert info["loop"] == 0 and sum(durations) == 1500 and set(durations) == {120, 130}


@pytest.mark.parametrize("speed", [0.5, 3, 8, 12.5, 30, 50])
def test_a_gif_lasts_as_long_as_it_should(speed):
    shown, durations, _ = played(encode_gif(film(9), speed))
    assert len(shown) == 9 and abs(sum(durations) - 9000 / speed) <= 5
    assert max(durations) - min(durations) <= 10


def test_a_frame_that_equals_the_one_before_stays_longer():
    frames = film(3)[[0, 0, 1, 2]]
    shown, durations, _ = played(encode_gif(frames, 10))
    assert durations == [200, 100, 100]
    np.testing.assert_array_equal(shown, frames[1:])
    assert len(played(encode_gif(frames[:1], 10))[0]) == 1


def test_what_stands_still_does_not_flicker_though_colours_are_few():
    """Photographs have more than 256 colours: each pixel stays near its own, and equal pixels stay equal."""
    frames = np.random.default_rng(0).integers(0, 256, (1, 24, 16, 3), np.uint8).repeat(6, 0)
    moving = np.linspace(0, 255, 6 * 24 * 8 * 3).astype(np.uint8).reshape(6, 24, 8, 3)
    frames[:, :, :8] = moving
    shown, _, _ = played(encode_gif(frames))
    assert (shown[:, :, 8:] == shown[:1, :, 8:]).all()
    assert np.abs(shown.astype(int) - frames).mean() < 12


@pytest.mark.parametrize(
    "frames, speed, scale",
    [
        (film(2)[0], 8, 1),
        (film(2).astype(float), 8, 1),
        (film(2)[:0], 8, 1),
        (film(2)[..., :2], 8, 1),
        (film(2), 0, 1),
        (film(2), 51, 1),
        (film(2), float("nan"), 1),
        (film(2), 8, 0),
        (film(2), 8, 1.5),
    ],
)
def test_what_cannot_be_a_gif_is_refused(frames, speed, scale):
    with pytest.raises(ValueError, match="got"):
        encode_gif(frames, speed, scale)
