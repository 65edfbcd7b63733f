"""Notebooks are in order, nbval has something to compare, and notebooks and library cannot drift apart."""

import ast
import base64
import importlib.util
import inspect
import io
import json
import re
import statistics
from pathlib import Path

import pytest
from course import NOTEBOOKS, ROOT, SOLUTIONS
from PIL import Image, ImageDraw

ALL = NOTEBOOKS + SOLUTIONS

TEACHES = {
    "01_pose_heatmaps": ("pose", "heatmaps"),
    "02_two_stream_encoder": ("encoders",),
    "03_affine_limb_warping": ("warping",),
    "04_stacked_generator": ("generators", "composition", "inputs"),
    "05_adversarial_training": ("discriminators", "losses", "presets", "training"),
    "06_comparing_systems": ("metrics", "evaluation", "perceptual", "pg2"),
    "07_pose_studio": ("studio.widget", "motion", "estimation"),
}


def cells_of(path: Path, kind: str) -> list[dict]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"text": "".join(cell["source"])} for cell in cells if cell["cell_type"] == kind]


def outputs_of(path: Path) -> list[dict]:
    return [output for cell in cells_of(path, "code") for output in cell["outputs"]]


def public(module) -> dict:
    """Public functions and classes that a module of the library defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    }


def test_the_course_is_there():
    assert [path.stem for path in NOTEBOOKS] == ["00_start_here", *TEACHES]
    assert [path.stem for path in SOLUTIONS] == [f"{path.name[:2]}_solutions" for path in NOTEBOOKS]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebook_was_executed_in_order_and_is_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = cells_of(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }, "run: make notebooks"
    assert all(set(cell["metadata"]) <= {"tags"} for cell in notebook["cells"]), "run: make notebooks"
    assert not [output for output in outputs_of(path) if output["output_type"] == "error"]
    assert path.stat().st_size < 2.5e6
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_outputs_hold_nothing_of_one_machine(path):
    for output in outputs_of(path):
        text = json.dumps({key: value for key, value in output.get("data", {}).items() if "image" not in key})
        text += str(output.get("text", ""))
        assert not re.search(r"/(home|root|tmp|work|Users|opt)/|0x[0-9a-f]{6}", text), text
        assert "widget-view" not in text, "run: make notebooks"
        assert output.get("name") != "stderr", f"{path}: {text}"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_cells_are_short(path):
    lengths = [len(cell["source"]) for cell in cells_of(path, "code")]
    assert max(lengths) <= 20, "a cell has more than 20 lines"
    assert statistics.median(lengths) <= 6
    assert sum("image/png" in output.get("data", {}) for output in outputs_of(path)) >= (path in NOTEBOOKS)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_comparisons_are_asserted(path):
    """A cell that ends in a bare comparison shows False and goes on."""
    for cell in cells_of(path, "code"):
        for node in ast.walk(ast.parse(cell["text"])):
            assert not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare | ast.BoolOp)), (
                cell["text"]
            )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_few_outputs_are_left_uncompared(path):
    tagged = [c for c in cells_of(path, "code") if "nbval-ignore-output" in c["metadata"].get("tags", [])]
    assert len(tagged) <= 3, [cell["text"] for cell in tagged]
    for cell in cells_of(path, "code"):
        tags = set(cell["metadata"].get("tags", []))
        assert tags <= {"parameters", "exercise", "solution", "nbval-ignore-output"}, tags


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_proved_says_so_and_most_cells_show_something(path):
    code = [
        c
        for c in cells_of(path, "code")
        if not {"exercise", "parameters"} & set(c["metadata"].get("tags", []))
    ]
    silent = [cell["text"] for cell in code if not cell["outputs"]]
    proofs = [text for text in silent if re.search(r"^\s*assert |assert_close", text, re.MULTILINE)]
    assert not proofs, "a proof says in one line what was found:\n\n" + "\n\n".join(proofs)
    assert len(silent) <= 0.35 * len(code), f"{len(silent)} of {len(code)} cells show nothing"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_cell_that_moves_a_slider_puts_it_back(path):
    for cell in cells_of(path, "code"):
        if re.search(r"\.value = ", cell["text"]):
            assert ".kept()" in cell["text"], cell["text"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_words_are_plain(path):
    """For readers whose first language is not English."""
    for cell in cells_of(path, "markdown") + cells_of(path, "code"):
        hard = re.search(
            r"\b(shall|shalt|mend\w*|whereby|thereby|lying about|under your hand|hence\w*)\b", cell["text"]
        )
        assert not hard, f"{hard[0]!r} in:\n{cell['text']}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_its_parts(path):
    text = "\n".join(cell["text"] for cell in cells_of(path, "markdown"))
    for part in (
        "**Time:**",
        "will be able to",
        "What can go wrong",
        "## Exercises",
        "## Summary",
        "## Further reading",
        "../sdgan_lib/",
    ):
        assert part in text, f"{path} has no {part!r}"
    following = NOTEBOOKS[NOTEBOOKS.index(path) + 1 :]
    if following:
        assert following[0].name in text, "no link to the next notebook"


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for cell in cells_of(path, "markdown"):
        for target in re.findall(r"\]\(([^)#\s]+)\)", cell["text"]):
            assert target.startswith("https://") or (path.parent / target).exists(), f"{path}: {target}"


@pytest.mark.parametrize(("picture", "kind"), [("lines", "image/png"), ("people", "image/jpeg")])
def test_photographs_are_kept_as_jpeg_and_lines_as_png(picture, kind):
    spec = importlib.util.spec_from_file_location("execute", ROOT / "notebooks/execute.py")
    execute = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(execute)
    if picture == "people":
        people = sorted((ROOT / "data/people").rglob("*.jpg"))[:20]
        drawn = Image.new("RGB", (5 * 128, 4 * 256))
        for i, path in enumerate(people):
            drawn.paste(
                Image.open(path).resize((128, 256), Image.Resampling.BICUBIC), (i % 5 * 128, i // 5 * 256)
            )
    else:
        drawn = Image.new("RGB", (400, 300), "white")
        ImageDraw.Draw(drawn).line([(x, x * x // 600) for x in range(0, 400, 5)], "blue")
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    found, data = execute.lighter(base64.b64encode(buffer.getvalue()).decode())
    assert found == kind
    with Image.open(io.BytesIO(base64.b64decode(data))) as kept:
        assert kept.size == drawn.size
        if kind == "image/png":
            assert kept.convert("RGB").tobytes() == drawn.tobytes()


def test_the_readme_says_how_long_each_notebook_takes_and_how_many_exercises_it_has():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        text = "\n".join(cell["text"] for cell in cells_of(path, "markdown"))
        minutes = re.search(r"\*\*Time:\*\* about (\d+) minutes", text)[1]
        row = next(line for line in readme.splitlines() if line.startswith("|") and path.name in line)
        assert row.split(" | ")[2:4] == [minutes, str(text.count("### Exercise "))], row


# Notebook and library


def names_used(path: Path) -> set[str]:
    """Names that code cells use and that the text puts in backticks."""
    names = set()
    for cell in cells_of(path, "code"):
        for node in ast.walk(ast.parse(cell["text"])):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
    for cell in cells_of(path, "markdown"):
        for quoted in re.findall(r"`([^`]+)`", cell["text"]):
            names.update(re.findall(r"\w+", quoted))
    return names


@pytest.mark.parametrize(
    ("notebook", "module"), [(notebook, module) for notebook, all_ in TEACHES.items() for module in all_]
)
def test_a_notebook_uses_or_explains_all_of_its_module(notebook, module):
    names = public(importlib.import_module(f"sdgan_lib.{module}"))
    left_out = set(names) - names_used(Path(f"notebooks/{notebook}.ipynb"))
    assert not left_out, f"{notebook} says nothing of {module}.{', '.join(sorted(left_out))}"


def bare(node: ast.AST) -> str:
    """The body of a function or class without its docstring, as text to compare."""
    body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return "\n".join(ast.unparse(line) for line in body)


def library() -> dict[str, str]:
    """Body of every public function and class of the library, by name."""
    found = {}
    for path in Path("sdgan_lib").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                found[node.name] = bare(node)
    return found


def copies(path: Path) -> list[str]:
    """Functions and classes of a notebook that have a name of the library and another body."""
    bodies, found = library(), []
    for cell in cells_of(path, "code"):
        for node in ast.walk(ast.parse(cell["text"])):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and bodies.get(node.name, bare(node)) != bare(
                node
            ):
                found.append(node.name)
    return found


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_no_notebook_defines_the_library_anew(path):
    assert not copies(path), "import it from sdgan_lib, or give it a name of its own"


def test_another_body_under_a_name_of_the_library_is_found(tmp_path):
    source = Path("sdgan_lib/heatmaps.py").read_text(encoding="utf-8")
    function = source[source.index("def sigma_for") : source.index("def heatmaps")].strip()
    path = tmp_path / "copy.ipynb"

    def write(text: str) -> None:
        cell = {"cell_type": "code", "source": text.splitlines(keepends=True), "metadata": {}, "outputs": []}
        path.write_text(json.dumps({"cells": [cell]}))

    write(function)
    assert copies(path) == []
    write(function.replace("SIGMA *", "2 * SIGMA *"))
    assert copies(path) == ["sigma_for"]
