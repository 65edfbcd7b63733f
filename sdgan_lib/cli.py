"""The command line: ``python -m sdgan_lib COMMAND``, with :func:`main`'s commands, ``train`` and ``generate`` say."""

import errno
import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sdgan_lib.errors import UserError, printable
from sdgan_lib.files import explain
from sdgan_lib.systems import SYSTEMS

System = Literal[tuple([*SYSTEMS, *(f"{name}-paper" for name in SYSTEMS)])]
Device = Literal["auto", "cpu", "cuda", "mps"]
PEOPLE = Path("data/people")
RUNS = Path("runs")
SHIPPED = Path("data/checkpoints/sdgan.safetensors")


def _else(value: object) -> Any:
    """What ``--help`` says of an option that is None unless given, so that a resumed run can tell."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {value})")


@dataclass(frozen=True)
class Train:
    """Train a system, then evaluate it on the held-out identities: table, metrics.json and pictures."""

    system: Annotated[System | None, _else("sdgan")] = None
    """what to train: a preset sized for a laptop, or at the paper's width (…-paper)"""
    data: Annotated[Path | None, _else("data/people")] = None
    """folder of the data set"""
    name: Annotated[str | None, _else("that of the system, or fine-tuned")] = None
    """name of the run, whose folder is runs/NAME"""
    minutes: Annotated[float | None, _else("10")] = None
    """minutes of training"""
    steps: int | None = None
    """steps of training, instead of minutes"""
    width: Annotated[int | None, _else("that of the preset")] = None
    """channels of the generator's finest level"""
    batch_size: Annotated[int | None, _else("that of the preset")] = None
    """pairs per step"""
    pairs: Annotated[Literal["same-camera", "all"] | None, _else("that of the preset")] = None
    """train on pairs of one camera or on all"""
    seed: Annotated[int | None, _else("0")] = None
    """of weights, order of pairs and dropout"""
    resume: bool = False
    """go on from the run's last checkpoint, with the run's own choices; an option that contradicts them is refused"""
    start_from: Path | None = None
    """trained generator (checkpoint.pt or .safetensors) to train further, by its own preset unless --system says
    another"""
    fine_tune: bool = False
    """learn one person from a dozen pictures (see frames): a hundred steps from the shipped generator, unless
    --start-from, --steps or --minutes say otherwise"""
    device: Device = "auto"
    """where to train"""
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    """numbers of half the size; auto: bf16 where the GPU or CPU is quicker with them"""
    checkpoint_minutes: float = 2.0
    """minutes between checkpoints; 0: after every step"""
    workers: int = 0
    """processes that read pictures"""
    runs: Path = RUNS
    """folder that holds the runs"""
    evaluate: bool = True
    """evaluate afterwards"""

    def run(self) -> int:
        from sdgan_lib.checkpoints import load_checkpoint, preset_from_dict, read_trained
        from sdgan_lib.datasets import PersonPairs
        from sdgan_lib.estimation import load_estimator
        from sdgan_lib.evaluation import held_out
        from sdgan_lib.presets import FINE_TUNING_STEPS, PRESETS
        from sdgan_lib.reports import too_few_for_tenths
        from sdgan_lib.training import CHECKPOINT, Budget, train

        self.check_numbers()
        folder = self.runs / self.checked_name()
        budget, data, seed = None, self.data or PEOPLE, self.seed or 0
        start = self.start_from or (SHIPPED if self.fine_tune and not self.resume else None)
        if self.resume:
            state = load_checkpoint(folder / CHECKPOINT)
            preset = preset_from_dict(state["preset"])
            self.refuse_contradictions(folder, state, preset)
            data = self.data or Path(state["data"].get("root", PEOPLE))
        else:
            preset = PRESETS[self.system or "sdgan"]
            if start is not None and self.system is None:
                preset = read_trained(start).preset
            if self.fine_tune:
                preset = preset.fine_tuned()
            if self.width is not None:
                preset = preset.with_width(self.width)
            changes = {"batch_size": self.batch_size, "pairs": self.pairs}
            changes = {key: value for key, value in changes.items() if value is not None}
            preset = replace(preset, recipe=replace(preset.recipe, **changes))
        if self.minutes is not None or self.steps is not None:
            budget = Budget(self.minutes or 10.0, self.steps)
        elif self.fine_tune and not self.resume:
            budget = Budget(steps=FINE_TUNING_STEPS)
        people = PersonPairs(data, "train", pairs=preset.recipe.pairs, masks=preset.losses.reads_masks)
        if self.evaluate:  # a fault of the test split, or of the estimator, is told before hours of training
            load_estimator()
            if note := too_few_for_tenths(len(held_out(data))):
                print(note)
        checkpoint = train(
            people,
            preset,
            folder,
            budget,
            seed=seed,
            device=self.device,
            mixed_precision=self.mixed_precision,
            resume=self.resume,
            start=start,
            checkpoint_minutes=self.checkpoint_minutes,
            workers=self.workers,
        )
        if self.evaluate:
            return Evaluate((str(checkpoint),), data=data, device=self.device).run()
        return 0

    def check_numbers(self) -> None:
        """Raise a UserError by the option's name for a number with which nothing can be trained."""
        least = {
            "minutes": 0.0,
            "steps": 1,
            "width": 1,
            "batch_size": 1,
            "seed": 0,
            "checkpoint_minutes": 0.0,
        }
        for name, low in (least | {"workers": 0}).items():
            value = getattr(self, name)
            too_small = value is not None and (value < low or (name == "minutes" and value == 0))
            if value is not None and (not math.isfinite(value) or too_small or value >= 2**31):
                option = f"--{name.replace('_', '-')}"
                above = "more than 0" if name == "minutes" else f"{low:g} or more"
                raise UserError(f"{option} {value}: a number of {above} (and below 2147483648) is wanted")

    def checked_name(self) -> str:
        """The run's name, which is that of a folder in ``runs``; raises a UserError for anything else."""
        name = self.name or ("fine-tuned" if self.fine_tune else self.system or "sdgan")
        if name in (".", "..") or not name.isprintable() or any(c in name for c in '/\\:*?"<>|'):
            raise UserError(
                f"--name {name}: the name of one folder in {self.runs} is wanted, without separators; choose the place "
                "with --runs"
            )
        return name

    def refuse_contradictions(self, folder: Path, state: dict, preset: Any) -> None:
        """Raise a UserError for an option that contradicts the choices of the run that is resumed, with both values."""
        from sdgan_lib.presets import PRESETS

        own = {
            "width": preset.generator.width,
            "batch_size": preset.recipe.batch_size,
            "pairs": preset.recipe.pairs,
            "seed": state["seed"],
        }
        wrong = {name: (getattr(self, name), value) for name, value in own.items()}
        if (
            self.system is not None
            and PRESETS[self.system].with_width(own["width"]).generator != preset.generator
        ):
            wrong["system"] = self.system, preset.generator.system
        if self.start_from is not None:
            started = state["start"] and f"weights {state['start']['digest'][:12]}"
            wrong["start_from"] = self.start_from, started or "fresh weights"
        for name, (given, value) in wrong.items():
            if given is not None and given != value:
                option = f"--{name.replace('_', '-')}"
                raise UserError(
                    f"{option} {given} contradicts {folder}, which was started with {value}: leave {option} out to "
                    "resume it, or choose another --name for a new run"
                )


