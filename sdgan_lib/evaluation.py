"""Evaluation: named answers on people never seen, pair by pair; means, seeds and intervals.

An answer is data: a function from a batch (as :class:`PersonPairs` collates it, on the device) to pictures
``[B, 3, H, W]`` in [-1, 1]. A trained generator, a folder of pictures that another program made and what needs no
learning are all made into answers here, so that four systems with three seeds each are a longer dictionary.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from sdgan_lib.batches import to_cpu, to_device
from sdgan_lib.checkpoints import Metrics
from sdgan_lib.composition import push_pull_fill, widen
from sdgan_lib.datasets import PersonPairs, read_image
from sdgan_lib.errors import Problem, UserError
from sdgan_lib.estimation import Found, PoseEstimator
from sdgan_lib.generators import Generator
from sdgan_lib.images import from_uint8, opened, read_picture, upright_size
from sdgan_lib.metrics import (
    METRICS,
    SET_METRICS,
    frechet_distance,
    image_metrics,
    kernel_distance,
    pose_mask,
)
from sdgan_lib.protocol import identity
from sdgan_lib.warping import limb_warps, warp_image

if TYPE_CHECKING:
    from sdgan_lib.perceptual import Perceptual

Answer = Callable[[dict], Tensor]

BATCH_SIZE = 16  # larger ones fall out of a processor's cache: 50 takes 1.1 times as long per pair
REFERENCES = ("copy_source", "warp_only", "fill_source", "mean_picture", "target_itself")  # of references()
CEILING = "target_itself"
"""The reference that no answer is expected to beat; of no use as one, as it looks at the target picture."""
NOBODY = ("fill_source",)  # answers that show no person: there are no joints to be found
FILL_MARGIN = 2  # pixels beyond the person's mask that fill_source takes out, too
LEVEL, RESAMPLES = 0.95, 2000  # of intervals, and how often people are drawn anew for one
PER_MILLE = 1000  # kernel distances are small; papers print a thousand times their value
PICTURES = (".png", ".jpg", ".jpeg")
STRIPS = (3, 5)  # pictures side by side, the generated one last: pose-gan's "iog" and PATN's "_vis"


# --- answers ------------------------------------------------------------------------------------


def copy_source(batch: dict) -> Tensor:
    """The source picture as it is: what a generator has to beat where the background stands still."""
    return batch["source_image"]


def warp_only(batch: dict) -> Tensor:
    """The source picture moved limb by limb into the target pose, with no network: ``[B, 3, H, W]``."""
    image = batch["source_image"]
    return warp_image(image, limb_warps(batch["source_pose"], batch["target_pose"], *image.shape[-2:]))


def fill_source(batch: dict) -> Tensor:
    """The source picture with the person taken out and the hole filled from around it: ``[B, 3, H, W]``.

    What a background that was learned has to beat (``uncovered_l1``); nobody stands in the picture. The person is the
    data set's own mask or, where it has none, the pose mask, beyond which some of the person stays.
    """
    image = batch["source_image"]
    person = batch.get("source_mask")
    if person is None:
        person = pose_mask(batch["source_pose"], *image.shape[-2:])
    return push_pull_fill(image, 1 - widen(person.to(image), FILL_MARGIN))


def target_itself(batch: dict) -> Tensor:
    """The target picture: the ceiling, and what of a metric is in the pictures themselves (``speckle``)."""
    return batch["target_image"]


def mean_picture(train: PersonPairs) -> Answer:
    """The mean of the pictures that occur in the pairs of ``train``, whatever is asked: the blindest answer."""
    indices = train.pairs.unique().tolist()
    total = torch.zeros(3, *train.size)
    for index in indices:
        total += read_image(train.data.image_path(index), train.data.size, train.size)
    mean = from_uint8(total / len(indices))
    return lambda batch: mean.to(batch["target_image"].device).expand_as(batch["target_image"])


def references(train: PersonPairs) -> dict[str, Answer]:
    """The answers that need no learning, by name; every evaluation shows them beside the others."""
    answers = copy_source, warp_only, fill_source, mean_picture(train), target_itself
    return dict(zip(REFERENCES, answers, strict=True))


def of_generator(generator: Generator) -> Answer:
    """The full-size pictures of a trained generator, which is in evaluation mode on the device of the evaluation."""
    return lambda batch: (
        generator.transfer(batch["source_image"], batch["source_pose"], batch["target_pose"]).image
    )


def of_folder(folder: str | Path, test: PersonPairs) -> Answer:
    """Pictures of the pairs of ``test`` that any other program made, read from a folder.

    For a pair of ``FROM.jpg`` and ``TO.jpg`` the file may be called ``FROM___TO`` (as by PATN), ``FROM_TO`` (pose-gan)
    or ``FROM/TO``, with ``.jpg`` after either name and ``_vis`` at the end or without, ``.png`` or ``.jpg``, in the
    folder or in one within it (PATN's ``images``). Of three or five pictures side by side, which these programs write,
    the last is taken: it is the generated one.

    Raises:
        UserError: pictures are missing, there twice, or of another size; the message counts and names them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder. Remedy: name the one that holds a picture of each test pair."
        )
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES:
            for name in (path.name, f"{path.parent.name}/{path.name}"):
                there.setdefault(_without_endings(name), []).append(path)
    pairs = {(test.names[a], test.names[b]): None for a, b in test.pairs.tolist()}
    found = {pair: _candidates(there, *pair) for pair in pairs}
    _refuse(
        folder,
        [f"{a} -> {b}" for (a, b), paths in found.items() if not paths],
        f"of {len(found)} pairs have no picture",
        "make them, and call each FROM___TO.png or FROM/TO.png",
    )
    _refuse(
        folder,
        [
            " and ".join(path.relative_to(folder).as_posix() for path in paths)
            for paths in found.values()
            if len(paths) > 1
        ],
        "pairs have more than one picture",
        "leave one of each",
    )
    pictures = {pair: path for pair, (path,) in found.items()}
    height, width = test.size
    fitting = {(height, width * count) for count in (1, *STRIPS)}
    sizes = {path: _size(path) for path in pictures.values()}
    _refuse(
        folder,
        [f"{path.name} ({h}x{w})" for path, (h, w) in sizes.items() if (h, w) not in fitting],
        f"of {len(found)} pictures are not {height}x{width} (height x width)",
        "write them at the size of the test pictures",
    )

    def answer(batch: dict) -> Tensor:
        pairs = zip(batch["source_name"], batch["target_name"], strict=True)
        made = torch.stack([read_picture(pictures[pair])[..., -width:] for pair in pairs])
        return made.to(batch["target_image"].device)

    return answer


