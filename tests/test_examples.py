"""The notebooks in examples/ run from the first cell to the last."""

import json
import sys

import pytest

from pipeline.core import formats
from tests.project import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def code_cells(path):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_holds_no_outputs(path):
    assert code_cells(path)
    for cell in code_cells(path):
        assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.slow
def test_the_first_steps_run_after_the_demo(project, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])  # the notebook adds its folder
    names = {}
    for cell in code_cells(ROOT / "examples/first_steps.ipynb"):
        exec("".join(cell["source"]), names)
    mask = formats.read_label(project.root / "data/first_steps/first.png")
    assert (mask == names["refined"].label).all()
    coco = json.loads((project.root / "data/first_steps/first.json").read_text())
    assert sum(a["area"] for a in coco["annotations"]) == (mask > 0).sum()
