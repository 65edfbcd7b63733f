"""A study: systems and ablations trained alike, each with several seeds, then compared pair by pair.

What is compared stands in a TOML file (``data/studies/four_systems.toml``): a budget, and entries that each start from
a preset, change some of its fields, and name their seeds. A run lies in a folder ``NAME@SEED`` of its own, as ``train``
leaves it, so that whatever is finished is not trained again; what was measured of its pictures lies beside its
checkpoint (:data:`VALUES`), so that a table costs no more than what is new.
"""

import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import torch
from PIL import Image

from sdgan_lib import estimation, evaluation, metrics, reports, results
from sdgan_lib.batches import pick_device
from sdgan_lib.checkpoints import (
    ARCHITECTURE,
    Trained,
    load_checkpoint,
    load_generator,
    preset_from_dict,
    preset_to_dict,
    read_trained,
)
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.estimation import PoseEstimator, load_estimator
from sdgan_lib.evaluation import (
    REFERENCES,
    Answer,
    Estimate,
    Evaluation,
    Table,
    evaluate,
    held_out,
    of_generator,
    references,
)
from sdgan_lib.files import read_text, write_whole
from sdgan_lib.images import write_picture
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.results import read_notes, read_results, write_results
from sdgan_lib.systems import SYSTEMS
from sdgan_lib.training import CHECKPOINT, Budget, TrainingError, check_same_data, train

VALUES = "values.safetensors"
"""File beside a checkpoint: what was measured of its pictures, pair by pair (:mod:`sdgan_lib.results`)."""
RESULTS = "results.safetensors"
"""File of a study: the same of all its runs and of the references."""


# --- the file -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One recipe of a study.

    Attributes:
        name: of its runs, which are ``NAME@SEED``.
        preset: what is trained, and how.
        seeds: it is trained once with each.
        system: whether it is one of the systems of the comparison, and no ablation.
        against: names of the entries that it is compared with.
        says: what it is, in a line.
    """

    name: str
    preset: Preset
    seeds: tuple[int, ...]
    system: bool = False
    against: tuple[str, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Study:
    """What a study's file says: entries, and the budget that each of their runs gets."""

    path: Path
    budget: Budget
    entries: tuple[Entry, ...]


KEYS = {"name": str, "preset": str} | {
    f.name: f.type for f in fields(Entry) if f.name not in ("name", "preset")
}
PARTS = {field.name: field.type for field in fields(Preset)}
NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)


def read_study(path: str | Path) -> Study:
    """Read and check the file of a study.

    Raises:
        UserError: naming file, entry and remedy: for what is missing, unknown, of another type or out of range.
    """
    path = Path(path)

    def refuse(message: str, remedy: str) -> UserError:
        return UserError(Problem(path, message, remedy))

    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise refuse(f"not TOML ({error})", "correct it there") from error
    if unknown := sorted(set(content) - {"steps", "minutes", "entry"}):
        raise refuse(
            f"unknown: {', '.join(unknown)}", "a study has steps (or minutes) and entries, [[entry]]"
        )
    if len(content.keys() & {"steps", "minutes"}) != 1:
        raise refuse(
            "no budget, or two", "write one line above the entries, steps = 2000 say, or minutes = 10.0"
        )
    wanted = {"steps": int, "minutes": float}
    try:
        if not all(_fits(content[key], kind) for key, kind in wanted.items() if key in content):
            raise ValueError("the budget is no number")
        budget = Budget(**{key: content[key] for key in wanted if key in content})
    except ValueError as error:
        raise refuse(str(error), "write steps = 2000 say, or minutes = 10.0") from error
    tables = content.get("entry")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise refuse("no entries", "write one [[entry]] for each system")
    entries: list[Entry] = []
    for number, table in enumerate(tables, start=1):
        where = f"entry {table.get('name', number)!r}"
        try:
            entries.append(_entry(table))
        except ValueError as error:
            raise refuse(f"{where}: {error}", f"correct {where} there") from error
    names = [entry.name for entry in entries]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise refuse(f"entry {twice[0]!r} is there twice", "give each a name of its own")
    for entry in entries:
        if lost := [other for other in entry.against if other not in names or other == entry.name]:
            raise refuse(
                f"entry {entry.name!r}: against {lost[0]!r}, which is no other entry",
                f"name one of {', '.join(names)}",
            )
    return Study(path, budget, tuple(entries))


