"""Part ``busy`` of the benchmark: what a training step and a picture cost beside other busy processes.

libgomp reads how long its threads spin when it is loaded, so each setting runs in a process of its own, which is told
what to measure and when. Settings take turns, row by row, beside the same neighbours.

A neighbour takes its fair share: of T threads of ours and n of theirs on c cores each gets c / (T + n) of a core, so
that a step takes (T + n) / c as long as on an idle machine. Memory and caches, which are shared too, are not in it.

The last row needs no luck: all threads of the process are kept on one core, as the operating system does by chance when
others are busy. What one waits for then cannot go on before the one that spins gives up.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import Result, Settings, real_batch, result
from benchmarks.step import make_trainer
from sdgan_lib.generators import make_generator
from sdgan_lib.inference import render_png
from sdgan_lib.presets import PRESETS

ROOT = Path(__file__).parents[1]
ROUNDS = 2  # beside each neighbour; five times as many beside nothing, where small differences count
SETTINGS: dict[str, dict[str, str]] = {
    "ours": {},
    "PyTorch's own": {"GOMP_SPINCOUNT": "300000"},  # libgomp's, where nothing is set
    "never spin": {"GOMP_SPINCOUNT": "0"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
WHAT = {"step": "a training step", "picture": "joints to PNG bytes"}
LOOP = "print(flush=True)\nwhile True: pass"
SINGLE_THREADED = """
import torch
torch.set_num_threads(1)
layers = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 32), (32, 32), (32, 3))]
network, x = torch.nn.Sequential(*layers), torch.randn(8, 3, 128, 64)
print(flush=True)
while True:
    network.zero_grad()
    network(x).square().mean().backward()
"""
NEIGHBOURS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "one busy loop": (LOOP,),
    "two busy loops": (LOOP, LOOP),
    "one single-threaded PyTorch": (SINGLE_THREADED,),
    "two single-threaded PyTorch": (SINGLE_THREADED, SINGLE_THREADED),
}
ANOTHER_TRAINING, ONE_CORE = "another training", "nothing, both threads on one core"


class Worker:
    """A process with environment variables of its own that makes steps and pictures when it is asked to."""

    def __init__(self, preset: str, data: Path, variables: dict[str, str], one_core: bool = False):
        ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
        kept = {key: value for key, value in os.environ.items() if key not in ours}
        paths = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.busy", preset, str(data), *(["one core"] if one_core else [])],
            env=kept | variables | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait(self) -> list[list[float]]:
        """Its next answer: the wall-clock and the processor seconds of each run."""
        assert self.process.stdout is not None
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"a process of the benchmark ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, what: str, seconds: float) -> None:
        """Have it run a "step" or a "picture" again and again, for so many seconds and twice at least."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what} {seconds}\n")
        self.process.stdin.flush()

    def measure(self, what: str, seconds: float) -> list[list[float]]:
        """Ask, and wait for the answer; the first run does not count."""
        self.ask(what, seconds)
        return self.wait()[1:]