def _without_endings(name: str) -> str:
    """What stays of a picture's name when its endings go: ``a.jpg___b.jpg_vis.png`` -> ``a___b``."""
    return re.sub(r"((_vis)?\.(png|jpe?g))+(?=_|/|$)", "", name, flags=re.IGNORECASE)


def _candidates(there: Mapping[str, list[Path]], source: str, target: str) -> list[Path]:
    return [
        path
        for between in ("___", "_", "/")
        for path in there.get(_without_endings(source) + between + _without_endings(target), [])
    ]


def _refuse(folder: Path, faults: list[str], what: str, remedy: str) -> None:
    """Raise if there are faults, with their number and the first of them."""
    if faults:
        names = ", ".join(faults[:3]) + (", ..." if len(faults) > 3 else "")
        raise UserError(Problem(folder, f"{len(faults)} {what}: {names}", remedy))


def _size(path: Path) -> tuple[int, int]:
    """(height, width) from a picture's header."""
    with opened(path) as image:
        return upright_size(image)


# --- evaluation ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """One metric of one system on one group of pairs.

    Attributes:
        mean: over the pairs for which the metric is defined, and over the seeds.
        spread: standard deviation of the seeds' means; NaN for one seed.
        low, high: 95 % confidence interval of the mean over people, see :func:`interval`.
    """

    mean: float
    spread: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")


Table = dict[str, dict[str, dict[str, Estimate]]]
"""``{group: {system: {metric: estimate}}}``."""


class OfSet(NamedTuple):
    """A metric of a whole set of pictures.

    Attributes:
        value: over all of them.
        redrawn: float64 ``[R]``, its values over people drawn anew, the same people for each answer; empty where these
            are too few, or that would take too long.
    """

    value: float
    redrawn: Tensor = torch.empty(0)


@dataclass(frozen=True)
class Evaluation:
    """Every metric of each answer on each of N pairs, on the CPU and in the order of the pairs.

    Attributes:
        values: ``{answer: {metric: float64 [N]}}``, NaN where a metric is undefined.
        same_camera: whether one camera took both pictures of a pair, bool ``[N]``.
        identities: who is on the pictures of each pair, N names.
        sets: ``{group: {answer: {metric: value}}}``, the metrics that no single pair has.
    """

    values: dict[str, dict[str, Tensor]]
    same_camera: Tensor
    identities: tuple[str, ...]
    sets: dict[str, dict[str, dict[str, OfSet]]] = field(default_factory=dict)

    @property
    def groups(self) -> dict[str, Tensor]:
        """Which pairs belong to ``"same_camera"`` and to ``"all"``; a group of no pairs is left out."""
        groups = {"same_camera": self.same_camera, "all": torch.ones_like(self.same_camera)}
        return {name: chosen for name, chosen in groups.items() if chosen.any()}

    def people(self, chosen: Tensor) -> list[str]:
        """Who is on the pairs of a group."""
        return [who for who, inside in zip(self.identities, chosen.tolist(), strict=True) if inside]

    def means(self) -> Metrics:
        """``{group: {answer: {metric: mean}}}``; a pair for which a metric is undefined is left out of its mean.

        A metric that is undefined for all pairs, or infinite (PSNR of the target itself), is left out: JSON has no
        number for it.
        """
        return {
            group: {
                answer: _finite(
                    {metric: value[chosen].nanmean().item() for metric, value in metrics.items()}
                    | {metric: of_set.value for metric, of_set in self._sets(group, answer).items()}
                )
                for answer, metrics in self.values.items()
            }
            for group, chosen in self.groups.items()
        }

    def _sets(self, group: str, answer: str) -> dict[str, OfSet]:
        return self.sets.get(group, {}).get(answer, {})

    def table(self) -> Table:
        """Mean, spread over seeds and interval over people of each system; the seeds of one are ``system@seed``."""
        systems: dict[str, list[str]] = {}
        for answer in self.values:
            systems.setdefault(system_of(answer), []).append(answer)
        return {
            group: {
                system: dict.fromkeys((*METRICS, *SET_METRICS), Estimate(math.nan))
                | {metric: self._estimate(seeds, metric, chosen) for metric in self.values[seeds[0]]}
                | {metric: self._estimate_set(seeds, metric, group) for metric in self._sets(group, seeds[0])}
                for system, seeds in systems.items()
            }
            for group, chosen in self.groups.items()
        }

    def _estimate(self, answers: Sequence[str], metric: str, chosen: Tensor) -> Estimate:
        values = torch.stack([self.values[answer][metric][chosen] for answer in answers])  # [seeds, pairs]
        return _over_seeds(values.nanmean(1), interval(values.mean(0), self.people(chosen)))

    def _estimate_set(self, answers: Sequence[str], metric: str, group: str) -> Estimate:
        found = [self._sets(group, answer)[metric] for answer in answers]
        values = torch.tensor([of_set.value for of_set in found], dtype=torch.float64)
        return _over_seeds(values, _defined_ends(_redrawn(found)))

    def difference(self, one: str, other: str) -> dict[str, dict[str, Estimate]]:
        """How much more one system reaches than another, ``{group: {metric: estimate}}``, on the same people.

        Metrics of pairs are compared pair by pair, those of sets over the same people drawn anew; either as the mean of
        a system's seeds. The spread is that of the difference of two single runs: the root of the sum of both squared
        spreads, NaN where a system has one seed.
        """
        first, second = ([a for a in self.values if system_of(a) == name] for name in (one, other))
        found = {}
        for group, chosen in self.groups.items():
            found[group] = dict.fromkeys((*METRICS, *SET_METRICS), Estimate(math.nan))
            for metric in self.values[first[0]].keys() & self.values[second[0]].keys():
                mine, theirs = (
                    torch.stack([self.values[answer][metric][chosen] for answer in of])
                    for of in (first, second)
                )
                values = mine.mean(0) - theirs.mean(0)
                spread = math.hypot(_spread(mine.nanmean(1)), _spread(theirs.nanmean(1)))
                ends = interval(values, self.people(chosen))
                found[group][metric] = Estimate(values.nanmean().item(), spread, *ends)
            for metric in self._sets(group, first[0]).keys() & self._sets(group, second[0]).keys():
                mine, theirs = (
                    [self._sets(group, answer)[metric] for answer in of] for of in (first, second)
                )
                a, b = (torch.tensor([s.value for s in of], dtype=torch.float64) for of in (mine, theirs))
                ends = _defined_ends(_redrawn(mine) - _redrawn(theirs))
                mean = (a.mean() - b.mean()).item()
                found[group][metric] = Estimate(mean, math.hypot(_spread(a), _spread(b)), *ends)
        return found


def _over_seeds(values: Tensor, ends: tuple[float, ...]) -> Estimate:
    return Estimate(values.mean().item(), _spread(values), *ends)


def _spread(values: Tensor) -> float:
    return values.std().item() if len(values) > 1 else float("nan")


def _redrawn(seeds: Sequence[OfSet]) -> Tensor:
    return torch.stack([of_set.redrawn for of_set in seeds]).mean(0)


def _defined_ends(redrawn: Tensor) -> tuple[float, ...]:
    """The interval's ends; a value is undefined where one person alone was drawn, as happens of three."""
    redrawn = redrawn[~redrawn.isnan()]
    return _ends(redrawn) if len(redrawn) else ()


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {metric: value for metric, value in values.items() if math.isfinite(value)}


