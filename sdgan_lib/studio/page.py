"""The studio as one HTML file that works wherever it is opened: no server, no installation, no request to anywhere.

:func:`build_page` puts together the files of ``static/`` (page, style and script), the view with its geometry, the
generator and MoveNet Lightning as ONNX graphs, onnxruntime-web to run them (WebAssembly, one thread), twelve people
that the generator has never seen, and the sequences that come with the repository. npm gets onnxruntime-web in the
version that ``static/package-lock.json`` names; nothing else needs Node.
"""

import gzip
import json
import re
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sdgan_lib.checkpoints import load_generator
from sdgan_lib.datasets import open_split
from sdgan_lib.errors import UserError
from sdgan_lib.estimation import LEAST_SCORE, MARGIN, VARIANTS, MoveNet, load_estimator
from sdgan_lib.estimation import SHIPPED as THUNDER
from sdgan_lib.files import write_whole
from sdgan_lib.images import decode, encode_png, opened, pixels
from sdgan_lib.motion import SEQUENCES, read_poses
from sdgan_lib.pose import visible
from sdgan_lib.studio import view_module, view_style
from sdgan_lib.studio.export import INPUTS, PlainGenerator, example_inputs, to_onnx

STATIC = Path(__file__).parent / "static"

LARGEST = 25_000_000
"""Bytes that the page may have at most."""

PEOPLE = 12
"""How many people the page offers to start with."""

CHUNK = 1 << 20
"""Characters of an embedded file from one sign of progress to the next while the page is loading."""

# What a page may do is said in the page: nothing from elsewhere, and nothing to elsewhere.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src blob: data:; worker-src blob:; connect-src 'none'; form-action 'none'; base-uri 'none'"
)


def build_page(checkpoint: Path, out: Path, data: Path) -> int:
    """Write the page; returns its size in bytes.

    Args:
        checkpoint: trained generator, see :func:`sdgan_lib.checkpoints.load_generator`.
        out: file to write; onnxruntime-web is put beside it, into ``node_modules``.
        data: folder of the data set whose test split has the people.

    Raises:
        UserError: npm or a package is missing, npm cannot get onnxruntime-web, or the page is too large.
    """
    runtime = onnxruntime_web(out.parent)
    generator = load_generator(checkpoint)
    size = (128, 64)
    graph = to_onnx(PlainGenerator(generator), example_inputs(*size), INPUTS, ("picture",))
    estimator = load_estimator(THUNDER.with_name("lightning.safetensors"))
    finder = to_onnx(
        _Finder(estimator.network),
        (torch.rand(1, 3, estimator.size, estimator.size),),
        ("square",),
        ("joints",),
    )
    settings = {
        "size": size,
        "background": generator.config.background,
        "square": VARIANTS["lightning"].size,
        "margin": MARGIN,
        "leastScore": LEAST_SCORE,
        "people": people(data, size),
        "sequences": {path.stem: listed(read_poses(path)) for path in sorted(SEQUENCES.glob("*.json"))},
    }
    embedded = {
        "wasm": [(runtime / "ort-wasm-simd-threaded.wasm").read_bytes()],
        "generator": _parts(graph),
        "finder": _parts(finder),
    }
    page = _assemble(runtime, settings, embedded)
    if len(page) > LARGEST:
        raise UserError(
            f"{out}: the page would have {len(page) / 1e6:.1f} MB, more than {LARGEST / 1e6:.0f}. Remedy: use a "
            "smaller generator."
        )
    write_whole(out, page)
    return len(page)