@dataclass(frozen=True)
class Evaluate:
    """Evaluate generators and pictures of other programs on the held-out people, beside what needs no learning."""

    checkpoints: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[NAME=]FILE ...", help_behavior_hint="(default: runs/sdgan/checkpoint.pt)"),
    ] = ()
    """trained generators; the seeds of one system, named SYSTEM@0, SYSTEM@1 ..., are averaged in the table"""
    pictures: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME=FOLDER")] = ()
    """what any other program made of the test pairs, files called FROM___TO.png or FROM/TO.png"""
    data: Path = PEOPLE
    """folder of the data set"""
    out: Annotated[Path | None, _else("that of the one checkpoint.pt, or runs/evaluation")] = None
    """folder for metrics.json, table.md, gallery.png and deciles.png"""
    joints: bool = True
    """find the joints again in all pictures (pck, pckh, kd_movenet), which takes longer than all the rest"""
    perceptual: bool = False
    """LPIPS, FID, KID, IS and mask-IS too: hours on a CPU; fetches 340 MB of weights on first use"""
    weights: Annotated[Path | None, _else("torch.hub's own")] = None
    """folder whose checkpoints/ holds the weights of --perceptual, which it implies, or will hold them"""
    device: Device = "auto"
    """where to run"""

    def run(self) -> int:
        from sdgan_lib import evaluation, reports
        from sdgan_lib.batches import pick_device
        from sdgan_lib.checkpoints import load_generator
        from sdgan_lib.datasets import PersonPairs
        from sdgan_lib.estimation import load_estimator
        from sdgan_lib.perceptual import Perceptual

        device = pick_device(self.device)
        test = evaluation.held_out(self.data)
        estimator = load_estimator(device=device) if self.joints else None
        perceptual = Perceptual(self.weights, device) if self.perceptual or self.weights else None
        answers, generators = {}, []
        for name, (make, path) in self.named().items():
            if make == "generator":
                generators.append(load_generator(path, device))
                answers[name] = evaluation.of_generator(generators[-1])
            else:
                answers[name] = evaluation.of_folder(path, test)
        train = PersonPairs(self.data, "train", pairs="all", masks=False)
        answered = answers | evaluation.references(train)
        result = evaluation.evaluate(
            answered, test, estimator=estimator, perceptual=perceptual, device=device
        )
        print(reports.text_table(result.table()))
        alone = generators[0] if len(answers) == len(generators) == 1 else None
        written = reports.write_reports(result, answers, test, self.folder(), generator=alone, device=device)
        print("written:", printable(", ".join(map(str, written))))
        if fault := reports.too_few_for_tenths(len(test)):
            print(printable(fault))
        return 0

    def named(self) -> dict[str, tuple[str, Path]]:
        """What makes each answer, ``"generator"`` or ``"folder"``, and from which file or folder, by its name."""
        from sdgan_lib.errors import UserError
        from sdgan_lib.evaluation import REFERENCES

        files = self.checkpoints or (() if self.pictures else (str(RUNS / "sdgan" / "checkpoint.pt"),))
        alone = len(files) == 1 and not self.pictures
        named: dict[str, tuple[str, Path]] = {}
        for kind, text in [*(("generator", f) for f in files), *(("folder", f) for f in self.pictures)]:
            name, equals, file = text.partition("=")
            named_so = bool(equals) and not Path(text).exists()
            path = Path(file if named_so else text)
            if not named_so:
                own = path.absolute().parent.name if path.name == "checkpoint.pt" else path.stem
                name = "model" if alone else own
            if not name or name in named or name in REFERENCES:
                raise UserError(f"{text}: its name '{name}' is empty or taken. Remedy: call it NAME={path}.")
            named[name] = kind, path
        return named

    def folder(self) -> Path:
        """Where the results go."""
        named = list(self.named().values())
        run = len(named) == 1 and named[0][0] == "generator" and named[0][1].suffix == ".pt"
        return self.out or (named[0][1].parent if run else RUNS / "evaluation")


