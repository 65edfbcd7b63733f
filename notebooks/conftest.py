"""How nbval runs the notebooks: as slow tests, and without comparing what differs from machine to machine."""

import pytest


def pytest_collectstart(collector):
    """Not compared: text on stderr (warnings, progress bars), and pictures, of which nbval itself leaves out the still."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr", "image/gif")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A notebook runs whole or not at all: each of its cells is marked ``slow``, before ``-m`` chooses."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow")