def onnxruntime_web(folder: Path) -> Path:
    """The folder with onnxruntime-web's files, which npm puts into ``folder``, in exactly the locked version.

    Raises:
        UserError: there is no npm, or it fails; with the remedy.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "npm is not installed, which gets onnxruntime-web for the page. Remedy: install Node.js 20 or newer, with "
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
            "npm could not get onnxruntime-web: "
            + " / ".join(told)
            + ". Remedy: check the connection to npm's registry "
            f"and run it in {folder} by hand: npm ci"
        )
    return folder / "node_modules/onnxruntime-web/dist"


class _Finder(nn.Module):
    """MoveNet from a square picture to joints, decoding included."""

    def __init__(self, network: MoveNet):
        super().__init__()
        self.network = network

    def forward(self, square: Tensor) -> Tensor:
        return MoveNet.decode(self.network(square))


def people(data: Path, size: tuple[int, int]) -> list[dict]:
    """People to start with, of the test split: name, picture (PNG, base64) and pose.

    Identities at even distances; of each the picture that shows most joints, the first of equals.
    """
    split = open_split(data, "test")
    if split.size != size:
        found, wanted = ("x".join(map(str, some)) for some in (split.size, size))
        raise UserError(f"{data}: its pictures are {found}, the page is made for {wanted}")
    of_identity: dict[str, list[int]] = {}
    for index, name in enumerate(split.names):
        of_identity.setdefault(name.split("_")[0], []).append(index)
    identities = sorted(of_identity)
    found = []
    for place in np.linspace(0, len(identities) - 1, min(PEOPLE, len(identities))).round().astype(int):
        index = max(of_identity[identities[place]], key=lambda i: int(visible(split.poses[i]).sum()))
        with opened(split.image_path(index)) as file:
            png = encode_png(pixels(decode(file)).permute(1, 2, 0).numpy())
        found.append(
            {
                "name": split.names[index].removesuffix(".jpg"),
                "picture": b64encode(png).decode(),
                "pose": listed(split.poses[index]),
            }
        )
    return found


def listed(poses: Tensor) -> list:
    """Poses ``[..., 18, 2]`` as the view has them: ``[x, y]`` to a thousandth of a pixel, ``None`` where missing."""
    if poses.ndim > 2:
        return [listed(pose) for pose in poses]
    return [[round(v, 3) for v in xy] if xy[0] == xy[0] else None for xy in poses.double().tolist()]


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


def _assemble(runtime: Path, settings: dict, embedded: dict[str, list[bytes]]) -> bytes:
    engine = (STATIC / "engine.js").read_text(encoding="utf-8")
    engine = f'(() => {{\n"use strict";\n{_runtime(runtime)}\n{engine}}})();'
    view = view_module().replace("export default { render };", "")
    page_script = re.sub(r"^import .*\n", "", (STATIC / "page.js").read_text(encoding="utf-8"), flags=re.M)
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
    version = json.loads((runtime.parent / "package.json").read_text(encoding="utf-8"))["version"]
    values = {
        "policy": POLICY,
        "style": view_style() + (STATIC / "page.css").read_text(encoding="utf-8"),
        "version": version,
        "licence": (STATIC / "onnxruntime-web.LICENSE").read_text(encoding="utf-8").strip(),
        "settings": json.dumps(settings, separators=(",", ":")).replace("<", "\\u003c"),
        "embedded": "\n".join(body),
        "engine": _script(engine),
        "script": _script(f"{view}\n{{\n{page_script}\n}}"),
    }
    page = (STATIC / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], page).encode()


def _runtime(folder: Path) -> str:
    """onnxruntime-web's module as a plain script that calls itself ``globalThis.ort``."""
    module = (folder / "ort.wasm.bundle.min.mjs").read_text(encoding="utf-8")
    module = re.sub(r"\n//# sourceMappingURL=.*", "", module).replace("import.meta.url", "location.href")
    script, count = re.subn(r"export\{([^}]*)\};?\s*$", _as_object, module)
    if count != 1 or "import.meta" in script:
        raise UserError(
            f"{folder}: onnxruntime-web's module is not written as it was. Remedy: use the locked version."
        )
    return script


def _as_object(match: re.Match[str]) -> str:
    """``export{a as b}`` as a property of the page: ``globalThis.ort={b:a}``."""
    pairs = (item.split(" as ") for item in match[1].split(","))
    return "globalThis.ort={" + ",".join(f"{names[-1]}:{names[0]}" for names in pairs) + "};"
