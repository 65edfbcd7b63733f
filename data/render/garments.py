"""Garments: an identity's body at rest and the shells, hair and bags around it, each with the area that it covers.

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

ATTRIBUTES = ("arm", "armt", "legt", "trunk", "up", "forward", "head")
"""What is known of every vertex at rest.

``arm`` and ``head`` are shares of the skin weights; ``armt`` (0 shoulder, 1 elbow, 2 wrist), ``legt`` (0 hip, 1 knee,
2 ankle) and ``trunk`` (0 hip joint, 1 neck) are places along limbs and trunk; ``up`` (0 chin, 1 top of the head) and
``forward`` (0 middle) are measured in heights of the head.
"""
USUAL_HEIGHT = 1.72
"""Metres: lengths of cloth and bags are given for a body of this height and grow with it."""


@dataclass
class Part:
    """A mesh at rest.

    ``rest`` are vertices ``[n, 3]`` in metres, ``tris`` triangles ``[m, 3]``, ``weights`` skin weights ``[n, bones]``;
    the part is where ``field`` ``[n]`` is positive; ``attributes`` ``[n, 7]`` are ``ATTRIBUTES``, ``base`` the places
    ``[n, 3]`` that patterns go by; ``inc`` is the incidence ``[n, m]``; with ``cull`` only the outside is drawn.
    """

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
    """One person: the body at rest (metres, feet on z = 0), its look, and the parts that are drawn.

    ``face_weights`` ``[5, V]`` are nose, right eye, left eye, right ear, left ear as means of vertices, and
    ``face_points`` the vertices that occur in them.
    """

    number: int
    phenotype: dict[str, float]
    rest: np.ndarray
    heads: np.ndarray
    height: float
    look: Look
    parts: list[Part]
    face_points: np.ndarray
    face_weights: sp.csr_matrix
    chin: float
    head_height: float
    eyes: np.ndarray

    @property
    def scale(self) -> float:
        """How much taller than usual."""
        return self.height / USUAL_HEIGHT


def _remap(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that faces use, and the faces with these vertices counted from 0."""
    ids, inverse = np.unique(quads, return_inverse=True)
    return ids, inverse.reshape(quads.shape)


@dataclass(frozen=True)
class _Layout:
    """What depends on the base mesh alone.

    Every mesh is its vertices' indices in the base mesh and its quads; ``smooth`` holds smoothing matrices by mesh;
    ``arm``, ``leg`` and ``head`` are shares ``[V]`` of the skin weights; ``face`` is as ``Identity.face_weights``.
    """

    body: tuple[np.ndarray, np.ndarray]
    tights: tuple[np.ndarray, np.ndarray]
    skirt: tuple[np.ndarray, np.ndarray]
    hair: tuple[np.ndarray, np.ndarray]
    eye: tuple[np.ndarray, np.ndarray]
    smooth: dict[str, sp.csr_matrix]
    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray
    face: sp.csr_matrix


@lru_cache(maxsize=1)
def _layout() -> _Layout:
    m: Model = model()
    eyes = np.concatenate([m.faces["helper-l-eye"], m.faces["helper-r-eye"]])
    meshes = {name: _remap(m.faces[f"helper-{name}"]) for name in ("tights", "skirt", "hair")}
    meshes |= {"body": _remap(m.faces["body"]), "eye": _remap(eyes)}

    def region(columns: list[int]) -> np.ndarray:
        return np.asarray(m.weights[:, columns].sum(1)).ravel()

    def called(*words: str) -> list[int]:
        return [i for i, b in enumerate(m.bones) if b.startswith(words)]

    head = region(list(range(m.bone("head"), len(m.bones))))  # the head and all bones of the face
    return _Layout(
        **meshes,
        smooth={k: smoother(meshes[k][1], len(meshes[k][0])) for k in ("body", "tights", "skirt")},
        arm=region(called("upperarm", "lowerarm", "wrist", "finger", "metacarpal")),
        leg=region(called("upperleg", "lowerleg", "foot", "toe")),
        head=head,
        face=_face_weights(m.template, meshes["body"][0], meshes["eye"][0], head),
    )


