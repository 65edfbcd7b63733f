"""Pictures: files, bytes and tensors in [-1, 1].

A picture of any kind becomes 8-bit RGB as its viewer shows it: turned as its EXIF orientation says, 1 to 32 bits or
floats scaled, greyscale, palette and CMYK converted, what is transparent laid over :data:`BACKGROUND`. The header is
looked at before pixels are decoded, so that a picture too large is refused at once.

Pillow decodes, HEIC by its plugin pillow-heif. torchvision's ``decode_image`` gives the same bytes (compared on 300 of
the embedded JPEGs) in 0.16 ms instead of 0.40 ms for 128x64, but importing torchvision takes longer than decoding all
5,000 pictures of the training split with Pillow, which happens once: they are kept in memory.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.files import explain, refuse_device, whole

BACKGROUND = "white"
"""Colour under the transparent parts of a picture."""

PIXEL_LIMIT = 1 << 26
"""Pixels of the largest picture that is decoded, 67 million: more than cameras take, 200 MB as RGB."""

READABLE = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF", "PPM")
"""Formats that are read, by Pillow's names. Others that Pillow knows would run programs, or hold no pixels."""

WRITABLE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
"""Endings of the files that :func:`write_picture` writes."""

_ORIENTATION, _BITS = 0x112, 258  # tags of EXIF and TIFF


def from_uint8(pixels: Tensor) -> Tensor:
    """Bytes of any shape as float in [-1, 1]: 0 becomes -1, 255 becomes 1."""
    return pixels.float() / 127.5 - 1


def to_uint8(images: Tensor) -> np.ndarray:
    """Pictures float ``[..., 3, H, W]`` in [-1, 1] as bytes ``[..., H, W, 3]``; outside the range is clipped.

    Raises:
        ValueError: for another shape, and for values that are not finite.
    """
    if images.ndim < 3 or images.shape[-3] != 3 or not images.is_floating_point():
        raise ValueError(
            f"expected float images [...,3,H,W] in [-1, 1], got {images.dtype} {list(images.shape)}"
        )
    if not images.isfinite().all():
        raise ValueError("cannot show images with NaN or infinite values")
    scaled = ((images.detach().float() + 1) * 127.5).round().clamp(0, 255)
    return scaled.byte().movedim(-3, -1).cpu().numpy()


def encode_png(array: np.ndarray) -> bytes:
    """A picture, uint8 ``[H, W, 3]`` or ``[H, W]``, as the bytes of a PNG file: quick to make, for widgets."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


FASTEST = 50
"""Frames per second that a GIF can hold and viewers keep to: they show one that lasts 0.01 s ten times as long."""


def encode_gif(frames: np.ndarray, frames_per_second: float = 8, scale: int = 1) -> bytes:
    """A moving picture as the bytes of a GIF that plays for ever.

    One palette of 256 colours serves all frames and nothing is dithered, so what stands still does not flicker. A frame
    that equals the one before is not stored again: the one before stays longer. Durations are whole hundredths of a
    second; they are spread so that the whole lasts as long as it should.

    Args:
        frames: uint8 ``[T, H, W, 3]``.
        frames_per_second: more than 0, at most :data:`FASTEST`.
        scale: whole number of pixels by which each pixel is repeated, across and down.

    Raises:
        ValueError: for another shape, type, speed or scale.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise ValueError(
            f"frames must be uint8 [T, H, W, 3] with T > 0, got {frames.dtype} {list(frames.shape)}"
        )
    if not 0 < frames_per_second <= FASTEST or scale < 1 or scale != int(scale):
        raise ValueError(
            f"a GIF has more than 0 and at most {FASTEST} frames per second and a whole scale >= 1, "
            f"got {frames_per_second} and {scale}"
        )
    count, height, width = frames.shape[:3]
    whole_film = Image.fromarray(frames.reshape(count * height, width, 3))
    colours = whole_film.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    size = (width * scale, height * scale)
    strips = (colours.crop((0, i * height, width, (i + 1) * height)) for i in range(count))
    pictures = [strip.resize(size, Image.Resampling.NEAREST) for strip in strips]
    ends = [round(100 * i / frames_per_second) for i in range(count + 1)]  # hundredths of a second
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[10 * (end - start) for start, end in pairwise(ends)],
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()


def opened(path: str | Path, content: bytes | None = None) -> Image.Image:
    """A picture file whose header has been read, to be used in a ``with``; :func:`decode` reads its pixels.

    Args:
        path: the file.
        content: its bytes where they have come another way than from the disk; ``path`` only names it in faults then.

    Raises:
        UserError: there is no such file, it is no picture of the :data:`READABLE` formats, it is damaged, or has more
            than :data:`PIXEL_LIMIT` pixels.
    """
    if content is None:
        refuse_device(path)
    with _told(path):
        image = _identified(path if content is None else io.BytesIO(content))
    image.filename = str(path)
    if image.format in READABLE and image.width * image.height <= PIXEL_LIMIT:
        return image
    image.close()
    if image.format in READABLE:
        raise UserError(_too_large(path))
    message = f"{image.format} is not read; what is read: {', '.join(READABLE)}"
    raise UserError(Problem(Path(path), message, "save it as JPEG or PNG"))