def evaluate(
    answers: Mapping[str, Answer],
    test: PersonPairs,
    *,
    estimator: PoseEstimator | None = None,
    perceptual: "Perceptual | None" = None,
    device: torch.device | str = "cpu",
    batch_size: int = BATCH_SIZE,
    quiet: bool = False,
) -> Evaluation:
    """Compare each answer with the target picture, on every pair of ``test``.

    A data set without masks of the person has pose masks in their place, and no ``uncovered_l1``. That metric is
    defined for pairs of one camera only: what the person hid is unknown of another camera's background.

    Args:
        answers: by name. The same system trained with several seeds: ``{"sdgan@0": ..., "sdgan@1": ...}``.
        test: pairs of the size that the generators were trained on.
        estimator: finds the joints again in the answers' pictures, for ``pck`` and ``pckh``, and gives the features of
            ``kd_movenet`` and ``fd_movenet``; without it they are NaN. It takes longer than all the rest, although it
            looks at each different picture once.
        perceptual: networks for ``lpips``, ``fid``, ``kid``, ``is`` and ``mask_is``, which are left out without them.
        quiet: show no progress.

    Raises:
        ValueError: no answers, no pairs, or an answer of another shape than the targets.
    """
    if not answers or not len(test):
        raise ValueError(f"nothing to evaluate: {len(answers)} answers, {len(test)} pairs")
    people = tuple(identity(test.names[source]) for source in test.pairs[:, 0].tolist())
    parts: dict[str, list[dict[str, Tensor]]] = {name: [] for name in answers}
    seen: dict[str, list[dict[str, Tensor]]] = {name: [] for name in answers}
    targets, same_camera = [], []
    see = _seeing(estimator, perceptual)
    with torch.inference_mode():
        for batch in tqdm(DataLoader(test, batch_size), "evaluating", disable=quiet, dynamic_ncols=True):
            batch = to_device(batch, device)
            same = batch["same_camera"].bool()
            same_camera.append(same.cpu())
            target, pose = batch["target_image"], batch["target_pose"]
            posed = pose_mask(pose, *target.shape[-2:])
            mask, before = batch.get("target_mask"), batch.get("source_mask")
            if before is not None:
                before = before * same.view(-1, 1, 1, 1)  # of another camera nothing is uncovered
            for name, answer in answers.items():
                made = answer(batch)
                if made.shape != target.shape:
                    raise ValueError(
                        f"answer {name!r} has shape {list(made.shape)}, its target {list(target.shape)}"
                    )
                found, features = see(made, posed, somebody=name not in NOBODY)
                values = image_metrics(made, target, mask, posed, before, pose, found)
                if perceptual is not None:
                    values["lpips"] = perceptual.lpips(made, target)
                parts[name].append(to_cpu(values))
                seen[name].append(features)
            targets.append(see(target, posed, somebody=True)[1])
    joined = {name: _joined(of_name) for name, of_name in parts.items()}
    features = {name: _joined(of_name) for name, of_name in seen.items()}
    result = Evaluation(joined, torch.cat(same_camera), people)
    score = perceptual and perceptual.inception_score
    of_target = _joined(targets)
    for group, chosen in result.groups.items():
        who = _numbers(result.people(chosen))
        result.sets[group] = {
            name: _of_sets(_only(of_name, chosen), _only(of_target, chosen), who, score)
            for name, of_name in features.items()
        }
    return result


