"""How nbval runs the notebooks: as slow tests, and without comparing what differs from machine to machine."""

import pytest


def pytest_collectstart(collector):
    """Text on stderr (warnings, progress bars) is not compared."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A notebook runs whole or not at all: each of its cells is marked ``slow``, before ``-m`` chooses."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("slow")