def _entry(table: Mapping[str, Any]) -> Entry:
    """One entry of the file; raises a ValueError that says what is wrong with it."""
    known = (*KEYS, *PARTS)
    if unknown := sorted(set(table) - set(known)):
        raise ValueError(f"{unknown[0]} is unknown; an entry has {', '.join(known)}")
    if missing := [key for key in ("name", "preset", "seeds") if key not in table]:
        raise ValueError(f"{missing[0]} is missing")
    for key, kind in KEYS.items():
        if key in table and not _fits(table[key], kind):
            raise ValueError(f"{key} is {table[key]!r}, and not {_told(kind)}")
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in table.items() if key in KEYS}
    if not NAME.fullmatch(given["name"]) or given["name"] in REFERENCES:
        raise ValueError(
            "its name is that of a folder, of letters, digits, '.', '-' and '_', and no reference's"
        )
    seeds = given["seeds"]
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
        raise ValueError(f"seeds are different whole numbers from 0 to 2147483647, not {list(seeds)}")
    if given["preset"] not in PRESETS:
        raise ValueError(f"preset is one of {', '.join(PRESETS)}, not {given['preset']!r}")
    changes = {part: table[part] for part in PARTS if part in table}
    return Entry(**given | {"preset": _changed(PRESETS[given["preset"]], changes)})


def _changed(preset: Preset, changes: Mapping[str, Any]) -> Preset:
    """A preset with other values in some fields, ``{"generator": {"attention": False}}``.

    Raises:
        ValueError: for an unknown field, or a value of another type or out of range.
    """
    values = preset_to_dict(preset)
    for part, change in changes.items():
        hints = get_type_hints(PARTS[part])
        if not isinstance(change, dict):
            raise ValueError(f"{part} is {change!r}; write {part}.FIELD = VALUE")
        for name, value in change.items():
            if name not in hints:
                raise ValueError(f"{part}.{name} is unknown; {part} has {', '.join(hints)}")
            if not _fits(value, hints[name]):
                raise ValueError(f"{part}.{name} is {value!r}, and not {_told(hints[name])}")
        values[part] |= change
    return preset_from_dict(values)


def _fits(value: object, kind: Any) -> bool:
    """Whether a value of TOML is of a field's type: a list stands for a tuple, a whole number for any number."""
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        right = isinstance(value, list) and (Ellipsis in inner or len(value) == len(inner))
        return right and all(_fits(item, inner[0]) for item in value)
    if get_args(kind):  # a union
        return any(_fits(value, one) for one in get_args(kind))
    return type(value) in ((int, float) if kind is float else (kind,))


def _told(kind: Any) -> str:
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(kind, "a list as the default is")


# --- its runs -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One training of a study: an entry with one seed, in a folder of its own."""

    entry: Entry
    seed: int
    runs: Path

    @property
    def name(self) -> str:
        """``NAME@SEED``, as :func:`sdgan_lib.evaluation.system_of` reads it."""
        return f"{self.entry.name}@{self.seed}"

    @property
    def checkpoint(self) -> Path:
        """File of its checkpoint."""
        return self.runs / self.name / CHECKPOINT

    def progress(self, budget: Budget, data: dict) -> float | None:
        """Share of the budget that is spent, 0 to 1; None of a run that was not begun.

        Args:
            budget: that it is to have.
            data: the pairs that it is to be trained on (:meth:`PersonPairs.description`).

        Raises:
            UserError: it was begun with another recipe, seed, budget, or other pairs.
        """
        if not self.checkpoint.exists():
            return None
        state = load_checkpoint(self.checkpoint)
        mine = self.entry.preset.settings() | {"seed": self.seed, "budget": _limit(budget)}
        own = Budget(**state["budget"])
        found = preset_from_dict(state["preset"]).settings() | {"seed": state["seed"], "budget": _limit(own)}
        other = [
            f"{name} {found[name]!r} instead of {mine[name]!r}" for name in mine if found[name] != mine[name]
        ]
        if other:
            message = f"it was begun with another recipe than the study's: {', '.join(other)}"
            remedy = "give the entry back what it had, or another name, or move the folder away, or choose other --runs"
            raise UserError(Problem(self.checkpoint.parent, message, remedy))
        check_same_data(self.checkpoint, state["data"], data)
        return own.progress(state["step"], state["seconds"])