See = Callable[..., tuple[Found | None, dict[str, Tensor]]]


def _seeing(estimator: PoseEstimator | None, perceptual: "Perceptual | None") -> See:
    """What networks see in pictures: the joints, and features on the CPU by the network's name."""
    find = estimator and _each_once(estimator.look)
    classify = perceptual and _each_once(perceptual.inception)

    def see(pictures: Tensor, posed: Tensor, somebody: bool) -> tuple[Found | None, dict[str, Tensor]]:
        found, features = None, {}
        if find and somebody:
            *joints, features["movenet"] = find(pictures)
            found = Found(*joints)
        if classify:
            features["inception"], features["logits"] = classify(pictures)
            features["masked_logits"] = classify(pictures.where(posed, -1))[1]
        return found, to_cpu(features)

    return see


def _each_once(look: Callable[[Tensor], Sequence[Tensor]]) -> Callable[[Tensor], list[Tensor]]:
    """A network with a memory: sources and targets are in many pairs, and the mean picture answers all of them."""
    known: dict[bytes, tuple[Tensor, ...]] = {}

    def see(pictures: Tensor) -> list[Tensor]:
        digests = [
            hashlib.sha256(picture.numpy()).digest() for picture in pictures.float().cpu().contiguous()
        ]
        new = {digest: i for i, digest in enumerate(digests) if digest not in known}
        if new:
            known.update(zip(new, zip(*look(pictures[list(new.values())]), strict=True), strict=True))
        return [torch.stack(column) for column in zip(*(known[digest] for digest in digests), strict=True)]

    return see


