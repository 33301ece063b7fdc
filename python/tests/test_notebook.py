"""The notebooks of examples/notebook, cell by cell. make test-notebook runs them with the wheel."""

import os
import pathlib
import shutil

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat")
if not os.environ.get("FEDMQ_PROGRAM"):
    pytest.skip("FEDMQ_PROGRAM is not set", allow_module_level=True)

NOTEBOOKS = sorted((pathlib.Path(__file__).resolve().parents[2] / "examples/notebook").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept in the repository"
    shutil.copy(path, tmp_path)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    assert "the same classes: True" in said and "the same probabilities: True" in said, said


def test_there_are_some():
    assert NOTEBOOKS
