"""Batches of pairs: their order, mirrored, halved, and the device they go to."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.utils.data import Sampler

from sdgan_lib.errors import UserError
from sdgan_lib.inputs import downscale
from sdgan_lib.pose import flip_pose, rescale_pose

PICTURE_KEYS = {"source_image", "target_image", "source_mask", "target_mask"}
"""What of a batch is mirrored and down-scaled as a picture is."""


class ShuffledBatches(Sampler[list[int]]):
    """Endless batches of indices into ``size`` pairs, from step ``start`` on; epoch e is shuffled by (seed, e).

    A batch may straddle two epochs, so none is short and none of the pairs is left out. With several processes each
    step takes ``batch_size`` pairs for every one of them, and each process yields its own part.

    Args:
        size: number of pairs.
        batch_size: pairs per step and process.
        seed: of the order.
        start: steps that have been taken already.
        rank: of this process, 0 to ``world_size - 1``.
        world_size: number of processes.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world_size: int = 1
    ):
        if not 0 <= rank < world_size:
            raise ValueError(f"the rank of one of {world_size} processes is not {rank}")
        self.size, self.batch_size, self.seed, self.start = size, batch_size, seed, start
        self.rank, self.world_size = rank, world_size

    def _epoch(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        together = self.batch_size * self.world_size
        mine = slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)
        epoch, position = divmod(self.start * together, self.size)
        order = self._epoch(epoch)[position:]
        while True:
            while len(order) < together:
                epoch += 1
                order += self._epoch(epoch)
            yield order[:together][mine]
            order = order[together:]


def flip_pairs(batch: dict, flip: Tensor) -> dict:
    """Mirror the pairs of a batch for which ``flip`` ``[B]`` (bool) is true; left and right joints change places."""
    width = batch["source_image"].shape[-1]
    out = dict(batch)
    for key in PICTURE_KEYS & batch.keys():
        out[key] = torch.where(flip[:, None, None, None], batch[key].flip(-1), batch[key])
    for key in ("source_pose", "target_pose"):
        out[key] = torch.where(flip[:, None, None], flip_pose(batch[key], width), batch[key])
    return out


def halve_pairs(batch: dict) -> dict:
    """The pairs of a batch at half their size: pictures averaged over 2x2 pixels, poses in pixels of the result."""
    height, width = batch["source_image"].shape[-2:]
    out = dict(batch)
    for key in PICTURE_KEYS & batch.keys():
        out[key] = downscale(batch[key], 2)
    for key in ("source_pose", "target_pose"):
        out[key] = rescale_pose(batch[key], (height, width), (height // 2, width // 2))
    return out


def to_device(batch: dict, device: torch.device | str) -> dict:
    """A batch of the loader with its tensors on ``device``; names and the like stay as they are."""
    return {k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}


def to_cpu(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by name, on the CPU and ready to be read."""
    return {name: value.cpu() for name, value in values.items()}


def pick_device(device: str) -> str:
    """``"auto"`` becomes the best device there is.

    Raises:
        UserError: for a device that is not there, with those that are.
    """
    there = ["cpu"]
    if torch.cuda.is_available():
        there.append("cuda")
    if torch.backends.mps.is_available():
        there.append("mps")
    if device == "auto":
        return there[-1]
    if device not in there:
        raise UserError(f"device {device!r} is not available here; there is {', '.join(there)} (or say auto)")
    return device


def pick_precision(mixed_precision: str, device: str) -> str:
    """``"auto"`` becomes ``"bf16"`` where the hardware multiplies matrices of bfloat16, ``"no"`` elsewhere.

    That is CUDA GPUs from the Ampere generation on, and CPUs with AMX: there a step of ``sdgan`` costs 0.6 times as
    much. A CPU without AMX emulates bfloat16 and gains nothing.

    Args:
        mixed_precision: ``"auto"``, or what is wanted, which is returned as it is.
        device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
    """
    if mixed_precision != "auto":
        return mixed_precision
    if device == "cuda":
        quick = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        quick = device == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))
    return "bf16" if quick else "no"