def _only(values: Mapping[str, Tensor], chosen: Tensor) -> dict[str, Tensor]:
    return {name: value[chosen] for name, value in values.items()}


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _of_sets(
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    people: Tensor,
    inception_score: Callable[[Tensor], float] | None,
) -> dict[str, OfSet]:
    """The metrics of one answer's pictures as a set, from what networks see in them and in their targets."""
    found = {}
    for network, kernel, frechet in (("movenet", "kd_movenet", "fd_movenet"), ("inception", "kid", "fid")):
        if network in features:
            found[kernel] = _over_people(*kernel_distance(features[network], targets[network], people))
            found[frechet] = OfSet(frechet_distance(features[network], targets[network]))
    for kind, name in (("logits", "is"), ("masked_logits", "mask_is")):
        if kind in features:
            found[name] = OfSet(inception_score(features[kind]))
    return found


def _over_people(sums: Tensor, counts: Tensor) -> OfSet:
    """A kernel distance, and that of people drawn anew, from the sums over pairs of people, ``[P, P]``."""
    value = (sums.sum() / counts.sum()).item() * PER_MILLE
    if len(sums) < 3:  # of two people, those drawn anew are always the same
        return OfSet(value)
    drawn = torch.stack([torch.bincount(row, minlength=len(sums)) for row in _draws(len(sums))]).double()
    return OfSet(value, ((drawn @ sums) * drawn).sum(1) / ((drawn @ counts) * drawn).sum(1) * PER_MILLE)


