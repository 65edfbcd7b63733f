"""The course's files: notebooks, solutions, each notebook's parameters, and the browser that it runs in."""

import os
import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks/solutions").glob("*.ipynb"))
PARAMETERS = yaml.safe_load((ROOT / "notebooks/parameters.yml").read_text(encoding="utf-8"))
"""Name of a notebook -> case (``fast``, ``other``) -> parameter -> value."""


def find_chromium() -> str | None:
    """The program that ``test_browser.py`` runs the notebooks in: SDGAN_CHROMIUM, or what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return os.environ.get("SDGAN_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
