"""The tour runs from top to bottom on a model, with and without a history, and its two files say the same."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupytext.compare import compare_notebooks
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SENTENCE = (
    "In the middle of the night a silent owl left the tower, "
    "and the old king saw it on the other side of the river."
)  # the first one in the notebook; the tiny model can read it back


@pytest.fixture
def execute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the notebook in a kernel of this very Python; a cell that fails raises."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # nobody's own settings
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))

    def run(folder: Path = NOTEBOOKS, root: Path | None = None) -> NotebookNode:
        if root is None:
            monkeypatch.delenv("LEXIVERT_ROOT", raising=False)
        else:
            monkeypatch.setenv("LEXIVERT_ROOT", str(root))
        notebook = nbformat.read(folder / "tour.ipynb", as_version=4)
        own = KernelSpecManager(kernel_dirs=[])  # no installed kernel: the one of sys.executable is left
        manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=own)
        resources = {"metadata": {"path": str(folder)}}
        return NotebookClient(notebook, km=manager, timeout=300, resources=resources).execute(cleanup_kc=True)

    return run


def outputs(notebook: NotebookNode, needle: str = "") -> list[NotebookNode]:
    """Outputs of the code cells whose source holds a string."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and needle in cell.source]
    assert cells, needle
    return [output for cell in cells for output in cell.outputs]


def printed(notebook: NotebookNode, needle: str = "") -> str:
    return "".join(output.text for output in outputs(notebook, needle) if output.output_type == "stream")


def tables(notebook: NotebookNode, needle: str) -> list[list[list[str]]]:
    """Tables shown by some cells, as rows of cells."""
    pages = [output.data.get("text/html", "") for output in outputs(notebook, needle) if "data" in output]
    return [
        [
            [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", page)
        ]
        for page in pages
    ]


def test_tour_runs_on_a_model_without_history(execute, tiny_project: Path):
    notebook = execute(root=tiny_project)

    kinds = {output.output_type for output in outputs(notebook)}
    assert "error" not in kinds
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")

    assert "shape (4, 256)" in printed(notebook, "model.encode(SENTENCES)")
    assert len(tables(notebook, "cosines = prefix")[0]) == 5
    assert tables(notebook, 'model.neighbors("river"')[0][1][0] == "river"
    assert len(tables(notebook, "model.neighbors(PHRASE")[0]) == 9

    rebuilt = printed(notebook, "trace=True").splitlines()
    assert rebuilt[0] == SENTENCE
    assert rebuilt[1].startswith("read back exactly, verified")
    assert tables(notebook, "step.buffer")[0][-1][-1] == SENTENCE
    figure = outputs(notebook, "go.Scatter")[0].data["application/vnd.plotly.v1+json"]
    assert figure["data"][0]["y"][0] == 1.0
    assert figure["data"][0]["y"][-1] == pytest.approx(0.0, abs=1e-2)

    noisy = printed(notebook, "def show_noisy")
    assert "cosine 0.50   confidence 0." in noisy
    assert ("was read as" in noisy) != ("no unit differs" in noisy)
    slider = outputs(notebook, "FloatSlider(")[0].data
    assert "application/vnd.jupyter.widget-view+json" in slider
    widgets = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    shown = [output for widget in widgets for output in widget["state"].get("outputs", [])]
    assert {output["output_type"] for output in shown} == {"stream"}  # an error behind the slider would hide here
    assert "cosine 0.80   confidence " in "".join(output["text"] for output in shown)

    comparison = printed(notebook, "compare(BEFORE, AFTER)")
    assert comparison.startswith("nothing to compare: ")
    assert comparison.count("\n") == 1


def test_tour_finds_its_project_and_compares_two_revisions(execute, tiny_project: Path, tmp_path: Path):
    root = tmp_path / "project"
    (root / "metrics").mkdir(parents=True)
    for name in ("data", "models"):
        (root / name).symlink_to(tiny_project / name)
    shutil.copytree(NOTEBOOKS, root / "notebooks")
    (root / ".gitignore").write_text("/data\n/models\n", encoding="utf-8")
    (root / "dvc.yaml").write_text("metrics:\n  - metrics/evaluate.json\n  - metrics/late.json\n", encoding="utf-8")
    metrics = root / "metrics" / "evaluate.json"
    figures = {"clean": {"exact": 0.5, "bleu": 80.0, "note": "a"}, "texts": 9, "rates": {"texts_per_second": 3.0}}
    metrics.write_text(json.dumps(figures), encoding="utf-8")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (
        ("git", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "init", "--quiet"),
        ("git", "add", "."),
        ("git", *author, "commit", "--quiet", "--message", "before"),
    ):
        subprocess.run(command, cwd=root, check=True)
    figures |= {"clean": {"exact": 1.0, "bleu": 90.0, "note": "b"}, "rates": {"texts_per_second": 9.0}}
    metrics.write_text(json.dumps(figures), encoding="utf-8")
    (root / "metrics" / "late.json").write_text('{"loss": 1.5}', encoding="utf-8")

    notebook = execute(root / "notebooks")

    assert "3 metrics are in both, and 2 of them differ; 1 are in one only" in printed(notebook, "compare(BEFORE")
    assert tables(notebook, "compare(BEFORE, AFTER)")[0] == [
        ["metric", "HEAD", "workspace", "difference"],
        ["evaluate.clean.exact", "0.5", "1", "+0.5"],
        ["evaluate.clean.bleu", "80", "90", "+10"],
    ]


def test_both_files_say_the_same():
    notebook = nbformat.read(NOTEBOOKS / "tour.ipynb", as_version=4)

    compare_notebooks(notebook, jupytext.read(NOTEBOOKS / "tour.py"), fmt="py:percent")
    assert notebook.metadata["jupytext"]["formats"] == "ipynb,py:percent"


def test_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOKS / "tour.ipynb", as_version=4)

    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not [cell for cell in code if cell.outputs or cell.execution_count is not None]