def system_of(answer: str) -> str:
    """The system of an answer: ``"sdgan@1"`` -> ``"sdgan"``; a name without ``@`` and a number stands for itself."""
    system, _, seed = answer.rpartition("@")
    return system if system and seed.isdecimal() else answer


def interval(
    values: Tensor, people: Sequence[str], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of the mean of ``values`` ``[N]``, by a bootstrap over people.

    Pairs that show one person resemble each other, so it is whole persons with all their pairs that are drawn, with
    replacement; drawing single pairs would give an interval that is far too narrow. The ends are percentiles of the
    means of such draws (Efron and Tibshirani 1993, chapter 13).

    Two systems are compared by the interval of their difference, pair by pair, on the same people:
    ``interval(values["sdgan"]["fg_ssim"] - values["baseline"]["fg_ssim"], evaluation.identities)``.

    Args:
        values: NaN is left out.
        people: who is on each of the N pairs.

    Returns:
        (low, high); NaN for fewer than two persons, of whom nothing can be said about others.
    """
    defined = ~values.isnan()
    _, who = torch.unique(_numbers(people)[defined], return_inverse=True)
    count = int(who.max()) + 1 if len(who) else 0
    if count < 2:
        return float("nan"), float("nan")
    sums = torch.zeros(count, dtype=torch.float64).index_add_(0, who, values[defined].double())
    pairs = torch.bincount(who, minlength=count)
    drawn = _draws(count, resamples, seed)
    return _ends(sums[drawn].sum(1) / pairs[drawn].sum(1), level)


def _draws(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Tensor:
    """People drawn with replacement, as many as there are: their numbers, ``[resamples, count]``."""
    return torch.randint(count, (resamples, count), generator=torch.Generator().manual_seed(seed))


def _ends(redrawn: Tensor, level: float = LEVEL) -> tuple[float, float]:
    """Between which values the middle ``level`` of those over people drawn anew lie."""
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    nearest = redrawn.double().quantile(ends, interpolation="nearest")  # no mean between two infinite ones
    low, high = nearest.tolist()
    return low, high


def _numbers(people: Sequence[str]) -> Tensor:
    index = {who: i for i, who in enumerate(dict.fromkeys(people))}
    return torch.tensor([index[who] for who in people])


def held_out(root: str | Path, prefix: str | None = None) -> PersonPairs:
    """All test pairs of a data set. Called before a training too, so that a fault is told before it costs anything.

    Raises:
        UserError: there are none; the message says why, and how to train without.
    """
    try:
        return PersonPairs(root, "test", pairs="all", prefix=prefix)
    except UserError as error:
        raise UserError(f"nothing to evaluate on: {error} (train --no-evaluate does without)") from error