def _limit(budget: Budget) -> str:
    return f"{budget.minutes:g} minutes" if budget.steps is None else f"{budget.steps} steps"


def runs_of(study: Study, runs: Path, only: Sequence[str] = ()) -> list[Run]:
    """The runs of a study, the first seed of every entry before the second ones, so that an early table is complete.

    Args:
        study: entries and budget.
        runs: folder of the runs.
        only: names of entries or of runs (``NAME@SEED``); all of them if empty.

    Raises:
        UserError: a name that is none of theirs.
    """
    rounds = max(len(entry.seeds) for entry in study.entries)
    everything = [
        Run(entry, entry.seeds[i], runs)
        for i in range(rounds)
        for entry in study.entries
        if i < len(entry.seeds)
    ]
    known = {name for run in everything for name in (run.name, run.entry.name)}
    if unknown := sorted(set(only) - known):
        names = ", ".join(entry.name for entry in study.entries)
        raise UserError(
            f"--only {unknown[0]}: {study.path} has no such entry or run. Remedy: choose of {names}."
        )
    return [run for run in everything if not only or {run.name, run.entry.name} & set(only)]


class Data:
    """The pairs of one data set, as the entries of a study want them, each kind read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pairs = cache(lambda pairs, masks: PersonPairs(root, "train", pairs=pairs, masks=masks))

    def of(self, preset: Preset) -> PersonPairs:
        """The training pairs of a preset."""
        return self.pairs(preset.recipe.pairs, preset.losses.reads_masks)

    def described(self, run: Run) -> dict:
        """What a run's training pairs are."""
        return self.of(run.entry.preset).description()


def pending_runs(study: Study, runs: Path, data: Data, only: Sequence[str] = ()) -> list[Run]:
    """The runs of :func:`runs_of` that are not finished; the state of all is told, and what contradicts is refused."""
    chosen = runs_of(study, runs, only)
    pending = [run for run in chosen if run.progress(study.budget, data.described(run)) != 1]
    print(f"{len(chosen)} runs of {_limit(study.budget)} each, {len(chosen) - len(pending)} of them finished")
    return pending


def train_runs(
    pending: Sequence[Run], study: Study, data: Data, *, device: str = "auto", quiet: bool = False
) -> list[str]:
    """Train, or go on with, one run after another.

    A run whose losses are not finite is told, and the others go on.

    Returns:
        Names of the runs that failed.

    Raises:
        KeyboardInterrupt: at Ctrl-C; everything up to the step is saved.
    """
    failed = []
    for run in pending:
        progress = run.progress(study.budget, data.described(run))
        print(f"{run.name}: {'begins' if progress is None else 'goes on'}", flush=True)
        try:
            train(
                data.of(run.entry.preset),
                run.entry.preset,
                run.checkpoint.parent,
                study.budget,
                seed=run.seed,
                device=device,
                mixed_precision="auto",
                resume=progress is not None,
                quiet=quiet,
            )
        except TrainingError as error:
            print(f"sdgan_lib: {run.name} failed: {error}", file=sys.stderr)
            failed.append(run.name)
        else:
            print(f"{run.name}: {_spent(read_trained(run.checkpoint))}", flush=True)
    return failed


def _spent(trained: Trained) -> str:
    return f"{trained.steps:,} steps, {_seen(trained):,} pairs seen, {trained.minutes:.1f} minutes"


def _seen(trained: Trained) -> int:
    return trained.steps * trained.preset.recipe.batch_size


