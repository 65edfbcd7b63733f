"""The course's files: notebooks, solutions, and the parameters that each notebook is run with."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
PARAMETERS = yaml.safe_load((ROOT / "notebooks/parameters.yml").read_text(encoding="utf-8"))
"""Name of a notebook -> case (``fast``, ``other``) -> parameter -> value."""
