"""The order of pairs when several processes train together."""

import itertools

import pytest

from sdgan_lib.batches import ShuffledBatches


def drawn(*arguments, steps: int = 12) -> list[list[int]]:
    """The first batches of a sampler."""
    return list(itertools.islice(ShuffledBatches(*arguments), steps))


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_out_the_pairs_of_each_step(world_size):
    """Joined in the order of their ranks they are one process with as large a batch, also from a later step on."""
    for start in (0, 5):
        parts = [drawn(10, 2, 3, start, rank, world_size) for rank in range(world_size)]
        joined = [list(itertools.chain(*step)) for step in zip(*parts, strict=True)]
        assert joined == drawn(10, 2 * world_size, 3, start)
        assert all(len(batch) == 2 for part in parts for batch in part)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_outside_the_world_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank of one of 2 processes is not {rank}"):
        ShuffledBatches(10, 2, 0, rank=rank, world_size=2)
