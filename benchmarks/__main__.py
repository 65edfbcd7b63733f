"""The command line: ``python -m benchmarks`` (or ``make bench``); ``--help`` lists the options."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import torch
import tyro

from benchmarks.busy import bench_busy
from benchmarks.growth import bench_growth
from benchmarks.inference import bench_inference
from benchmarks.measure import Result, Settings
from benchmarks.record import format_table, machine
from benchmarks.slider import bench_slider
from benchmarks.step import bench_step
from benchmarks.studio import bench_studio
from benchmarks.warps import bench_warps
from sdgan_lib.batches import pick_device
from sdgan_lib.errors import UserError
from sdgan_lib.presets import PRESETS

PARTS: dict[str, Callable[[Settings], list[Result]]] = {
    "warps": bench_warps,
    "step": bench_step,
    "inference": bench_inference,
    "slider": bench_slider,
    "studio": bench_studio,
    "growth": bench_growth,
    "busy": bench_busy,
}
"""Name of a part -> the function that measures it."""


def bench(settings: Settings, parts: Sequence[str], out: Path) -> list[Result]:
    """Measure ``parts``, print each part's table when it is done, and write everything to the JSON file ``out``."""
    torch.set_num_threads(settings.threads)
    record = {"date": datetime.now().astimezone().isoformat(timespec="seconds"), "machine": machine(settings)}
    print(" · ".join([record["date"], *(f"{key} {value}" for key, value in record["machine"].items())]))
    results: list[Result] = []
    for part in parts:
        found = PARTS[part](settings)
        results += found
        print(f"\n{part}\n\n{format_table(found)}", flush=True)
    record |= {
        "parts": list(parts),
        "presets": list(settings.presets),
        "seconds": settings.seconds,
        "results": [asdict(r) | {"met": r.met} for r in results],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    missed = sum(r.met is False for r in results)
    print(f"\n{missed} of {sum(r.met is not None for r in results)} targets missed; written: {out}")
    return results


@dataclass(frozen=True)
class Bench:
    """Measure this machine: warps, a step, a picture, sliders, the studio, growth, busy neighbours; tables and JSON."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to run"""
    presets: tuple[Literal[tuple(PRESETS)], ...] = ("baseline", "deformable", "sdgan")
    """systems whose steps and pictures are measured; a step at the paper's width (…-paper) takes seconds on a CPU"""
    parts: tuple[Literal[tuple(PARTS)], ...] = tuple(PARTS)
    """what to measure"""
    threads: int | None = None
    """threads of the CPU, by default as many as PyTorch chooses"""
    seconds: float = 0.5
    """shortest time spent on each figure"""
    data: Path = Path("data/people")
    """folder of the data set that pictures and poses come from"""
    out: Path = Path("runs/bench/bench.json")
    """JSON file to write"""
    figures: Path = Path("runs/bench")
    """folder for the plots of growth"""

    def run(self) -> None:
        device = pick_device(self.device)
        threads = self.threads or torch.get_num_threads()
        bench(
            Settings(
                "cpu" if device == "mps" else device,
                self.presets,
                threads,
                self.seconds,
                self.data,
                self.figures,
            ),
            self.parts,
            self.out,
        )


def main(arguments: list[str] | None = None) -> int:
    """Measure what the arguments say; returns the exit status. Faults of the user's input end in one line."""
    command = tyro.cli(Bench, prog="python -m benchmarks", args=arguments)
    try:
        command.run()
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
