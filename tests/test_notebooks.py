"""What nbval cannot see by itself: it compares nothing for a cell that was never executed."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted(Path("notebooks").rglob("*.ipynb"))


def test_there_are_notebooks():
    assert Path("notebooks/00_start_here.ipynb") in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=str)
def test_notebook_was_executed_in_order_and_is_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}, (
        "no widget state, nothing of one machine"
    )
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert path.stat().st_size < 1.5e6
    longest = max(code, key=lambda cell: len(cell["source"]))
    assert len(longest["source"]) <= 20, "".join(longest["source"])
    outputs = [output for cell in code for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]
