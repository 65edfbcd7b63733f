"""The pose studio: drag the joints of a skeleton and see the person move.

``geometry.mjs`` computes (poses, warps, masks; no page, no Python), ``skeleton.js`` with ``skeleton.css`` is the view:
an ES module that talks to a model with ``get``, ``set``, ``on`` and ``save_changes`` only. So the same files serve a
notebook (:class:`sdgan_lib.studio.widget.PoseStudio`) and a page without Python.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def view_module() -> str:
    """The view as one ES module without imports: what ``geometry.mjs`` exports stands before ``skeleton.js``."""
    geometry = (FOLDER / "geometry.mjs").read_text(encoding="utf-8")
    view = (FOLDER / "skeleton.js").read_text(encoding="utf-8")
    return re.sub(r"^export ", "", geometry, flags=re.M) + _IMPORT.sub("", view)


_IMPORT = re.compile(r'^import \{[^}]*\} from "\./geometry\.mjs";\n', flags=re.M)


def view_style() -> str:
    """The view's style sheet; every rule begins with ``.pose-studio``."""
    return (FOLDER / "skeleton.css").read_text(encoding="utf-8")