def _face_weights(template: np.ndarray, body: np.ndarray, eye: np.ndarray, head: np.ndarray) -> sp.csr_matrix:
    """Nose, right eye, left eye, right ear, left ear as means of vertices, ``[5, V]``.

    The nose is the foremost vertex on the middle line between mouth and eyes, an ear the outermost vertex there.
    """
    v, on_head = template[body], head[body] > 0.5
    eye_z = template[eye][:, 2].mean()
    middle = (np.abs(v[:, 0]) < 0.004) & (v[:, 2] < eye_z) & (v[:, 2] > eye_z - 0.07) & on_head
    nose = body[np.nonzero(middle)[0][v[middle][:, 1].argmin()]]
    level = on_head & (np.abs(v[:, 2] - (eye_z - 0.02)) < 0.04)
    right_ear, left_ear = (body[np.nonzero(level)[0][(s * v[level][:, 0]).argmax()]] for s in (-1, 1))
    left = template[eye][:, 0] > 0
    face = sp.lil_matrix((5, len(template)))
    for i, ids in enumerate(([nose], eye[~left], eye[left], [right_ear], [left_ear])):
        for j in ids:
            face[i, j] = 1 / len(ids)
    return face.tocsr()


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
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class _Cover:
    """Where garments cover vertices ``[n]``: signed fields in about half metres, positive inside."""

    top: np.ndarray
    bottom: np.ndarray
    skirt: np.ndarray
    shoe: np.ndarray
    jacket: np.ndarray | None


