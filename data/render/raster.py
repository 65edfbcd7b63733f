"""Geometry: a rasteriser, vertex normals, mesh smoothing, simple solids and noise, in NumPy."""

from functools import cache

import numpy as np
import scipy.sparse as sp
from scipy.ndimage import map_coordinates, zoom
from scipy.spatial.transform import Rotation


def spin(yaw: float) -> np.ndarray:
    """Rotation matrix ``[3, 3]`` about z by ``yaw`` in radians."""
    return Rotation.from_euler("Z", yaw).as_matrix()


def triangles(quads: np.ndarray) -> np.ndarray:
    """Quads ``[n, 4]`` as triangles ``[2n, 3]``."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def smoother(quads: np.ndarray, count: int) -> sp.csr_matrix:
    """The matrix ``[count, count]`` that replaces each vertex by the mean of its neighbours along the edges."""
    e = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    e = np.unique(np.concatenate([e, e[:, ::-1]]), axis=0)
    m = sp.csr_matrix((np.ones(len(e)), (e[:, 0], e[:, 1])), (count, count))
    return sp.diags(1 / np.maximum(np.asarray(m.sum(1)).ravel(), 1)) @ m


def smooth(matrix: sp.csr_matrix, values: np.ndarray, times: int) -> np.ndarray:
    """Values of vertices, ``times`` times half way to what ``matrix``, a :func:`smoother`, makes of them."""
    for _ in range(times):
        values = 0.5 * (values + matrix @ values)
    return values


def incidence(tris: np.ndarray, count: int) -> sp.csr_matrix:
    """The matrix ``[count, faces]`` that sums what belongs to faces at their vertices."""
    n = len(tris)
    return sp.csr_matrix((np.ones(3 * n, np.float32), (tris.T.ravel(), np.tile(np.arange(n), 3))), (count, n))


def normals(vertices: np.ndarray, tris: np.ndarray, inc: sp.csr_matrix | None = None) -> np.ndarray:
    """Unit vertex normals ``[n, 3]``, face areas as weights."""
    t = vertices[tris]
    face = np.cross(t[:, 1] - t[:, 0], t[:, 2] - t[:, 0])
    n = (incidence(tris, len(vertices)) if inc is None else inc) @ face
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-12)


def raster(points: np.ndarray, tris: np.ndarray, width: int, height: int, cull: bool = False):
    """Fragments of projected triangles.

    Args:
        points: x and y in pixels (pixel centres at .5) and depth, ``[V, 3]``.
        tris: triangles ``[m, 3]``.
        width: of the picture, pixels.
        height: of the picture, pixels.
        cull: drop faces seen from behind.

    Returns:
        triangle ``[n]``, barycentrics ``[n, 3]``, pixel index ``[n]`` and depth ``[n]`` of each fragment.
    """
    t = points[tris]
    x, y = t[:, :, 0], t[:, :, 1]
    x0 = np.clip(np.ceil(x.min(1) - 0.5), 0, width).astype(np.int32)
    x1 = np.clip(np.floor(x.max(1) - 0.5), -1, width - 1).astype(np.int32)
    y0 = np.clip(np.ceil(y.min(1) - 0.5), 0, height).astype(np.int32)
    y1 = np.clip(np.floor(y.max(1) - 0.5), -1, height - 1).astype(np.int32)
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    w, h = x1 - x0 + 1, y1 - y0 + 1
    ok = (w > 0) & (h > 0) & (np.abs(area) > 1e-9) & (t[:, :, 2].min(1) > 0.05)
    if cull:
        ok &= area < 0
    k = np.nonzero(ok)[0]
    count = w[k] * h[k]
    f = np.repeat(k, count)
    off = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    px, py = x0[f] + off % w[f], y0[f] + off // w[f]
    cx, cy = px + 0.5, py + 0.5
    tx, ty, inv = x[f], y[f], 1 / area[f]
    b0 = ((tx[:, 1] - cx) * (ty[:, 2] - cy) - (tx[:, 2] - cx) * (ty[:, 1] - cy)) * inv
    b1 = ((tx[:, 2] - cx) * (ty[:, 0] - cy) - (tx[:, 0] - cx) * (ty[:, 2] - cy)) * inv
    b2 = 1 - b0 - b1
    m = (b0 >= 0) & (b1 >= 0) & (b2 >= 0)
    f, b = f[m], np.stack([b0[m], b1[m], b2[m]], 1)
    return f, b, py[m] * width + px[m], (t[f, :, 2] * b).sum(1)


def nearest(pixel: np.ndarray, depth: np.ndarray, size: int) -> np.ndarray:
    """For each of ``size`` pixels the index of its nearest fragment, -1 where there is none."""
    order = np.argsort(-depth, kind="stable")
    out = np.full(size, -1)
    out[pixel[order]] = order
    return out


def ellipsoid(centre, radii, power: float = 2.0, n: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a (super-)ellipsoid: power 2 is round, 4 and more is box-like."""
    u, w = np.meshgrid(
        np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, 2 * n, endpoint=False), indexing="ij"
    )
    v = np.stack([np.sin(u) * np.cos(w), np.sin(u) * np.sin(w), np.cos(u)], -1).reshape(-1, 3)
    v = np.sign(v) * np.abs(v) ** (2 / power) * radii + centre
    i = np.arange(2 * n * n).reshape(n, 2 * n)
    a, b = i[:-1], i[1:]
    return v, triangles(np.stack([a, b, np.roll(b, -1, 1), np.roll(a, -1, 1)], -1).reshape(-1, 4))


