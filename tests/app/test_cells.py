"""The copy of the project in which a cell runs."""

import copy

import numpy as np
import pytest

from app import cells, tables
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.scores.seed import seed_scores
from tests.conftest import ROOT


def test_relative_paths_mean_the_same_in_the_cell(tmp_path):
    home = tmp_path / "project"
    (tmp_path / "shared/photos").mkdir(parents=True)
    (tmp_path / "shared/photos/a.jpg").write_text("a")
    (home / "data/raw/mine").mkdir(parents=True)
    (home / "data/raw/mine/b.jpg").write_text("b")
    work = tmp_path / "cell/1/2"
    (work / "data").mkdir(parents=True)
    for path in ("../shared/photos", "../../elsewhere", "data/raw/mine", str(tmp_path)):
        cells._link(cells.Path(path), home, work)
    assert (work / "../shared/photos/a.jpg").read_text() == "a"
    assert (work / "data/raw/mine/b.jpg").read_text() == "b"
    assert (work / "data/raw/mine").is_symlink() and not (work / "data/raw").is_symlink()


def test_a_cell_makes_its_own_generated_set(tmp_path, params):
    """The copy has no link to the generated set of the project."""
    home, work = tmp_path / "project", tmp_path / "cell"
    for name in (*cells.CODE, ".dvcignore"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("") if "." in name else (home / name).mkdir()
    for name in ("shapes/tags.csv", "shapes_boxed/boxes.json", "u2netp.onnx"):
        (home / "data/raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "data/raw" / name).write_text("the project's")
    generated = (Layout().shapes, Layout().shapes_boxed)
    cells.prepare(work, home, params, generated=generated)
    assert (work / "data/raw/u2netp.onnx").is_symlink()
    assert sorted(p.name for p in (work / "data/raw").iterdir()) == ["u2netp.onnx"]


def test_a_cell_holds_the_code_and_its_own_params(tmp_path, params):
    values = cells.row_params(
        params, {"over": {"report": {"best": 1}}, "rows": {"r": {"fuse": {"rule": "g0"}}}}, "r", 7
    )
    cells.prepare(tmp_path, ROOT, values, generated=())
    for name in ("dvc.yaml", "optional/dvc.yaml", "stages/fuse.py", "pipeline/guide/rules.py"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
    written = read_yaml(tmp_path / "params.yaml")
    assert written["fuse"]["rule"] == "g0" and written["random_seed"] == 7
    assert written["report"]["best"] == 1 and written["seed"] == params["seed"]
    assert str((ROOT / ".dvc/cache").resolve()) in (tmp_path / ".dvc/config").read_text()


def test_an_unknown_row_is_named(params):
    with pytest.raises(UserError, match="no row 'x'"):
        cells.row_params(params, {"over": {}, "rows": {}}, "x", 0)


def test_another_param_gives_another_key(params):
    before = cells.params_key(params)
    params["diffuse"]["blur_sigma_px"] = 11
    assert cells.params_key(params) != before


@pytest.fixture
def table_line(tmp_path):
    """Write a cell's record, by default of today's params and code; return its row of the table."""
    data = {"data": {"source": "shapes"}}
    layout, ablation = Layout(tmp_path), {"over": {}, "rows": {"gap": {}}, "random_seeds": [0]}
    (tmp_path / "pipeline/guide").mkdir(parents=True)
    (tmp_path / "pipeline/guide/rules.py").write_text("RULE = 1")
    columns = {"mP": "maps.val.mP"}
    table = tables.read("T9", {"title": "", "rows": {"gap": "GAP"}, "columns": columns})

    def line(base=None, curve=(), **other):
        values = data | {"random_seed": 0}
        keys = {"params": cells.params_key(values), "code": cells.code_key(tmp_path)}
        record = {"scores": {"maps": {"val": {"mP": 61.5}}}, "random_seed": 0, "data": "d", **keys}
        formats.write_json(layout.cell_scores("gap", 0), record | {"curve": curve} | other)
        markdown = cells.write_table(layout, table, data | (base or {}), ablation)
        return next(line for line in markdown.splitlines() if line.startswith("| GAP"))

    return line


def test_a_record_of_other_params_or_code_is_not_in_the_table(table_line, tmp_path):
    assert "61.5" in table_line()
    for other in ({"params": cells.params_key({"random_seed": 1})}, {"code": "of yesterday"}):
        line = table_line(**other)
        assert "61.5" not in line and "missing" in line
    assert "missing" in table_line({"report": {"best": 2}})  # params.yaml has changed since
    old_code = cells.code_key(tmp_path)
    (tmp_path / "pipeline/guide/rules.py").write_text("RULE = 2")
    assert "missing" in table_line(code=old_code)


def test_the_counts_of_a_cell_are_those_of_its_score_files_and_reach_the_table(tmp_path):
    """Row `a` is right everywhere; `b` mistakes some pixels of each image."""
    layout, base = Layout(tmp_path), {"data": {"source": "shapes"}}
    ablation = {"over": {}, "rows": {"a": {"x": 1}, "b": {}}, "random_seeds": [0]}
    spec = {"title": "", "rows": {"a": "A", "b": "B"}, "columns": {"mIoU": "guide.val.mIoU"}}
    right = np.array([[[8, 0, 0], [0, 4, 0]], [[6, 0, 0], [0, 6, 0]]])
    counts = {"a": right, "b": right + np.array([[-1, 1, 0], [0, 0, 0]])}
    for row, counts_NCC in counts.items():
        scores = Layout(tmp_path / row).score_tables("guide")
        ids = {"guide.val.mIoU.ids": np.array(["i", "j"])}
        other = {"fused.val.mIoU": right, "fused.val.mIoU.ids": np.array(["i", "j"])}
        formats.write_arrays(scores / "counts.npz", {"guide.val.mIoU": counts_NCC} | ids | other)
        formats.write_arrays(layout.cell_counts(row, 0), cells.read_counts(tmp_path / row))
        values = cells.row_params(copy.deepcopy(base), ablation, row, 0)
        keys = {"params": cells.params_key(values), "code": cells.code_key(tmp_path), "curve": []}
        scores = {"guide": {"val": {"mIoU": 1.0}}}
        record = {"scores": scores, "random_seed": 0, "data": "d", **keys}
        formats.write_json(layout.cell_scores(row, 0), record)
    # of i alone b's mIoU is (7 / 8 + 4 / 5) / 2, of j (5 / 6 + 6 / 7) / 2, of both the same as of j
    for reference, shown in (("b", "A | 1.0 | +15.5 (+15.5 to +16.2"), ("", "A | 1.0 | `python")):
        table = tables.read("T9", spec | {"reference": reference})
        assert shown in cells.write_table(layout, table, base, ablation)
    assert cells.read_counts(tmp_path) is None


def test_curves_are_written_where_there_are_some_and_only_there(table_line, tmp_path):
    paths = [Layout(tmp_path).table("T9", name) for name in ("curves.tsv", "curves.png")]
    for curve in ([["0.50"] * len(seed_scores.CURVE)], []):
        table_line(curve=curve)
        assert [path.exists() for path in paths] == [bool(curve)] * 2
