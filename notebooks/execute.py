"""Run notebooks and write them back, outputs and all, with nothing of the machine in them.

python notebooks/execute.py                     every notebook and solution, in place
python notebooks/execute.py notebooks/01_*.ipynb   some of them
"""

import argparse
import base64
import io
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

HERE = Path(__file__).parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
PHOTOGRAPH = 0.5
"""A figure is kept as JPEG where that takes less than this share of the PNG: pictures of people, never lines."""

WIDGET = "application/vnd.jupyter.widget-view+json"


def all_notebooks() -> list[Path]:
    """The course's notebooks and solutions, in order."""
    return [p for p in sorted(HERE.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]


def lighter(png: str) -> tuple[str, str]:
    """MIME type and data (base64) of a figure: JPEG for photographs, PNG for lines and letters."""

    def saved(format: str, **options) -> str:
        buffer = io.BytesIO()
        image.save(buffer, format, optimize=True, **options)
        return base64.b64encode(buffer.getvalue()).decode()

    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        image = image.convert("RGB")
    lines = min(png, saved("PNG"), key=len)  # a picture with a palette is smaller as it was
    photograph = saved("JPEG", quality=88, subsampling=0)
    few = len(photograph) < PHOTOGRAPH * len(lines)
    return ("image/jpeg", photograph) if few else ("image/png", lines)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Take out, in place, what differs from machine to machine: kernel, timings, paths, widget state and ids.

    A widget's output keeps its static picture, so that the notebook reads well where no kernel runs.
    """
    notebook.metadata = NotebookNode(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = output.text.replace(f"{sys.prefix}/bin/", "").replace(
                    str(HERE.parent.resolve()), "."
                )
            if "data" in output:
                output.data.pop(WIDGET, None)
                if "image/png" in output.data:
                    kind, data = lighter(output.data.pop("image/png"))
                    output.data[kind] = data
                output.metadata = NotebookNode()
    return notebook


def execute(path: Path, timeout: int = 1200) -> NotebookNode:
    """Run every cell of a notebook in a fresh kernel, in the notebook's own folder; errors are raised."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
    )
    return client.execute()


def main() -> None:
    """Run what the command line names, all by default, and say how long each took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, default=all_notebooks())
    for path in parser.parse_args().notebooks:
        start = time.perf_counter()
        nbformat.write(normalise(execute(path)), path)
        size = path.stat().st_size / 1e6
        print(f"{path}: {time.perf_counter() - start:.0f} s, {size:.2f} MB", flush=True)


if __name__ == "__main__":
    main()
