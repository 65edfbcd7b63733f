"""The studio as one HTML file that works wherever it is opened: no server, no installation, no request to anywhere.

:func:`build_page` puts together the files of ``static/`` (page, style and script), the view with its geometry, the
generator and MoveNet Lightning as ONNX graphs, onnxruntime-web to run them (WebAssembly, one thread), gifenc to save a
motion, twelve people that the generator has never seen, and the sequences that come with the repository. npm gets the
two packages in the versions that ``static/package-lock.json`` names; nothing else needs Node.
"""

import gzip
import json
import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import torch
from torch import Tensor, nn

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import (
    BODY_SIZE,
    CERTAIN,
    GROUND,
    HEAD_SIZE,
    HIPS,
    LEAST_EXTENT,
    LEAST_SCORE,
    LIGHTNING,
    MARGIN,
    MOST_LOOKS,
    NECK,
    TRAINED,
    VARIANTS,
    MoveNet,
    load_estimator,
)
from sdgan_lib.files import write_whole
from sdgan_lib.images import encode_png, to_uint8
from sdgan_lib.protocol import points_of
from sdgan_lib.studio import plain_module, view_module, view_style
from sdgan_lib.studio.export import INPUTS, OUTPUTS, PlainGenerator, example_inputs, picture_alone, to_onnx
from sdgan_lib.studio.offers import REPLIES, Offer, offered_motions, offered_people, offered_poses

STATIC = Path(__file__).parent / "static"

LARGEST = 25_000_000
"""Bytes that the page may have at most."""

RUNTIME = "onnxruntime-web/dist"

CHUNK = 1 << 20
"""Characters of an embedded file from one sign of progress to the next while the page is loading."""

PHOTOS = {
    "margin": MARGIN,
    "leastScore": LEAST_SCORE,
    "certain": CERTAIN,
    "leastExtent": LEAST_EXTENT,
    "mostLooks": MOST_LOOKS,
    "trained": {"body": BODY_SIZE, "head": HEAD_SIZE, "ground": GROUND, "hips": HIPS, "neck": NECK},
}
"""What finds and crops people in photos there, as :mod:`sdgan_lib.estimation` has it."""

# What a page may do is said in the page: nothing from elsewhere, and nothing to elsewhere.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src blob: data:; worker-src blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)


def build_page(checkpoint: Path, out: Path, data: Path) -> int:
    """Write the page; returns its size in bytes.

    Args:
        checkpoint: trained generator, see :func:`sdgan_lib.checkpoints.load_generator`.
        out: file to write; npm's packages are put beside it, into ``node_modules``.
        data: folder of the data set whose test split has the people.

    Raises:
        UserError: npm or a package is missing, npm cannot get its packages, or the page is too large.
    """
    modules = node_modules(out.parent)
    generator = load_generator(checkpoint)
    graph = to_onnx(PlainGenerator(generator), example_inputs(*TRAINED), INPUTS, OUTPUTS)
    whole, weights = _parts(graph)
    estimator = load_estimator(LIGHTNING)
    finder = to_onnx(
        _Finder(estimator.network),
        (torch.rand(1, 3, estimator.size, estimator.size),),
        ("square",),
        ("joints",),
    )
    people = offered_people(data)
    settings = {
        "size": TRAINED,
        "background": generator.config.background,
        "square": VARIANTS["lightning"].size,
        **PHOTOS,
        "replies": REPLIES,
        "people": _people(people),
        "poses": [[name, points_of(pose)] for name, pose in offered_poses(people).items()],
        "motions": [[name, [*map(points_of, poses)]] for name, poses in offered_motions().items()],
    }
    embedded = {
        "wasm": [(modules / RUNTIME / "ort-wasm-simd-threaded.wasm").read_bytes()],
        "generator": [picture_alone(graph).SerializeToString(), weights],
        "inside": [whole],  # with the generator's weights, started when somebody looks inside
        "finder": _parts(finder),
    }
    page = _assemble(modules, settings, embedded)
    if len(page) > LARGEST:
        raise UserError(
            f"{out}: the page would have {len(page) / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}. Remedy: use a "
            "smaller generator."
        )
    write_whole(out, page)
    return len(page)


