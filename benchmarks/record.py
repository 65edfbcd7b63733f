"""What a measurement is written down with: the machine, and a table of results."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.measure import Result, Settings


def machine(settings: Settings) -> dict[str, str | int]:
    """What was measured on: processor, cores, memory, GPU, versions, and the commit, where git knows one."""
    described: dict[str, str | int] = {
        "cpu": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": settings.threads,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (model := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        described["cpu"] = model[1]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        described["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    if settings.device == "cuda":
        described["gpu"] = torch.cuda.get_device_name()
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        described["commit"] = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass  # an installation without git, or outside a repository
    return described


def format_table(results: Sequence[Result]) -> str:
    """Results of one part as a Markdown table: figures down, subjects across; medians, and quartiles behind them."""
    subjects = list(dict.fromkeys(r.subject for r in results))
    rows: dict[tuple, dict[str, str]] = {}
    for r in results:
        target = f"≤ {r.at_most:g}" if r.at_most else f"≥ {r.at_least:g}" if r.at_least else ""
        cell = f"{r.value:.3g}" if r.value < 1000 else f"{r.value:.0f}"
        if r.low != r.high:
            cell += f" ({r.low:.3g}–{r.high:.3g})" if r.high < 1000 else f" ({r.low:.0f}–{r.high:.0f})"
        if r.met is not None:
            cell += " met" if r.met else " **missed**"
        rows.setdefault((r.figure, r.unit, target), {})[r.subject] = cell
    lines = [["", "unit", "target", *subjects], ["---"] * (3 + len(subjects))]
    lines += [[*row, *(cells.get(subject, "") for subject in subjects)] for row, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