def box(centre, half) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of an upright box; each side has its own vertices, so that edges stay sharp."""
    quads = []
    for axis in range(3):
        for sign in (-1, 1):
            q = np.zeros((4, 3))
            a, b = (axis + 1) % 3, (axis + 2) % 3
            q[:, axis], q[:, a], q[:, b] = sign, [-1, 1, 1, -1], [-1, -1, 1, 1]
            quads.append(q if sign > 0 else q[::-1])
    v = np.concatenate(quads) * half + centre
    return v, triangles(np.arange(24).reshape(6, 4))


UP = 6


@cache
def _volume() -> np.ndarray:
    cells = np.random.default_rng(1).random((32, 32, 32)).astype(np.float32)
    return np.ascontiguousarray(zoom(cells, UP, order=1, mode="grid-wrap", grid_mode=True))


@cache
def _slopes() -> list[np.ndarray]:
    v = np.random.default_rng(2).random((32, 32, 32)).astype(np.float32)
    return [(np.roll(v, -1, a) - np.roll(v, 1, a)) / 2 for a in range(3)]


def noise(points: np.ndarray, frequency: float, seed: float, octaves: int = 1) -> np.ndarray:
    """Value noise ``[n]`` in 0..1 at points ``[n, 3]``.

    Args:
        points: metres.
        frequency: cells per metre.
        seed: tells noises apart.
        octaves: how many noises are added, each with twice the frequency and half the weight of the one before.
    """
    volume, out, total = _volume(), 0.0, 0.0
    n = len(volume)
    flat = volume.reshape(-1)
    for k in range(octaves):
        shift = np.array([7.3, 3.1, 5.7]) * (seed + k)
        c = np.floor((points * (frequency * 2**k) + shift) * UP).astype(np.int32) % n
        out = out + flat[(c[:, 0] * n + c[:, 1]) * n + c[:, 2]] * 0.5**k
        total += 0.5**k
    return out / total


def noise_gradient(points: np.ndarray, frequency: float, seed: float) -> np.ndarray:
    """Gradient ``[n, 3]``, per cell, of a smooth noise at points ``[n, 3]``: bends normals into folds."""
    c = (points * frequency + np.array([7.3, 3.1, 5.7]) * seed).T
    return np.stack([map_coordinates(s, c, order=1, mode="grid-wrap") for s in _slopes()], 1)