class _Dresser:
    """Builds the parts of one identity."""

    def __init__(self, rest: np.ndarray, heads: np.ndarray, height: float, look: Look):
        self.rest, self.heads, self.look, self.k = rest, heads, look, height / USUAL_HEIGHT
        self.m, self.lay = model(), _layout()
        at = self.m.bone
        body = self.lay.body[0]
        hip, knee, ankle = (heads[at(b)][2] for b in ("upperleg01.L", "lowerleg01.L", "foot.L"))
        neck = heads[at("neck01")]
        z = rest[:, 2]
        top = rest[body][self.lay.head[body] > 0.8]
        self.chin, self.head_height = top[:, 2].min(), np.ptp(top[:, 2])
        mid = (top[:, 1].max() + top[:, 1].min()) / 2
        self.crown = np.array([0, mid, self.chin + 0.55 * self.head_height])
        self.attributes = np.stack(
            [
                self.lay.arm,
                _along(rest, heads, ("upperarm01", "lowerarm01", "wrist")),
                np.where(z > knee, (hip - z) / (hip - knee), 1 + (knee - z) / (knee - ankle)),
                (z - hip) / (neck[2] - hip),
                (z - self.chin) / self.head_height,
                (mid - rest[:, 1]) / self.head_height,
                self.lay.head,
            ],
            1,
        ).astype(np.float32)
        self.neck_y = neck[1]
        self.parts: list[Part] = []

    def dress(self) -> list[Part]:
        """All parts; their order decides where two are equally near to the camera."""
        self.skin()
        self.hair()
        self.cap()
        self.hairdo()
        self.bottom()
        self.shoe()
        self.top()
        self.jacket()
        self.bags()
        return self.parts

    # ---- tools

    def attribute(self, name: str, ids: np.ndarray) -> np.ndarray:
        """One of ``ATTRIBUTES`` at vertices."""
        return self.attributes[ids, ATTRIBUTES.index(name)]

    def trunked(self, ids: np.ndarray, hem: float, sleeve: float, neck: np.ndarray) -> np.ndarray:
        """The field of what covers trunk and arms from hem to neck and as far as the sleeves go."""
        on_arm = _step(self.attribute("arm", ids), 0.08, 0.35)
        trunk, armt = self.attribute("trunk", ids), self.attribute("armt", ids)
        return on_arm * (sleeve - armt) * 0.55 + (1 - on_arm) * np.minimum(trunk - hem, neck - trunk)

    def cover(self, ids: np.ndarray) -> _Cover:
        """The fields of all garments at vertices."""
        look, v = self.look, self.rest[ids]
        arm, legt, trunk = (self.attribute(name, ids) for name in ("arm", "legt", "trunk"))
        front = v[:, 1] < self.neck_y
        dip = 0.05 + look.neckline * 1.2 * np.clip(1 - np.abs(v[:, 0]) / (0.075 * self.k), 0, 1)
        legs = np.minimum(0.3 - trunk, (look.bottom_length - legt) * 0.8)
        jacket = None
        if look.jacket is not None:
            jacket = self.trunked(ids, look.jacket_hem, look.jacket_sleeve, np.full(len(ids), 1.03))
            gap = look.jacket_open * self.k * (1 + 0.6 * np.clip(trunk, 0, 1))
            jacket = np.where(front & (arm < 0.5), np.minimum(jacket, (np.abs(v[:, 0]) - gap) * 4), jacket)
        return _Cover(
            top=self.trunked(ids, look.hem, look.sleeve, 1.0 - np.where(front, dip, 0)),
            bottom=np.where(arm > 0.5, -1, legs),
            skirt=np.minimum((look.skirt_length - legt) * 0.8, 0.3 - trunk),
            shoe=(legt - (1.6 if look.boots else 1.93)) * 0.8,
            jacket=jacket,
        )

    def add(
        self,
        name: str,
        rest: np.ndarray,
        tris: np.ndarray,
        ids: np.ndarray,
        field: np.ndarray,
        cull: bool = False,
    ) -> None:
        """Add a part that moves as the base mesh's vertices ``ids`` do; faces wholly outside its field are left out."""
        field = field.astype(np.float32)
        tris = tris[(field[tris] > 0).any(1)]
        if not len(tris):
            return
        used, tris = _remap(tris)
        ids = ids[used]
        self.parts.append(
            Part(
                name=name,
                rest=rest[used],
                tris=tris,
                weights=self.m.weights[ids],
                field=field[used],
                attributes=self.attributes[ids],
                base=self.rest[ids],
                inc=incidence(tris, len(used)),
                cull=cull,
            )
        )

    def rigid(self, name: str, bone: str, solid: tuple[np.ndarray, np.ndarray]) -> None:
        """Add a solid that moves as one bone does."""
        v, tris = solid
        n = len(v)
        bones = (np.arange(n), np.full(n, self.m.bone(bone)))
        self.parts.append(
            Part(
                name=name,
                rest=v,
                tris=tris,
                weights=sp.csr_matrix((np.ones(n, np.float32), bones), (n, len(self.m.bones))),
                field=np.ones(n, np.float32),
                attributes=np.zeros((n, len(ATTRIBUTES)), np.float32),
                base=v,
                inc=incidence(tris, n),
            )
        )

    def on_head(self, name: str, place: tuple, radii: tuple, power: float, n: int) -> None:
        """Add an ellipsoid to the head; ``place`` from the crown in heights of the head, ``radii`` in metres."""
        centre = self.crown + self.head_height * np.array(place)
        self.rigid(name, "head", ellipsoid(centre, np.array(radii) * self.k, power, n))

    def shell(self, times: int, offset: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """The tights mesh smoothed ``times`` times and pushed out until it clears the body by ``offset``; normals."""
        ids, quads = self.lay.tights
        matrix, tris, tight = self.lay.smooth["tights"], triangles(quads), self.rest[ids]
        v = smooth(matrix, tight, times)
        n = normals(v, tris)
        sunk = smooth(matrix, np.maximum(((tight - v) * n).sum(1), 0)[:, None], 2)[:, 0]
        return v + n * (sunk * 0.6 + offset)[:, None], n

    # ---- clothes

    @property
    def low_waist(self) -> bool:
        """Whether the top ends at the waist: it is tucked in, or a skirt is worn over it."""
        return self.look.tucked or self.look.skirt

    def bottom(self) -> None:
        """Trousers, or a skirt with a waistband."""
        ids, quads = self.lay.tights
        arm, legt, trunk = (self.attribute(name, ids) for name in ("arm", "legt", "trunk"))
        legs, tris, cover = self.trouser_legs(), triangles(quads), self.cover(ids)
        if self.look.skirt:
            self.skirt()
            waist = np.where(arm > 0.5, -1, np.minimum(0.3 - trunk, (0.1 - legt) * 0.8))
            self.add("skirt", legs, tris, ids, waist)
            return
        over = np.full(len(ids), 1.0) if self.low_waist else 0.03 - np.where(arm > 0.5, -1, cover.top)
        self.add(
            "bottom", legs, tris, ids, np.minimum(np.minimum(cover.bottom, over), self.under_jacket(cover))
        )

    def trouser_legs(self) -> np.ndarray:
        """The tights mesh with legs as wide as the look says."""
        ids, look = self.lay.tights[0], self.look
        tight, legt = self.rest[ids], self.attribute("legt", ids)
        legs, _ = self.shell(4, 0.006 * self.k)
        for s, sign in (("L", 1), ("R", -1)):
            hip, knee, ankle = (
                self.heads[self.m.bone(f"{b}.{s}")] for b in ("upperleg01", "lowerleg01", "foot")
            )
            sel = (np.sign(tight[:, 0]) == sign) & (legt > -0.1) & (self.lay.leg[ids] > 0.3)
            t = np.clip(legt[sel], 0, 2)[:, None]
            axis = np.where(t < 1, hip + (knee - hip) * t, knee + (ankle - knee) * (t - 1))
            d = (legs[sel] - axis) * [1, 1, 0]
            r = np.linalg.norm(d, axis=1, keepdims=True)
            cut = 0.097 - 0.014 * t + 0.06 * look.flare * np.clip(t - 1, 0, 1)
            wide = self.k * cut * (0.82 + 0.3 * look.looseness)
            legs[sel] += d * (np.maximum(r, wide * np.clip(t * 4, 0, 1)) / np.maximum(r, 1e-6) - 1)
        return smooth(self.lay.smooth["tights"], legs, 2)

    def skirt(self) -> None:
        ids, quads = self.lay.skirt
        n = normals(smooth(self.lay.smooth["skirt"], self.rest[ids], 2), triangles(quads))
        v = self.rest[ids] + n * 0.012 * self.k
        centre = self.heads[self.m.bone("root")][:2] * [0, 0.3]
        narrow = 0.12 * np.clip(-self.attribute("trunk", ids), 0, 1)[:, None]
        v[:, :2] = (v[:, :2] - centre) * (1 - narrow) + centre
        self.add("skirt", v, triangles(quads), ids, self.cover(ids).skirt)

    def shoe(self) -> None:
        ids, quads = self.lay.tights
        self.add("shoe", self.shell(2, 0.007 * self.k)[0], triangles(quads), ids, self.cover(ids).shoe)

    def under_jacket(self, cover: _Cover) -> np.ndarray | float:
        """A field that ends what is worn below where the jacket covers it."""
        return 0.02 - (-1.0 if cover.jacket is None else cover.jacket)

    def draped(
        self, folds: int, extra: float, waist: float, most: float, drop: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """A loose shell, and how far each vertex stands off below ``waist``, ``[n, 3]``."""
        ids = self.lay.tights[0]
        arm, trunk = self.attribute("arm", ids), self.attribute("trunk", ids)
        offset = np.where(arm > 0.5, 0.6, 1) * self.look.fit * self.k + 0.008 * self.k
        v, n = self.shell(folds, offset + extra)
        return v, np.where(arm < 0.5, np.clip(waist - trunk, 0, most) * drop * self.k, 0)[:, None] * n * [
            1,
            1,
            0,
        ]

    def top(self) -> None:
        ids, quads = self.lay.tights
        arm, trunk, cover = self.attribute("arm", ids), self.attribute("trunk", ids), self.cover(ids)
        v, drape = self.draped(self.look.folds, 0, 0.35, 0.6, 0.03)
        tucked = np.where(arm > 0.5, 1.0, trunk - 0.24) if self.low_waist else 1.0
        field = np.minimum(np.minimum(cover.top, tucked), self.under_jacket(cover))
        self.add("top", v if self.low_waist else v + drape, triangles(quads), ids, field)

    def jacket(self) -> None:
        if self.look.jacket is None:
            return
        ids, quads = self.lay.tights
        v, drape = self.draped(self.look.folds + 8, 0.014 * self.k, 0.45, 1, 0.045)
        self.add("jacket", v + drape, triangles(quads), ids, self.cover(ids).jacket)

    # ---- skin and hair

    def skin(self) -> None:
        """The body where no cloth covers it, and the eyes."""
        ids, quads = self.lay.body
        arm, legt, head = (self.attribute(name, ids) for name in ("arm", "legt", "head"))
        cover = self.cover(ids)
        below = np.minimum(cover.skirt, np.where(arm > 0.5, -1, 1)) if self.look.skirt else cover.bottom
        jacket = cover.top if cover.jacket is None else cover.jacket
        clothed = np.maximum.reduce([cover.top, cover.shoe, below, jacket])
        bare = np.where(head > 0.6, 1.0, 0.07 - clothed)
        if self.look.skirt:  # legs inside a skirt may show when they swing
            bare = np.where((legt > 0.15) & (arm < 0.5), np.maximum(bare, 0.035 - cover.shoe), bare)
        self.add("body", self.rest[ids], triangles(quads), ids, bare, cull=True)
        ids, quads = self.lay.eye
        self.add("eye", self.rest[ids], triangles(quads), ids, np.ones(len(ids)), cull=True)

    def scalp(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The body with the ears smoothed away, its directions from the crown, and the triangles of the skull."""
        ids, quads = self.lay.body
        v, up = self.rest[ids], self.attribute("up", ids)
        wide = np.abs(v[:, 0]) / (0.075 * self.k)
        ear = (_step(wide, 0.85, 0.95) * (up < 0.66))[:, None]
        scalp = v + (smooth(self.lay.smooth["body"], v, 12) - v) * ear
        out = v - self.crown
        out /= np.linalg.norm(out, axis=1, keepdims=True)
        skull = quads[(self.attribute("head", ids) > 0.5)[quads].all(1)]
        return scalp, out, triangles(skull)

    def hair(self) -> None:
        """Hair that lies on the skull."""
        look, ids = self.look, self.lay.body[0]
        if look.style == "bald":
            return
        v, up, forward = self.rest[ids], self.attribute("up", ids), self.attribute("forward", ids)
        grain = noise(v, 60, look.seed) - 0.5
        wide = np.abs(v[:, 0]) / (0.075 * self.k)
        line = up - (0.55 + 0.68 * forward + 0.10 * np.clip(forward, 0, 1) * wide) - 0.03 * grain
        temples = np.where((forward > 0.0) & (up < 0.66), 0.6 - wide, 1.0)
        hairy = np.minimum(np.minimum(line, temples), up - 0.2)
        if look.style in ("short", "crew", "bun", "pony"):  # the ears stay free
            hairy = np.minimum(hairy, np.where((wide > 0.92) & (up < 0.62), -1.0, 1.0))
        else:
            hairy = np.minimum(hairy, 1.0)
        if look.cap:
            hairy = np.minimum(hairy, 0.78 - up)
        swell = look.hair_thickness * self.k * (0.85 + 0.9 * grain) * np.clip(0.25 + hairy * 5, 0, 1)
        scalp, out, skull = self.scalp()
        self.add("hair", scalp + out * (swell + 0.004)[:, None], skull, ids, hairy)

    def cap(self) -> None:
        """A cap and its peak."""
        if not self.look.cap:
            return
        ids = self.lay.body[0]
        scalp, out, skull = self.scalp()
        field = self.attribute("up", ids) - 0.66 - 0.22 * self.attribute("forward", ids)
        self.add("cap", scalp + out * 0.02 * self.k, skull, ids, field)
        self.on_head("cap", (0, -0.6, 0.2), (0.072, 0.075, 0.008), 2.3, 8)

    def hairdo(self) -> None:
        """What of the hair does not lie on the skull."""
        if self.look.style in ("long", "bob"):
            ids, quads = self.lay.hair
            v, up = self.rest[ids], self.attribute("up", ids)
            ragged = up - self.look.hair_length - 0.12 * (noise(v, 25, self.look.seed) - 0.5)
            behind = np.where(up > 0.95, 1, (v[:, 1] - self.crown[1] + 0.33 * self.head_height) * 6)
            clear = np.where((self.attribute("forward", ids) > 0.22) & (up < 0.86), -1, 1)
            self.add("hair", v, triangles(quads), ids, np.minimum(np.minimum(ragged, behind), clear))
        elif self.look.style == "bun":
            self.on_head("hair", (0, 0.5, 0.16), (0.042, 0.04, 0.042), 2, 9)
        elif self.look.style == "pony":
            self.on_head("hair", (0, 0.53, -0.25), (0.03, 0.032, 0.13), 2, 9)

    def bags(self) -> None:
        """A backpack or a shoulder bag; a bag in the hand follows the pose, see ``shading``."""
        k, at, ids = self.k, self.m.bone, self.lay.tights[0]
        v, trunk = self.rest[ids], self.attribute("trunk", ids)
        if self.look.pack:
            back = v[(np.abs(v[:, 0]) < 0.1) & (np.abs(trunk - 0.65) < 0.25), 1].max()
            centre = np.array([0, back + 0.07 * k, self.heads[at("spine02")][2] - 0.02])
            self.rigid("bag", "spine02", ellipsoid(centre, np.array([0.145, 0.085, 0.21]) * k, 3.2))
        if self.look.shoulder_bag:
            wide = np.quantile(np.abs(v[np.abs(trunk) < 0.15, 0]), 0.9)
            centre = np.array([wide + 0.05 * k, 0.02, self.heads[at("upperleg01.L")][2] + 0.02])
            self.rigid("bag", "root", ellipsoid(centre, np.array([0.045, 0.125, 0.10]) * k, 4))


def _height(rng: np.random.Generator, phenotype: dict[str, float]) -> float:
    """A body height in metres for age and gender."""
    if phenotype["age"] < 0.62:
        return rng.uniform(1.32, 1.6)
    return rng.normal(1.64, 0.06) if phenotype["gender"] > 0.5 else rng.normal(1.77, 0.07)


@lru_cache(maxsize=8)
def identity(number: int) -> Identity:
    """The person with this number, any integer >= 0: the same body and look whenever and wherever it is asked for."""
    rng, m, lay = np.random.default_rng([11, number]), model(), _layout()
    phenotype = random_phenotype(rng)
    rest, heads = m.morph(phenotype, random_local(rng))
    body = rest[lay.body[0], 2]
    floor, tall = np.array([0, 0, body.min()]), np.ptp(body)
    height = _height(rng, phenotype)
    rest, heads = (rest - floor) * (height / tall), (heads - floor) * (height / tall)
    look = random_look(rng, phenotype)
    dresser = _Dresser(rest, heads, height, look)
    return Identity(
        number=number,
        phenotype=phenotype,
        rest=rest,
        heads=heads,
        height=height,
        look=look,
        parts=dresser.dress(),
        face_points=np.unique(lay.face.indices),
        face_weights=lay.face,
        chin=dresser.chin,
        head_height=dresser.head_height,
        eyes=lay.face[[1, 2]] @ rest,
    )
