"""How long PyTorch's idle CPU threads spin before they sleep; the package sets it before PyTorch is loaded.

On Linux PyTorch's operations share their work among OpenMP threads (libgomp). A thread that has nothing to do, or that
waits for the others at the end of an operation, first spins: it reads one number again and again, ``GOMP_SPINCOUNT``
times, and only then sleeps. Waking a thread takes longer than spinning, and a training step has thousands of waits, so
on an idle machine it pays to spin. Beside another busy process it does not: the thread that is waited for has lost its
core, and the one that spins holds the other core, perhaps the very one it waits for.

libgomp's own count of 300,000 is 3 ms where a turn takes 10 ns, as on the processor measured here: about the slice that
the operating system gives each thread, so that a wait can cost a whole slice. 10,000 is 0.1 ms: longer than most waits
on an idle machine, much shorter than a slice. (Where the processor's ``pause`` takes longer, both are longer.)

One step of ``sdgan`` in ms, on 2 cores (docs/benchmarks.md has the rest):

| ``GOMP_SPINCOUNT`` | 0 | 5,000 | 10,000 | 20,000 | 300,000 (libgomp's) |
|---|---|---|---|---|---|
| beside nothing | 1.35 x | 1.05 x | 1.01 x | 1.02 x | 296 |
| beside one single-threaded PyTorch process | 596 | 785 | 926 | 1,062 | 5,565 |
| both threads kept on one core, as may happen by chance | 668 | 775 | 934 | 1,183 | 8,208 |

Spinning changes no result. Fewer threads would: sums are split by the number of threads, and a resumed run must be
equal bit for bit.

libgomp reads the environment once, when it is loaded. What the user has set of it stays. PyTorch for macOS and Windows
has other OpenMP libraries, which do not read ``GOMP_SPINCOUNT``.
"""

import os

SPIN_COUNT = 10_000


def spin_briefly() -> None:
    """Set ``GOMP_SPINCOUNT`` for this process and those it starts, unless the user has chosen how threads wait.

    It has no effect on this process, and does no harm, when PyTorch is loaded already.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