def train_in_processes(commands: Mapping[str, Sequence[str]], jobs: int) -> list[str]:
    """Run commands, ``jobs`` at a time, each with its share of the processor's cores.

    Args:
        commands: by name.
        jobs: how many at once.

    Returns:
        Names of those that failed.

    Raises:
        KeyboardInterrupt: at Ctrl-C, after each command was told to stop and has saved what it has.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running: list[subprocess.Popen] = []

    def run(command: Sequence[str]) -> int:
        # Of a group of its own, so that Ctrl-C reaches it once, from here: a second one would not let it save.
        running.append(subprocess.Popen(command, env=environment, process_group=0))
        return running[-1].wait()

    with ThreadPoolExecutor(jobs) as pool:
        status = {name: pool.submit(run, command) for name, command in commands.items()}
        try:
            wait(status.values())
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.send_signal(signal.SIGINT)
            raise
    return [name for name, ended in status.items() if ended.result()]


# --- what they reach ----------------------------------------------------------------------------


def measured(
    path: Path,
    answers: Callable[[], Mapping[str, Answer]],
    test: PersonPairs,
    subject: str,
    find: Callable[[], PoseEstimator],
    device: torch.device | str = "cpu",
) -> Evaluation:
    """The evaluation of ``answers``, from the file ``path`` if it is of the same pictures, pairs and metrics.

    Args:
        path: file that keeps it (safetensors).
        answers: makes the answers, if they are to be evaluated.
        test: pairs.
        subject: digest of all that decides the answers' pictures.
        find: makes the estimator of joints, likewise.
        device: of the answers.
    """
    ways = b"".join(
        Path(module.__file__).read_bytes() for module in (evaluation, metrics, estimation, results)
    )
    pairs = test.description()["digest"], test.size
    key = hashlib.sha256(json.dumps([subject, pairs, ARCHITECTURE]).encode() + ways).hexdigest()
    with suppress(UserError):  # not there, or damaged: it is measured anew
        if read_notes(path).get("key") == key:
            return read_results(path)
    made = answers()
    print(f"evaluating {', '.join(made)}", flush=True)
    write_results(path, evaluate(made, test, estimator=find(), device=device), {"key": key})
    return read_results(path)


def _joined(parts: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of different answers on the same pairs as one."""
    result = Evaluation({}, parts[0].same_camera, parts[0].identities)
    for part in parts:
        result.values.update(part.values)
        for group, answers in part.sets.items():
            result.sets.setdefault(group, {}).update(answers)
    return result


def _renamed(part: Evaluation, name: str, to: str) -> Evaluation:
    """An evaluation of one answer under another name."""
    sets = {group: {to: answers[name]} for group, answers in part.sets.items()}
    return Evaluation({to: part.values[name]}, part.same_camera, part.identities, sets)


def report(study: Study, runs: Path, root: Path, device: str = "auto") -> list[Path]:
    """Compare what is finished of a study.

    Args:
        study: its entries and budget.
        runs: folder of the runs; receives ``table.md``, ``effects.md``, ``metrics.json`` and :data:`RESULTS`, and, of
            enough test pairs, ``fig4.png`` (the systems, first seed each) and ``fig5.png`` (all pictures of the stacked
            system). Each run's own folder receives the ``metrics.json`` that ``evaluate`` would write, for ``export``.
        root: folder of the data set.
        device: of the generators.

    Returns:
        The files written; none if no run is finished.
    """
    data, where = Data(root), pick_device(device)
    finished = [run for run in runs_of(study, runs) if run.progress(study.budget, data.described(run)) == 1]
    if not finished:
        return []
    test, everyone = held_out(root), PersonPairs(root, "train", pairs="all", masks=False)
    trained = {run.name: read_trained(run.checkpoint) for run in finished}
    find = cache(lambda: load_estimator(device=where))
    parts = []
    for run in finished:
        kept, subject = run.checkpoint.with_name(VALUES), trained[run.name].digest
        parts.append(measured(kept, partial(_answers, run, where), test, subject, find, where))
    kept, subject = runs / "references.safetensors", everyone.description()["digest"]
    beside = measured(kept, partial(references, everyone), test, subject, find, where)
    for run, part in zip(finished, parts, strict=True):
        own = reports.summary(_joined([_renamed(part, run.name, "model"), beside]), test)
        write_whole(run.checkpoint.with_name("metrics.json"), json.dumps(own, indent=2) + "\n")
    result = _joined([*parts, beside])
    table = result.table()
    print(reports.text_table(table))
    files = _texts(study, finished, trained, result, table, test)
    for name, text in files.items():
        write_whole(runs / name, text + "\n")
    write_results(runs / RESULTS, result)
    pictures = {} if reports.too_few_for_tenths(len(test)) else figures(finished, result, test, where)
    for name, picture in pictures.items():
        write_picture(runs / name, picture, optimize=True)
    return [runs / name for name in (*files, RESULTS, *pictures)]