def node_modules(folder: Path) -> Path:
    """``folder/node_modules``, where npm puts onnxruntime-web and gifenc, in exactly the locked versions.

    Raises:
        UserError: there is no npm, or it fails; with the remedy.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "npm is not installed, which gets the page's two packages. Remedy: install Node.js 20 or newer, with "
            "npm (Debian and Ubuntu: apt install npm). Nothing else in this repository needs it."
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(STATIC / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise UserError(
            "npm could not get the page's two packages: "
            + " / ".join(told)
            + ". Remedy: check the connection to npm's registry "
            f"and run it in {folder} by hand: npm ci"
        )
    return folder / "node_modules"


class _Finder(nn.Module):
    """MoveNet from a square picture to joints, decoding included."""

    def __init__(self, network: MoveNet):
        super().__init__()
        self.network = network

    def forward(self, square: Tensor) -> Tensor:
        return MoveNet.decode(self.network(square))


def _people(people: list[Offer]) -> list[dict]:
    """People as the page's settings hold them: name, picture (PNG, base64) and pose."""
    return [
        {
            "name": name,
            "picture": b64encode(encode_png(to_uint8(picture))).decode(),
            "pose": points_of(pose),
        }
        for name, picture, pose in people
    ]


# The file


def _parts(model) -> list[bytes]:
    """A graph whose large weights are put apart, then their bytes: all first bytes, then all second ones.

    The higher byte of a half-precision number (sign, exponent, two bits) is far from random; side by side such bytes
    shrink by a quarter more than in their places.
    """
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data

    weights = bytearray()
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT16:
            continue
        set_external_data(weight, "weights", len(weights), len(weight.raw_data))
        weights += weight.raw_data
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
    return [model.SerializeToString(), bytes(weights[0::2]) + bytes(weights[1::2])]


def _script(text: str) -> str:
    """JavaScript that may stand between script tags."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _embedded(name: str, content: bytes) -> list[str]:
    """Script elements with a file's gzip as base64; each is followed by a sign of progress."""
    text = b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return [
        f'<script type="text/plain" data-part="{name}">{text[start : start + CHUNK]}</script>'
        for start in range(0, len(text), CHUNK)
    ]


def _assemble(modules: Path, settings: dict, embedded: dict[str, list[bytes]]) -> bytes:
    runtime = _as_script(modules / RUNTIME / "ort.wasm.bundle.min.mjs", "ort")
    engine = (STATIC / "engine.js").read_text(encoding="utf-8")
    engine = f'(() => {{\n"use strict";\n{runtime}\n{engine}}})();'
    view = view_module().replace("export default { render };", "") + plain_module("model.mjs")
    page_script = plain_module("static/page.js")
    elements = [
        element
        for name, parts in embedded.items()
        for number, part in enumerate(parts)
        for element in _embedded(f"{name}-{number}", part)
    ]
    total = sum(map(len, elements))
    body, done = [], 0
    for element in elements:
        done += len(element)
        body += [element, f"<script>loaded({done / total:.3f})</script>"]
    version = json.loads((modules / "onnxruntime-web/package.json").read_text(encoding="utf-8"))["version"]
    gifenc = _as_script(modules / "gifenc/dist/gifenc.esm.js", "gifenc")
    values = {
        "policy": POLICY,
        "style": view_style() + (STATIC / "page.css").read_text(encoding="utf-8"),
        "version": version,
        "licences": "\n\n".join(
            f"{path.stem}\n\n{path.read_text(encoding='utf-8').strip()}"
            for path in sorted(STATIC.glob("*.LICENSE"))
        ),
        "settings": json.dumps(settings, separators=(",", ":")).replace("<", "\\u003c"),
        "embedded": "\n".join(body),
        "engine": _script(engine),
        "gifenc": _script(f"(() => {{\n{gifenc}\n}})();"),
        "script": _script(f"{view}\n{{\n{page_script}\n}}"),
    }
    page = (STATIC / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], page).encode()


def _as_script(path: Path, name: str) -> str:
    """A package's module as a plain script: what it exports is ``globalThis.NAME``.

    ``export{a as b}`` becomes ``globalThis.NAME={b:a}``.
    """
    module = re.sub(r"\n//# sourceMappingURL=.*", "", path.read_text(encoding="utf-8"))
    module = module.replace("import.meta.url", "location.href")
    exported = re.search(r"export\{([^}]*)\};?\s*$", module)
    if exported is None or "import.meta" in module:
        raise UserError(f"{path}: the module is not written as it was. Remedy: use the locked version.")
    names = (item.split(" as ") for item in exported[1].split(","))
    values = ",".join(f"{public}:{own}" for own, public in names)
    return module[: exported.start()] + f"globalThis.{name}={{{values}}};"
