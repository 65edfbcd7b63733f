"""The command line: ``python -m sdgan_lib train | evaluate | generate | export | card | check | doctor | bench``."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

System = Literal["baseline", "deformable", "sdgan", "baseline-paper", "deformable-paper", "sdgan-paper"]
Device = Literal["auto", "cpu", "cuda", "mps"]
PEOPLE = Path("data/people")
RUNS = Path("runs")


@dataclass(frozen=True)
class Train:
    """Train a system, then evaluate it on the held-out identities: table, metrics.json and pictures."""

    system: System = "sdgan"
    """what to train: a preset sized for a laptop, or at the paper's width (…-paper)"""
    data: Path = PEOPLE
    """folder of the data set"""
    name: str | None = None
    """name of the run, whose folder is runs/NAME; by default the system's name"""
    minutes: float = 10.0
    """minutes of training"""
    steps: int | None = None
    """steps of training, instead of minutes"""
    width: int | None = None
    """channels of the generator's finest level, instead of the preset's"""
    batch_size: int | None = None
    """pairs per step, instead of the preset's"""
    pairs: Literal["same-camera", "all"] | None = None
    """train on pairs of one camera or on all, instead of the preset's choice"""
    seed: int = 0
    """of weights, order of pairs and dropout"""
    resume: bool = False
    """go on from the run's last checkpoint (preset and seed are then the run's own)"""
    start_from: Path | None = None
    """trained generator (checkpoint.pt or .safetensors) to train further, for your own data, say"""
    device: Device = "auto"
    """where to train"""
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    """numbers of half the size on a GPU"""
    checkpoint_minutes: float = 2.0
    """minutes between checkpoints; 0: after every step"""
    workers: int = 0
    """processes that read pictures"""
    runs: Path = RUNS
    """folder that holds the runs"""
    evaluate: bool = True
    """evaluate afterwards"""

    def run(self) -> int:
        from sdgan_lib.datasets import PersonPairs
        from sdgan_lib.presets import PRESETS
        from sdgan_lib.training import Budget, train

        preset = PRESETS[self.system]
        if self.width is not None:
            preset = preset.with_width(self.width)
        changes = {"batch_size": self.batch_size, "pairs": self.pairs}
        changes = {key: value for key, value in changes.items() if value is not None}
        preset = replace(preset, recipe=replace(preset.recipe, **changes))
        folder = self.runs / (self.name or self.system)
        people = PersonPairs(self.data, "train", pairs=preset.recipe.pairs, masks=False)
        checkpoint = train(
            people,
            preset,
            folder,
            Budget(self.minutes, self.steps),
            seed=self.seed,
            device=self.device,
            mixed_precision=self.mixed_precision,
            resume=self.resume,
            start=self.start_from,
            checkpoint_minutes=self.checkpoint_minutes,
            workers=self.workers,
        )
        if self.evaluate:
            return Evaluate(checkpoint, self.data, device=self.device).run()
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Evaluate a checkpoint on the held-out identities, beside the answers that need no learning."""

    checkpoint: Annotated[Path, tyro.conf.Positional] = RUNS / "sdgan" / "checkpoint.pt"
    """checkpoint to evaluate; metrics.json, gallery.png and deciles.png are written beside it"""
    data: Path = PEOPLE
    """folder of the data set"""
    device: Device = "auto"
    """where to run"""

    def run(self) -> int:
        from sdgan_lib.checkpoints import load_generator
        from sdgan_lib.datasets import PersonPairs
        from sdgan_lib.evaluation import (
            format_table,
            group_means,
            make_deciles,
            make_gallery,
            mean_image,
            pair_metrics,
            write_metrics,
        )
        from sdgan_lib.training import pick_device

        device = pick_device(self.device)
        generator = load_generator(self.checkpoint, device)
        test = PersonPairs(self.data, "test", pairs="all")
        mean = mean_image(PersonPairs(self.data, "train", pairs="all", masks=False))
        values, same_camera = pair_metrics(generator, test, mean, device=device)
        metrics = group_means(values, same_camera)
        folder = self.checkpoint.parent
        write_metrics(metrics, folder / "metrics.json")
        pictures = {
            "gallery.png": make_gallery(generator, test, device=device),
            "deciles.png": make_deciles(generator, test, values["model"]["fg_ssim"], device=device),
        }
        for name, picture in pictures.items():
            picture.save(folder / name, optimize=True)
        print(format_table(metrics))
        print("written:", ", ".join(str(folder / name) for name in ("metrics.json", *pictures)))
        return 0


@dataclass(frozen=True)
class Generate:
    """Make a picture of a person in another pose from a checkpoint, a source image and a pose."""

    checkpoint: Path = RUNS / "sdgan" / "checkpoint.pt"
    """trained checkpoint"""
    source: str = ""
    """the person: name of an image of the data set, or a picture file (then --source-pose is needed)"""
    target: str = ""
    """the pose: name of an image of the data set, or a JSON file"""
    source_pose: Path | None = None
    """pose of the source as a JSON file: 18 [x, y] in pixels, null for a missing joint"""
    out: Path = Path("generated.png")
    """picture to write"""
    data: Path = PEOPLE
    """folder of the data set in which names are looked up"""
    device: Device = "auto"
    """where to run"""

    def run(self) -> int:
        from sdgan_lib.inference import generate

        generate(
            self.checkpoint, self.source, self.target, self.source_pose, self.out, self.data, self.device
        )
        print(f"written: {self.out}")
        return 0


@dataclass(frozen=True)
class Export:
    """Write the averaged generator of a checkpoint as a small file to pass on (safetensors, half precision)."""

    checkpoint: Annotated[Path, tyro.conf.Positional] = RUNS / "sdgan" / "checkpoint.pt"
    """checkpoint of a run"""
    out: Annotated[Path, tyro.conf.Positional] = Path("generator.safetensors")
    """file to write"""
    commit: str = ""
    """commit of the code that trained it, to be noted in the file"""

    def run(self) -> int:
        from sdgan_lib.checkpoints import export_generator

        exported = export_generator(self.checkpoint, self.out, self.commit)
        metrics = "no metrics (never evaluated)" if exported.metrics is None else "its metrics"
        print(f"written: {self.out} ({self.out.stat().st_size / 1e6:.1f} MB), with {metrics}")
        return 0


@dataclass(frozen=True)
class Card:
    """Write README.md beside an exported generator, from what the file holds: data, recipe, metrics, digest."""

    file: Annotated[Path, tyro.conf.Positional] = Path("data/checkpoints/sdgan.safetensors")
    """file that export wrote"""

    def run(self) -> int:
        from sdgan_lib.evaluation import model_card

        out = self.file.with_name("README.md")
        out.write_text(model_card(self.file), encoding="utf-8")
        print(f"written: {out}")
        return 0


@dataclass(frozen=True)
class Check:
    """List everything that is wrong with a data set, all at once."""

    data: Annotated[Path, tyro.conf.Positional] = PEOPLE
    """folder of the data set"""

    def run(self) -> int:
        from sdgan_lib.datasets import check

        return check(self.data)


@dataclass(frozen=True)
class Doctor:
    """Check this machine and this installation, one line each, with the remedy where something is wrong."""

    data: Path = PEOPLE
    """folder of the data set"""

    def run(self) -> int:
        from sdgan_lib.doctor import doctor

        return doctor(self.data)


@dataclass(frozen=True)
class Bench:
    """Measure this machine: warps, a training step, a picture, a slider, and how the cost grows; table and JSON."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to run"""
    presets: tuple[System, ...] = ("baseline", "deformable", "sdgan")
    """systems whose steps and pictures are measured; a step at the paper's width (…-paper) takes seconds on a CPU"""
    parts: tuple[Literal["warps", "step", "inference", "slider", "growth", "busy"], ...] = (
        "warps",
        "step",
        "inference",
        "slider",
        "growth",
        "busy",
    )
    """what to measure"""
    threads: int | None = None
    """threads of the CPU, by default as many as PyTorch chooses"""
    seconds: float = 0.5
    """shortest time spent on each figure"""
    data: Path = PEOPLE
    """folder of the data set that pictures and poses come from"""
    out: Path = RUNS / "bench" / "bench.json"
    """JSON file to write"""
    figures: Path = RUNS / "bench"
    """folder for the plots of growth"""

    def run(self) -> int:
        import torch

        from sdgan_lib.bench import Settings, bench
        from sdgan_lib.training import pick_device

        device = pick_device(self.device)
        device = "cpu" if device == "mps" else device
        threads = self.threads or torch.get_num_threads()
        bench(
            Settings(device, self.presets, threads, self.seconds, self.data, self.figures),
            self.parts,
            self.out,
        )
        return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status. Faults of the user's input end in one line, not in a traceback."""
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "train": Train,
            "evaluate": Evaluate,
            "generate": Generate,
            "export": Export,
            "card": Card,
            "check": Check,
            "doctor": Doctor,
            "bench": Bench,
        },
        prog="python -m sdgan_lib",
        description="Pose-based person image generation with a stacked deformable GAN.",
        args=arguments,
    )
    try:
        return command.run()
    except KeyboardInterrupt:
        return 130
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        from sdgan_lib.training import TrainingError

        if isinstance(error, RuntimeError) and not isinstance(error, TrainingError):
            raise
        print(f"sdgan_lib: {error}", file=sys.stderr)
        return 1