@dataclass(frozen=True)
class Study:
    """Train the systems and ablations of a study that are not trained yet, then compare all that are.

    It may be stopped by Ctrl-C at any time; the same command goes on.
    """

    file: Annotated[Path, tyro.conf.Positional] = Path("data/studies/four_systems.toml")
    """what is trained: entries, seeds and the budget of each run"""
    runs: Path = RUNS / "study"
    """folder that holds the runs, NAME@SEED, and receives table.md, effects.md, metrics.json, results.safetensors,
    fig4.png and fig5.png"""
    data: Path = PEOPLE
    """folder of the data set"""
    only: tuple[str, ...] = ()
    """train these entries or runs (NAME@SEED) alone; what is finished of the others is compared all the same"""
    jobs: int = 1
    """how many runs at once, each in a process of its own, with its share of the cores"""
    minutes: float | None = None
    """minutes of training of each run, in place of the study's budget"""
    steps: int | None = None
    """steps of training, likewise"""
    train: bool = True
    """train what is not finished"""
    evaluate: bool = True
    """compare what is finished"""
    device: Device = "auto"
    """where to run"""
    quiet: bool = False
    """no progress bars"""

    def run(self) -> int:
        from sdgan_lib import study
        from sdgan_lib.evaluation import held_out

        plan = study.read_study(self.file)
        if self.minutes is not None or self.steps is not None:
            plan = replace(plan, budget=study.Budget(self.minutes or 10.0, self.steps))
        if self.jobs < 1:
            raise UserError(f"--jobs {self.jobs}: a whole number of 1 or more is wanted")
        if self.evaluate:  # a fault of the test split is told before hours of training
            held_out(self.data)
        failed: list[str] = []
        if self.train:
            data = study.Data(self.data)
            pending = study.pending_runs(plan, self.runs, data, self.only)
            if self.jobs == 1 or len(pending) < 2:
                failed = study.train_runs(pending, plan, data, device=self.device, quiet=self.quiet)
            else:
                commands = {run.name: self.command(run.name) for run in pending}
                failed = study.train_in_processes(commands, self.jobs)
        if self.evaluate:
            written = study.report(plan, self.runs, self.data, self.device)
            print("written:", printable(", ".join(map(str, written))) or "nothing, as no run is finished")
        if failed:
            raise UserError(
                f"not finished, see above: {', '.join(failed)}. Remedy: the same command tries again."
            )
        return 0

    def command(self, name: str) -> list[str]:
        """The command that trains one run in a process of its own."""
        options = {"runs": self.runs, "data": self.data, "only": name, "device": self.device}
        options |= {key: value for key in ("minutes", "steps") if (value := getattr(self, key)) is not None}
        told = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        return [sys.executable, "-m", "sdgan_lib", "study", str(self.file), *told, "--no-evaluate", "--quiet"]