def _identified(file: str | Path | io.BytesIO) -> Image.Image:
    """Pillow's ``Image.open``. Its plugin for HEIC, which iPhones write, is imported (0.1 s) by who needs it alone."""
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        from pillow_heif import register_heif_opener

        register_heif_opener()
        return Image.open(file)


@contextmanager
def _told(path: str | Path) -> Iterator[None]:
    """Whatever Pillow raises about a file becomes a :class:`UserError`; its warnings are dropped."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path)) from error
    except Exception as error:  # a damaged file makes Pillow raise anything
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(explain(error, path)) from error
        reason = (
            str(error).replace(f" {str(path)!r}", "").partition(" <_io.BytesIO")[0] or type(error).__name__
        )
        message = f"the picture cannot be read, it is truncated or not a picture ({reason})"
        raise UserError(Problem(Path(path), message, "copy it again, or save it as JPEG or PNG")) from error


def _too_large(path: str | Path) -> Problem:
    return Problem(Path(path), f"too large, more than {PIXEL_LIMIT:,} pixels", "make it smaller")


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened picture as it is shown, that is, turned as its EXIF orientation says.

    Raises:
        UserError: the file is damaged.
    """
    with _told(image.filename):
        turned = (
            image.getexif().get(_ORIENTATION) in (5, 6, 7, 8) and image.format != "TIFF"
        )  # there Pillow turns
    return image.size if turned else (image.height, image.width)


def decode(image: Image.Image, mode: str = "RGB") -> Image.Image:
    """An opened picture of any kind, upright, as 8-bit ``RGB`` or greyscale ``L``.

    Raises:
        UserError: the file is damaged, or its values cannot be shown: not finite, negative, or floats beyond 255.
    """
    with _told(image.filename):
        bits = getattr(image, "tag_v2", {}).get(_BITS, (16,))[0]
        image.load()
        if image.getexif().get(_ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            image = Image.fromarray(_eight_bits(image, bits))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image)
        return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image, bits: int) -> np.ndarray:
    """A greyscale picture of integers of more than 8 bits, or of floats (0 to 1, else 0 to 255), as uint8 ``[H, W]``.

    White is the largest number of the depth that the file names (12 or 16 bits). For floats and 32-bit integers, whose
    range nobody uses, it is the smallest usual one that holds all values.
    """
    values = np.asarray(image).astype(np.float64)
    usual = (
        (1.0, 255.0)
        if image.mode == "F"
        else (255.0, 65535.0, 2.0**31 - 1)
        if bits > 16
        else (2.0**bits - 1,)
    )
    white = next((white for white in usual if values.max() <= white), None)
    if white is None or not (np.isfinite(values).all() and values.min() >= 0):
        raise ValueError(
            f"its values lie between {values.min():g} and {values.max():g}, not from 0 to {usual[-1]:g}"
        )
    return (values * (255 / white)).round().astype(np.uint8)


def pixels(image: Image.Image) -> Tensor:
    """A decoded picture as bytes: uint8 ``[3, H, W]``, or ``[1, H, W]`` for greyscale."""
    array = np.array(image)
    return torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1).contiguous()


def read_picture(path: str | Path) -> Tensor:
    """A picture file of any kind as float ``[3, H, W]`` in [-1, 1].

    Raises:
        UserError: naming the file, when it cannot be read, see :func:`opened`.
    """
    with opened(path) as image:
        return from_uint8(pixels(decode(image)))


def check_writable(path: str | Path) -> None:
    """Raise unless the ending of ``path`` is one of :data:`WRITABLE`.

    Raises:
        UserError: naming the file and the endings.
    """
    if Path(path).suffix.lower() not in WRITABLE:
        message = f"its ending {Path(path).suffix!r} names no format of pictures"
        raise UserError(Problem(Path(path), message, f"choose one of {', '.join(WRITABLE)}"))


def write_picture(path: str | Path, image: Image.Image, **options: object) -> None:
    """Write a picture in the format of its ending, by :func:`sdgan_lib.files.whole`.

    Args:
        path: file to write; its folder is made if need be.
        image: what to write.
        options: those of Pillow's ``save``.

    Raises:
        UserError: see :func:`check_writable`.
    """
    check_writable(path)
    with whole(path) as temporary:
        image.save(temporary, **options)
