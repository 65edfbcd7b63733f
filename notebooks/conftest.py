"""What nbval does not compare: text on stderr (warnings, progress bars), which differs from machine to machine."""


def pytest_collectstart(collector):
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
