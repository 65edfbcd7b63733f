"""Pictures: files, bytes and tensors in [-1, 1]."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_uint8(images: Tensor) -> np.ndarray:
    """Images float [..., 3, H, W] in [-1, 1] to bytes [..., H, W, 3]; outside the range is clipped.

    Raises ValueError for another shape, and for values that are not finite.
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
    """A picture, uint8 [H,W,3] or [H,W], as the bytes of a PNG file: quick to make, for image widgets."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def read_picture(path: Path) -> Tensor:
    """A picture file as ``[3, H, W]`` in [-1, 1]."""
    try:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
    except OSError as error:
        raise ValueError(f"{path}: not a picture that can be read ({error})") from error
    pixels = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return pixels.view(rgb.height, rgb.width, 3).permute(2, 0, 1).float() / 127.5 - 1
