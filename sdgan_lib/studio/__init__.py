"""The pose studio: drag the joints of a skeleton and see the person move.

``geometry.mjs`` computes (poses, warps, masks; no page, no Python). ``skeleton.js`` with ``surroundings.js`` (people,
photos, motions, files) and ``skeleton.css`` is the view: an ES module that talks to a model with ``get``, ``set``,
``on``, ``off`` and ``save_changes`` only. So the same files serve a notebook
(:class:`sdgan_lib.studio.widget.PoseStudio`) and a page without Python, whose model begins with ``model.mjs``.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


MODULES = ("geometry.mjs", "surroundings.js", "skeleton.js")
"""The view's modules, each after those that it imports from."""


def plain_module(name: str) -> str:
    """A module of this folder without imports and exports, to stand after those that it needs."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return re.sub(r"^export (?!default)", "", _IMPORT.sub("", text), flags=re.M)


def view_module() -> str:
    """The view as one ES module without imports."""
    return "".join(map(plain_module, MODULES))


_IMPORT = re.compile(r'^import \{[^}]*\} from "[^"]+";\n', flags=re.M)


def view_style() -> str:
    """The view's style sheet; every rule begins with ``.pose-studio``."""
    return (FOLDER / "skeleton.css").read_text(encoding="utf-8")
