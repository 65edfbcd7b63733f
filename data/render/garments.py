"""Garments: an identity's body at rest and the shells, hair and bags around it, each with the area it covers.

Clothes are offset copies of the skinned helper meshes of MakeHuman's base mesh (tights, skirt, hair). Where a
shell exists is a signed field per vertex, positive inside; fragments below zero are dropped, which gives
straight hems.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from .bodies import Model, model, random_local, random_phenotype
from .looks import Look, random_look
from .raster import ellipsoid, incidence, noise, normals, smooth, smoother, triangles

ATTRIBUTES = ("arm", "armt", "legt", "trunk", "up", "front", "head")


@dataclass
class Part:
    """A mesh at rest: vertices [n,3], triangles [m,3], weights [n,bones], field [n], attributes [n,7]."""

    name: str
    rest: np.ndarray
    tris: np.ndarray
    weights: sp.csr_matrix
    field: np.ndarray
    attributes: np.ndarray
    base: np.ndarray
    inc: sp.csr_matrix
    cull: bool = False


@dataclass
class Identity:
    """One person: the body at rest (metres, feet on z = 0), its look, and the parts that are drawn."""

    number: int
    phenotype: dict[str, float]
    rest: np.ndarray
    heads: np.ndarray
    height: float
    look: Look
    parts: list[Part]
    face_points: np.ndarray  # the vertices that the face's key points depend on
    face_weights: sp.csr_matrix  # [5,V]: nose, right eye, left eye, right ear, left ear as means of vertices
    chin: float
    head_height: float
    eyes: np.ndarray

    @property
    def scale(self) -> float:
        return self.height / 1.72


def _remap(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ids, inverse = np.unique(quads, return_inverse=True)
    return ids, inverse.reshape(quads.shape)


@lru_cache(maxsize=1)
def _layout() -> dict:
    """What depends on the base mesh alone: index lists, smoothing matrices, weights of body regions."""
    m: Model = model()
    eyes = np.concatenate([m.faces["helper-l-eye"], m.faces["helper-r-eye"]])
    out = {
        name: _remap(q)
        for name, q in (
            ("body", m.faces["body"]),
            ("tights", m.faces["helper-tights"]),
            ("skirt", m.faces["helper-skirt"]),
            ("hair", m.faces["helper-hair"]),
            ("eye", eyes),
        )
    }
    out["smooth"] = {k: smoother(out[k][1], len(out[k][0])) for k in ("body", "tights", "skirt")}
    head = m.bone("head")

    def region(*words: str) -> np.ndarray:
        cols = [i for i, b in enumerate(m.bones) if b.startswith(words)]
        return np.asarray(m.weights[:, cols].sum(1)).ravel()

    out["arm"] = region("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
    out["leg"] = region("upperleg", "lowerleg", "foot", "toe")
    out["head"] = np.asarray(m.weights[:, [i for i in range(head, len(m.bones))]].sum(1)).ravel()
    # Face points: the foremost vertex on the middle line between mouth and eyes, and the outermost of each
    # ear.
    body = out["body"][0]
    v = m.template[body]
    eye = m.template[out["eye"][0]]
    eye_z = eye[:, 2].mean()
    middle = (
        (np.abs(v[:, 0]) < 0.004) & (v[:, 2] < eye_z) & (v[:, 2] > eye_z - 0.07) & (out["head"][body] > 0.5)
    )
    nose = body[np.nonzero(middle)[0][v[middle][:, 1].argmin()]]
    level = (out["head"][body] > 0.5) & (np.abs(v[:, 2] - (eye_z - 0.02)) < 0.04)
    ears = [body[np.nonzero(level)[0][(s * v[level][:, 0]).argmax()]] for s in (-1, 1)]
    left = m.template[out["eye"][0]][:, 0] > 0
    rows = [[nose], out["eye"][0][~left], out["eye"][0][left], [ears[0]], [ears[1]]]
    face = sp.lil_matrix((5, len(m.template)))
    for i, ids in enumerate(rows):
        for j in ids:
            face[i, j] = 1 / len(ids)
    out["face"] = face.tocsr()
    return out


def _along(v: np.ndarray, heads: np.ndarray, names: tuple[str, str, str]) -> np.ndarray:
    """Position along a limb of two bones, either side: 0 at its root, 1 at the middle joint, 2 at its end."""
    m = model()
    best, t = np.full(len(v), 1e9), np.zeros(len(v))
    for s, sign in (("L", 1), ("R", -1)):
        j = [heads[m.bone(f"{n}.{s}")] for n in names]
        for a in range(2):
            d = j[a + 1] - j[a]
            u = np.clip((v - j[a]) @ d / (d @ d), -1 if a == 0 else 0, 1 if a == 0 else 2)
            dist = np.linalg.norm(v - j[a] - u[:, None] * d, axis=1) + (np.sign(v[:, 0]) != sign) * 0.2
            near = dist < best
            best[near], t[near] = dist[near], (u + a)[near]
    return t


def _step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


class _Dresser:
    """Builds the parts of one identity."""

    def __init__(self, rest: np.ndarray, heads: np.ndarray, height: float, look: Look):
        self.rest, self.heads, self.look, self.k = rest, heads, look, height / 1.72
        self.m, self.lay = model(), _layout()
        at = self.m.bone
        self.body_ids = self.lay["body"][0]
        hip, knee, ankle = (heads[at(b)][2] for b in ("upperleg01.L", "lowerleg01.L", "foot.L"))
        neck = heads[at("neck01")]
        z = rest[:, 2]
        top = rest[self.body_ids][self.lay["head"][self.body_ids] > 0.8]
        self.chin, self.head_height = top[:, 2].min(), np.ptp(top[:, 2])
        mid = (top[:, 1].max() + top[:, 1].min()) / 2
        self.crown = np.array([0, mid, self.chin + 0.55 * self.head_height])
        self.attributes = np.stack(
            [
                self.lay["arm"],
                _along(rest, heads, ("upperarm01", "lowerarm01", "wrist")),
                np.where(z > knee, (hip - z) / (hip - knee), 1 + (knee - z) / (knee - ankle)),
                (z - hip) / (neck[2] - hip),
                (z - self.chin) / self.head_height,
                (mid - rest[:, 1]) / self.head_height,
                self.lay["head"],
            ],
            1,
        ).astype(np.float32)
        self.neck_y = neck[1]
        self.parts: list[Part] = []

    # ---- where garments cover, as signed fields in about half metres
    def fields(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        look, a, v = self.look, self.attributes[ids], self.rest[ids]
        arm, armt, legt, trunk = a[:, 0], a[:, 1], a[:, 2], a[:, 3]
        on_arm = _step(arm, 0.08, 0.35)
        front = v[:, 1] < self.neck_y
        dip = 0.05 + look.neckline * 1.2 * np.clip(1 - np.abs(v[:, 0]) / (0.075 * self.k), 0, 1)
        collar = 1.0 - np.where(front, dip, 0)

        def trunked(hem: float, sleeve: float, neck: np.ndarray) -> np.ndarray:
            return on_arm * (sleeve - armt) * 0.55 + (1 - on_arm) * np.minimum(trunk - hem, neck - trunk)

        out = {"top": trunked(look.hem, look.sleeve, collar)}
        legs = np.minimum(0.3 - trunk, (look.bottom_length - legt) * 0.8)
        out["bottom"] = np.where(arm > 0.5, -1, np.minimum(legs, 0.3 - trunk))
        out["skirt"] = np.minimum((look.skirt_length - legt) * 0.8, 0.3 - trunk)
        out["shoe"] = (legt - (1.6 if look.boots else 1.93)) * 0.8
        if look.jacket is not None:
            j = trunked(look.jacket_hem, look.jacket_sleeve, np.full(len(ids), 1.03))
            gap = look.jacket_open * self.k * (1 + 0.6 * np.clip(trunk, 0, 1))
            out["jacket"] = np.where(front & (arm < 0.5), np.minimum(j, (np.abs(v[:, 0]) - gap) * 4), j)
        return out

    def add(
        self,
        name: str,
        rest: np.ndarray,
        tris: np.ndarray,
        ids: np.ndarray,
        field: np.ndarray,
        cull: bool = False,
    ) -> None:
        field = field.astype(np.float32)
        tris = tris[(field[tris] > 0).any(1)]
        if not len(tris):
            return
        used, tris = _remap(tris)
        self.parts.append(
            Part(
                name,
                rest[used],
                tris,
                self.m.weights[ids[used]],
                field[used],
                self.attributes[ids[used]],
                self.rest[ids[used]],
                incidence(tris, len(used)),
                cull,
            )
        )

    def rigid(self, name: str, bone: str, solid: tuple[np.ndarray, np.ndarray]) -> None:
        v, tris = solid
        n = len(v)
        weights = sp.csr_matrix(
            (np.ones(n, np.float32), (np.arange(n), np.full(n, self.m.bone(bone)))), (n, len(self.m.bones))
        )
        self.parts.append(
            Part(
                name,
                v,
                tris,
                weights,
                np.ones(n, np.float32),
                np.zeros((n, len(ATTRIBUTES)), np.float32),
                v,
                incidence(tris, n),
            )
        )

    def shell(self, times: int, offset) -> tuple[np.ndarray, np.ndarray]:
        """The tights mesh smoothed `times` times and pushed out until it clears the body by `offset`."""
        ids, quads = self.lay["tights"]
        matrix, tris, tight = self.lay["smooth"]["tights"], triangles(quads), self.rest[ids]
        v = smooth(matrix, tight, times)
        n = normals(v, tris)
        sunk = smooth(matrix, np.maximum(((tight - v) * n).sum(1), 0)[:, None], 2)[:, 0]
        return v + n * (sunk * 0.6 + offset)[:, None], n

    def clothes(self) -> None:
        look, k, lay = self.look, self.k, self.lay
        ids, quads = lay["tights"]
        tris, f, a = triangles(quads), self.fields(ids), self.attributes[ids]
        arm, legt, trunk = a[:, 0], a[:, 2], a[:, 3]
        tight = self.rest[ids]
        trunk_or_arm = np.where(arm > 0.5, 0.6, 1) * look.fit * k + 0.008 * k
        covered = f["jacket"] if "jacket" in f else np.full(len(ids), -1.0)
        low_waist = look.tucked or look.skirt
        # legs
        legs, _ = self.shell(4, 0.006 * k)
        for s, sign in (("L", 1), ("R", -1)):
            hip, knee, ankle = (
                self.heads[self.m.bone(f"{b}.{s}")] for b in ("upperleg01", "lowerleg01", "foot")
            )
            sel = (np.sign(tight[:, 0]) == sign) & (legt > -0.1) & (lay["leg"][ids] > 0.3)
            t = np.clip(legt[sel], 0, 2)[:, None]
            axis = np.where(t < 1, hip + (knee - hip) * t, knee + (ankle - knee) * (t - 1))
            d = (legs[sel] - axis) * [1, 1, 0]
            r = np.linalg.norm(d, axis=1, keepdims=True)
            wide = (
                k
                * (0.097 - 0.014 * t + 0.06 * look.flare * np.clip(t - 1, 0, 1))
                * (0.82 + 0.3 * look.looseness)
            )
            legs[sel] += d * (np.maximum(r, wide * np.clip(t * 4, 0, 1)) / np.maximum(r, 1e-6) - 1)
        legs = smooth(lay["smooth"]["tights"], legs, 2)
        if look.skirt:
            sid, squads = lay["skirt"]
            n = normals(smooth(lay["smooth"]["skirt"], self.rest[sid], 2), triangles(squads))
            skirt = self.rest[sid] + n * 0.012 * k
            centre = self.heads[self.m.bone("root")][:2] * [0, 0.3]
            narrow = 0.12 * np.clip(np.clip(-self.attributes[sid][:, 3], 0, 2), 0, 1)[:, None]
            skirt[:, :2] = (skirt[:, :2] - centre) * (1 - narrow) + centre
            self.add("skirt", skirt, triangles(squads), sid, self.fields(sid)["skirt"])
            waist = np.where(arm > 0.5, -1, np.minimum(0.3 - trunk, (0.1 - legt) * 0.8))
            self.add("skirt", legs, tris, ids, waist)
        else:
            over = np.full(len(ids), 1.0) if low_waist else 0.03 - np.where(arm > 0.5, -1, f["top"])
            self.add("bottom", legs, tris, ids, np.minimum(np.minimum(f["bottom"], over), 0.02 - covered))
        self.add("shoe", self.shell(2, 0.007 * k)[0], tris, ids, f["shoe"])
        top, n = self.shell(look.folds, trunk_or_arm)
        drape = np.where(arm < 0.5, np.clip(0.35 - trunk, 0, 0.6) * 0.03 * k, 0)[:, None] * n * [1, 1, 0]
        tucked = np.where(arm > 0.5, 1.0, trunk - 0.24) if low_waist else np.full(len(ids), 1.0)
        self.add(
            "top",
            top if low_waist else top + drape,
            tris,
            ids,
            np.minimum(np.minimum(f["top"], tucked), 0.02 - covered),
        )
        if look.jacket is not None:
            jacket, n = self.shell(look.folds + 8, trunk_or_arm + 0.014 * k)
            drape = np.where(arm < 0.5, np.clip(0.45 - trunk, 0, 1) * 0.045 * k, 0)[:, None] * n * [1, 1, 0]
            self.add("jacket", jacket + drape, tris, ids, f["jacket"])

    def skin_and_hair(self) -> None:
        look, k, lay, ids = self.look, self.k, self.lay, self.body_ids
        quads, f, a = lay["body"][1], self.fields(self.body_ids), self.attributes[self.body_ids]
        clothed = np.maximum.reduce(
            [
                f["top"],
                f["shoe"],
                np.minimum(f["skirt"], np.where(a[:, 0] > 0.5, -1, 1)) if look.skirt else f["bottom"],
                f.get("jacket", f["top"]),
            ]
        )
        bare = np.where(a[:, 6] > 0.6, 1.0, 0.07 - clothed)
        if look.skirt:  # legs inside a skirt may show when they swing
            bare = np.where((a[:, 2] > 0.15) & (a[:, 0] < 0.5), np.maximum(bare, 0.035 - f["shoe"]), bare)
        self.add("body", self.rest[ids], triangles(quads), ids, bare, cull=True)
        eid, equads = lay["eye"]
        self.add("eye", self.rest[eid], triangles(equads), eid, np.ones(len(eid)), cull=True)
        skull = quads[(a[:, 6] > 0.5)[quads].all(1)]
        v = self.rest[ids]
        up, forward = a[:, 4], a[:, 5]
        out = v - self.crown
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        smoothed = smooth(lay["smooth"]["body"], v, 12)
        grain = noise(v, 60, look.seed) - 0.5
        wide = np.abs(v[:, 0]) / (0.075 * k)
        ear = (_step(wide, 0.85, 0.95) * (up < 0.66))[:, None]
        scalp = v + (smoothed - v) * ear  # hair lies on the skull, not on the ears
        line = up - (0.55 + 0.68 * forward + 0.10 * np.clip(forward, 0, 1) * wide) - 0.03 * grain
        beside = np.where((forward > 0.0) & (up < 0.66), 0.6 - wide, 1.0)  # temples and ears stay free
        ears = (
            np.where((wide > 0.92) & (up < 0.62), -1.0, 1.0)
            if look.style in ("short", "crew", "bun", "pony")
            else 1.0
        )
        hairy = np.minimum(np.minimum(np.minimum(line, beside), up - 0.2), ears)
        if look.cap:
            hairy = np.minimum(hairy, 0.78 - up)
        if look.style != "bald":
            swell = look.hair_thickness * k * (0.85 + 0.9 * grain) * np.clip(0.25 + hairy * 5, 0, 1)
            self.add("hair", scalp + out * (swell + 0.004)[:, None], triangles(skull), ids, hairy)
        if look.cap:
            self.add("cap", scalp + out * 0.02 * k, triangles(skull), ids, up - 0.66 - 0.22 * forward)
            self.rigid(
                "cap",
                "head",
                ellipsoid(
                    self.crown + self.head_height * np.array([0, -0.6, 0.2]),
                    np.array([0.072, 0.075, 0.008]) * k,
                    2.3,
                    8,
                ),
            )
        if look.style in ("long", "bob"):
            hid, hquads = lay["hair"]
            ha, hv = self.attributes[hid], self.rest[hid]
            ragged = ha[:, 4] - look.hair_length - 0.12 * (noise(hv, 25, look.seed) - 0.5)
            behind = np.where(ha[:, 4] > 0.95, 1, (hv[:, 1] - self.crown[1] + 0.33 * self.head_height) * 6)
            clear = np.where((ha[:, 5] > 0.22) & (ha[:, 4] < 0.86), -1, 1)
            self.add("hair", hv, triangles(hquads), hid, np.minimum(np.minimum(ragged, behind), clear))
        if look.style == "bun":
            self.rigid(
                "hair",
                "head",
                ellipsoid(
                    self.crown + self.head_height * np.array([0, 0.5, 0.16]),
                    np.array([0.042, 0.04, 0.042]) * k,
                    2,
                    9,
                ),
            )
        if look.style == "pony":
            self.rigid(
                "hair",
                "head",
                ellipsoid(
                    self.crown + self.head_height * np.array([0, 0.53, -0.25]),
                    np.array([0.03, 0.032, 0.13]) * k,
                    2,
                    9,
                ),
            )

    def bags(self) -> None:
        look, k, at = self.look, self.k, self.m.bone
        if look.pack:
            ids = self.lay["tights"][0]
            back = (np.abs(self.rest[ids][:, 0]) < 0.1) & (np.abs(self.attributes[ids][:, 3] - 0.65) < 0.25)
            centre = np.array(
                [0, self.rest[ids][back, 1].max() + 0.07 * k, self.heads[at("spine02")][2] - 0.02]
            )
            self.rigid("bag", "spine02", ellipsoid(centre, np.array([0.145, 0.085, 0.21]) * k, 3.2))
        if look.shoulder_bag:
            wide = np.abs(
                self.rest[self.lay["tights"][0]][np.abs(self.attributes[self.lay["tights"][0]][:, 3]) < 0.15][
                    :, 0
                ]
            )
            centre = np.array(
                [np.quantile(wide, 0.9) + 0.05 * k, 0.02, self.heads[at("upperleg01.L")][2] + 0.02]
            )
            self.rigid("bag", "root", ellipsoid(centre, np.array([0.045, 0.125, 0.10]) * k, 4))


@lru_cache(maxsize=8)
def identity(number: int) -> Identity:
    """The person with this number (any integer >= 0): the same body and look whenever and wherever it is
    asked for.
    """
    rng = np.random.default_rng([11, number])
    m = model()
    phenotype = random_phenotype(rng)
    rest, heads = m.morph(phenotype, random_local(rng))
    body = _layout()["body"][0]
    floor, tall = rest[body, 2].min(), np.ptp(rest[body, 2])
    height = float(
        rng.uniform(1.32, 1.6)
        if phenotype["age"] < 0.62
        else rng.normal(1.64, 0.06)
        if phenotype["gender"] > 0.5
        else rng.normal(1.77, 0.07)
    )
    rest, heads = (rest - [0, 0, floor]) * (height / tall), (heads - [0, 0, floor]) * (height / tall)
    look = random_look(rng, phenotype)
    d = _Dresser(rest, heads, height, look)
    d.skin_and_hair()
    d.clothes()
    d.bags()
    face = _layout()["face"]
    return Identity(
        number,
        phenotype,
        rest,
        heads,
        height,
        look,
        d.parts,
        np.unique(face.indices),
        face,
        d.chin,
        d.head_height,
        face[[1, 2]] @ rest,
    )