@contextmanager
def neighbours(programs: Sequence[str]) -> Iterator[None]:
    """Run these Python programs beside what is inside; each prints a line when it is busy."""
    alone = {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c"]
    started = []
    try:
        for program in programs:
            started.append(
                subprocess.Popen([*command, program], env=os.environ | alone, stdout=subprocess.PIPE)
            )
        for process in started:
            process.stdout.readline()
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def fair_share(threads: int, others: int, cores: int) -> float:
    """How many times as long our threads' work takes if every thread on the machine gets an equal share of it."""
    return max(1.0, (threads + others) / cores) if threads <= cores else (threads + others) / threads


def measure(
    preset: str, data: Path, seconds: float, settings: dict[str, dict[str, str]] = SETTINGS
) -> dict[tuple[str, str, str], np.ndarray]:
    """(what, beside what, setting) -> wall-clock and processor seconds of each run, ``[runs, 2]``."""
    found: dict[tuple[str, str, str], list] = {}

    def rounds(workers: dict[str, Worker], beside: str) -> None:
        for _ in range(5 * ROUNDS if beside == "nothing" else ROUNDS):
            for setting, worker in workers.items():
                for what in WHAT:
                    times = worker.measure(what, seconds / ROUNDS)
                    found.setdefault((what, beside, setting), []).extend(times)

    def started(stack: ExitStack, **options: bool) -> dict[str, Worker]:
        workers = {}
        for name, variables in settings.items():
            workers[name] = stack.enter_context(Worker(preset, data, variables, **options))
            workers[name].wait()  # one after the other: they would be each other's neighbours
        return workers

    with ExitStack() as stack:
        workers = started(stack)
        for beside, programs in NEIGHBOURS.items():
            with neighbours(programs):
                rounds(workers, beside)
        for setting, variables in settings.items():  # two trainings at once, both with the same setting
            with Worker(preset, data, variables) as other:
                other.wait()
                other.ask("step", 1e9)
                rounds({setting: workers[setting]}, ANOTHER_TRAINING)
    if hasattr(os, "sched_setaffinity"):
        with ExitStack() as stack:
            rounds(started(stack, one_core=True), ONE_CORE)
    return {key: np.array(times) for key, times in found.items()}


def bench_busy(settings: Settings) -> list[Result]:
    """A step and a picture of the last of the presets beside busy neighbours, with our setting and with others.

    Targets: at most 5 % slower than with PyTorch's own setting on an idle machine, and at most twice the fair share
    of our own time on an idle machine. (The machine must otherwise be idle, else its share is not what is reckoned.)
    """
    preset = settings.presets[-1]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores)
    others = {beside: len(programs) for beside, programs in NEIGHBOURS.items()} | {ANOTHER_TRAINING: threads}
    found = measure(preset, settings.data, settings.seconds)
    ours, own, *_ = SETTINGS
    results = []
    for (what, beside, setting), times in found.items():
        subject, wall, processor = f"{WHAT[what]}, {setting}", *(1e3 * times).T
        results.append(result("busy", subject, f"{beside}: time", wall, "ms"))
        results.append(result("busy", subject, f"{beside}: processor time", processor, "ms"))
        target = {"at_most": 2.0} if setting == ours else {}
        idle = np.median(1e3 * found[what, "nothing", own][:, 0])
        if beside in others and beside != "nothing":
            fair = idle * fair_share(threads, others[beside], cores)
            results.append(
                result(
                    "busy", subject, f"{beside}: time / fair share", [np.median(wall) / fair], "x", **target
                )
            )
        if beside == "nothing" and setting != own:
            target = {"at_most": 1.05} if setting == ours else {}
            slower = [np.median(wall) / idle]
            results.append(result("busy", subject, "nothing: time / PyTorch's own", slower, "x", **target))
    return results


def work(preset_name: str, data: Path, one_core: bool) -> None:
    """The process that measures: one line in, "step" or "picture" and seconds; one line out, the times as JSON."""
    threads = torch.get_num_threads()
    if one_core:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # its threads start later and stay there too
    torch.set_num_threads(threads)
    settings, preset = Settings(data=data), PRESETS[preset_name]
    trainer = make_trainer(settings, preset)
    batch = real_batch(settings, preset.recipe.batch_size)
    torch.manual_seed(0)
    generator = make_generator(preset.generator).eval()
    one = [batch[key][0] for key in ("source_image", "source_pose", "target_pose")]
    runs = {"step": lambda: trainer.train_step(batch, 1.0), "picture": lambda: render_png(generator, *one)}
    print("[]", flush=True)
    for line in sys.stdin:
        what, seconds = line.split()
        times: list[tuple[float, float]] = []
        start = time.perf_counter()
        while len(times) < 2 or time.perf_counter() - start < float(seconds):
            wall, processor = time.perf_counter(), time.process_time()
            runs[what]()
            times.append((time.perf_counter() - wall, time.process_time() - processor))
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    name, folder, *rest = sys.argv[1:]
    work(name, Path(folder), bool(rest))