def _answers(run: Run, device: torch.device) -> dict[str, Answer]:
    return {run.name: of_generator(load_generator(run.checkpoint, device))}


def _texts(
    study: Study,
    finished: Sequence[Run],
    trained: Mapping[str, Trained],
    result: Evaluation,
    table: Table,
    test: PersonPairs,
) -> dict[str, str]:
    """The texts of a report, by the names of their files."""
    entries = list(dict.fromkeys(run.entry for run in finished))
    names = [entry.name for entry in entries]
    every = sum(len(entry.seeds) for entry in study.entries)
    head = f"# {study.path.name}: {len(finished)} of {every} runs, {_limit(study.budget)} each"
    costs = ["| system | what it is | seeds | million weights | pairs seen | minutes |", "|---" * 6 + "|"]
    differences = {}
    for entry in entries:
        of = [trained[run.name] for run in finished if run.entry is entry]
        weights = sum(value.numel() for value in of[0].weights.values()) / 1e6
        seen, minutes = (sum(values) / len(of) for values in ([*map(_seen, of)], [one.minutes for one in of]))
        seeds = ", ".join(str(one.seed) for one in of)
        costs.append(
            f"| {entry.name} | {entry.says} | {seeds} | {weights:.2f} | {seen:,.0f} | {minutes:.1f} |"
        )
        for other in (other for other in entry.against if other in names):
            differences[f"{entry.name} against {other}"] = result.difference(entry.name, other)
    effects = (
        [head, NOTE, reports.effects_overview(differences)]
        if differences
        else [head, "Nothing to compare yet."]
    )
    for title, found in differences.items():
        effects += [f"## {title}", reports.effects_table(found)]
    content = reports.summary(result, test) | {
        "runs": {
            name: {"steps": one.steps, "pairs_seen": _seen(one), "minutes": one.minutes, "digest": one.digest}
            for name, one in trained.items()
        },
        "effects": {
            title: {
                group: {metric: _plain(value) for metric, value in of.items()} for group, of in found.items()
            }
            for title, found in differences.items()
        },
    }
    return {
        "table.md": "\n\n".join([head, "\n".join(costs), reports.markdown_table(table)]),
        "effects.md": "\n\n".join(effects),
        "metrics.json": json.dumps(content, indent=2),
    }


def _plain(estimate: Estimate) -> dict[str, float]:
    """An estimate without what JSON has no number for."""
    return {name: value for name, value in asdict(estimate).items() if math.isfinite(value)}


NOTE = """\
Each difference is the first one's mean over its seeds minus the second one's, pair by pair on the same people, with its
95 % interval over people and its spread over seeds: the standard deviation of the difference of two single runs. There
is an effect (the first is better, or worse) where the difference is larger than that spread and the interval does not
hold 0."""


def figures(
    finished: Sequence[Run], result: Evaluation, test: PersonPairs, device: torch.device
) -> dict[str, Image.Image]:
    """The paper's Fig. 4 and Fig. 5 of the systems' first seeds, by the names of their files.

    The pairs are those of the best, the middle and the worst tenth by the systems' mean ``fg_ssim``, so that none of
    them chooses; see :func:`sdgan_lib.reports.decile_pairs`. Fig. 5 shows the last system that makes smaller pictures,
    too.
    """
    first = {run.entry.name: run for run in reversed(finished) if run.entry.system}
    runs = [run for run in finished if first.get(run.entry.name) is run]
    if not runs:
        return {}
    generators = {run.entry.name: load_generator(run.checkpoint, device) for run in runs}
    scores = torch.stack([result.values[run.name]["fg_ssim"] for run in runs]).mean(0)
    tenths = reports.decile_pairs(test, scores, rows=2)
    answers = {name: of_generator(generator) for name, generator in generators.items()}
    made = {"fig4.png": reports.make_figure(answers, test, tenths, device=device)}
    stacked = [g for g in generators.values() if SYSTEMS[g.config.system].scales[0] > 1]
    if stacked:
        made["fig5.png"] = reports.make_figure({}, test, tenths, generator=stacked[-1], device=device)
    return made