@dataclass(frozen=True, kw_only=True)
class _OnePerson:
    """What ``generate`` and ``animate`` both ask: who, and by which generator."""

    checkpoint: Path = SHIPPED
    """trained generator"""
    source: str
    """the person: name of a picture of the data set, or a picture file, a photo say"""
    source_pose: Path | None = None
    """pose of the source as a JSON file: 18 [x, y] in pixels, null for a missing joint; or OpenPose's, or COCO's;
    without it the person of a picture file is found and cut out"""
    size: tuple[int, int] | None = None
    """height and width to which source picture and poses are resized first"""
    data: Path = PEOPLE
    """folder of the data set in which names are looked up"""
    device: Device = "auto"
    """where to run"""


@dataclass(frozen=True, kw_only=True)
class Generate(_OnePerson):
    """Make a picture of a person in another pose from a checkpoint, a source image and a pose."""

    target: str
    """the pose: name of a picture of the data set, or a JSON file"""
    out: Path = Path("generated.png")
    """picture to write"""

    def run(self) -> int:
        from sdgan_lib.inference import generate

        generate(**vars(self))
        print(f"written: {printable(self.out)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Animate(_OnePerson):
    """Make a person move: a GIF of the person of a source image in each pose of a sequence."""

    poses: str = "walk"
    """the sequence: one that comes with the repository (see data/poses), or a JSON file"""
    out: Path = Path("animated.gif")
    """file to write: .gif, or .png for all frames in a row"""
    frames_per_second: float = 8.0
    """speed of the GIF, at most 50"""
    scale: int = 3
    """how many times each pixel is repeated, across and down"""

    def run(self) -> int:
        from sdgan_lib.inference import animate_files

        animate_files(**vars(self))
        print(f"written: {printable(self.out)}")
        return 0


@dataclass(frozen=True)
class Export:
    """Write the averaged generator of a checkpoint as a small file to pass on: safetensors, or an ONNX graph."""

    checkpoint: Annotated[Path, tyro.conf.Positional] = RUNS / "sdgan" / "checkpoint.pt"
    """checkpoint of a run; for a graph also an exported file"""
    out: Annotated[Path, tyro.conf.Positional] = Path("generator.safetensors")
    """file to write: .safetensors (weights in half precision), or .onnx (for pictures of 128x64; needs .[page])"""
    commit: str = ""
    """commit of the code that trained it, to be noted in the file"""

    def run(self) -> int:
        from sdgan_lib.checkpoints import export_generator, load_generator

        if self.out.suffix == ".onnx":
            from sdgan_lib.studio.export import export_onnx

            export_onnx(load_generator(self.checkpoint), self.out)
            print(f"written: {printable(self.out)} ({self.out.stat().st_size / 1e6:.1f} MB)")
            return 0
        exported = export_generator(self.checkpoint, self.out, self.commit)
        metrics = "no metrics (never evaluated)" if exported.metrics is None else "its metrics"
        print(f"written: {printable(self.out)} ({self.out.stat().st_size / 1e6:.1f} MB), with {metrics}")
        return 0


@dataclass(frozen=True)
class Page:
    """Write the pose studio as one HTML file that works wherever it is opened (needs npm, and .[page])."""

    checkpoint: Annotated[Path, tyro.conf.Positional] = SHIPPED
    """trained generator"""
    out: Path = Path("build/page/index.html")
    """file to write"""
    data: Path = PEOPLE
    """folder of the data set that has the people to start with"""

    def run(self) -> int:
        from sdgan_lib.studio.page import build_page

        size = build_page(self.checkpoint, self.out, self.data)
        print(f"written: {printable(self.out)} ({size / 1e6:.1f} MB); open it in a browser")
        return 0


@dataclass(frozen=True)
class Studio:
    """Open the pose studio in a browser, for the people of this machine; until Ctrl-C (needs .[notebooks])."""

    checkpoint: Path = SHIPPED
    """trained generator"""
    data: Path = PEOPLE
    """folder of the data set that has the people to start with"""
    port: int = 0
    """port on 127.0.0.1; 0: a free one"""
    visitors: int = 4
    """how many may be there at a time; each takes some 400 MB"""
    open_browser: bool = True
    """open the page in a browser"""

    def run(self) -> int:
        from sdgan_lib.studio.serve import serve

        serve(self.checkpoint, self.data, self.port, self.visitors, self.open_browser)
        return 0


@dataclass(frozen=True)
class Card:
    """Write the card of an exported generator, from what the file holds: data, recipe, metrics, digest."""

    file: Annotated[Path, tyro.conf.Positional] = SHIPPED
    """file that export wrote"""
    out: Annotated[Path | None, _else("README.md beside the file, unless that is not a card")] = None
    """file to write, whatever it holds"""

    def run(self) -> int:
        from sdgan_lib.reports import write_card

        print(f"written: {printable(write_card(self.file, self.out))}")
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
class Frames:
    """Make a data set of your own photos of one person; train --fine-tune then learns that person."""

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER|FILE ...")]
    """photos of one person, from head to foot, in different poses; a dozen is a good number; they stay as they are"""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """folder of the data set, new or empty"""
    hold_out: int = 3
    """how many pictures are kept from training, to evaluate on; at least 2"""

    def run(self) -> int:
        from sdgan_lib.datasets import check
        from sdgan_lib.frames import make_frames

        problems: list = []
        used = make_frames(self.photos, self.out, self.hold_out, problems.append)
        for problem in problems:
            print("left out:", problem)
        for split, photos in used.items():
            print(f"{split}: {printable(', '.join(path.name for path in photos))}")
        return check(self.out)


@dataclass(frozen=True)
class Doctor:
    """Check this machine and this installation, one line each, with the remedy where something is wrong."""

    data: Path = PEOPLE
    """folder of the data set"""

    def run(self) -> int:
        from sdgan_lib.doctor import doctor

        return doctor(self.data)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status.

    Faults of the user's input and of the system (:class:`UserError`, ``OSError``) end in one line and status 1;
    anything else is a fault of the code and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # for a terminal that cannot print every character
    command = tyro.extras.subcommand_cli_from_dict(
        {
            "train": Train,
            "evaluate": Evaluate,
            "study": Study,
            "generate": Generate,
            "animate": Animate,
            "export": Export,
            "page": Page,
            "studio": Studio,
            "card": Card,
            "check": Check,
            "frames": Frames,
            "doctor": Doctor,
        },
        prog="python -m sdgan_lib",
        description="Pose-based person image generation with a stacked deformable GAN.",
        args=arguments,
    )
    try:
        status = command.run()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        message = str(error)
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever read the output, `head` say, has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        message = str(explain(error))
    print(f"sdgan_lib: {message}", file=sys.stderr)
    return 1
