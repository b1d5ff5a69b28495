"""The copy of the project in which a cell runs."""

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


def test_what_the_chain_makes_stays_in_the_cell(tmp_path, params):
    """The project's generated set lies where the cell will make its own."""
    home, work = tmp_path / "project", tmp_path / "cell"
    for name in (*cells.CODE, ".dvcignore"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("") if "." in name else (home / name).mkdir()
    for name in ("shapes/tags.csv", "shapes_boxed/boxes.json", "u2netp.onnx"):
        (home / "data/raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "data/raw" / name).write_text("the project's")
    made = (Layout().shapes, Layout().shapes_boxed)
    cells.prepare(work, home, params, made=made)
    assert (work / "data/raw/u2netp.onnx").is_symlink()
    assert sorted(p.name for p in (work / "data/raw").iterdir()) == ["u2netp.onnx"]


def test_a_cell_holds_the_code_and_its_own_params(tmp_path, params):
    values = cells.row_params(
        params, {"over": {"report": {"best": 1}}, "rows": {"r": {"fuse": {"rule": "g1"}}}}, "r", 7
    )
    cells.prepare(tmp_path, ROOT, values, made=())
    for name in ("dvc.yaml", "optional/dvc.yaml", "stages/fuse.py", "pipeline/guide/rules.py"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text()
    found = read_yaml(tmp_path / "params.yaml")
    assert found["fuse"]["rule"] == "g1" and found["random_seed"] == 7
    assert found["report"]["best"] == 1 and found["seed"] == params["seed"]
    assert str((ROOT / ".dvc/cache").resolve()) in (tmp_path / ".dvc/config").read_text()


def test_an_unknown_row_is_named(params):
    with pytest.raises(UserError, match="no row 'x'"):
        cells.row_params(params, {"over": {}, "rows": {}}, "x", 0)


def test_the_fingerprint_follows_every_param(params):
    before = cells.params_name(params)
    params["diffuse"]["blur_sigma_px"] = 11
    assert cells.params_name(params) != before


@pytest.fixture
def recorded(tmp_path):
    """A cell's record, of today's params and code unless told; the table's line of its row."""
    layout, ablation = Layout(tmp_path), {"over": {}, "rows": {"gap": {}}, "random_seeds": [0]}
    (tmp_path / "pipeline/guide").mkdir(parents=True)
    (tmp_path / "pipeline/guide/rules.py").write_text("RULE = 1")
    columns = {"mP": "maps.val.mP"}
    table = tables.read("T9", {"title": "", "rows": {"gap": "GAP"}, "columns": columns})

    def line(base=None, curve=(), **other):
        record = {"scores": {"maps": {"val": {"mP": 61.5}}}, "random_seed": 0, "data": "d"}
        record |= {"params": cells.params_name({"random_seed": 0}), "code": cells.code(tmp_path)}
        formats.write_json(layout.cell_scores("gap", 0), record | {"curve": curve} | other)
        written = cells.write_table(layout, table, base or {}, ablation)
        return next(line for line in written.splitlines() if line.startswith("| GAP"))

    return line


def test_a_record_of_other_params_or_code_is_not_in_the_table(recorded, tmp_path):
    assert "61.5" in recorded()
    for other in ({"params": cells.params_name({"random_seed": 1})}, {"code": "of yesterday"}):
        line = recorded(**other)
        assert "61.5" not in line and "missing" in line
    assert "missing" in recorded({"report": {"best": 2}})  # params.yaml changed since
    then = cells.code(tmp_path)
    (tmp_path / "pipeline/guide/rules.py").write_text("RULE = 2")
    assert "missing" in recorded(code=then)


def test_curves_are_written_where_there_are_some_and_only_there(recorded, tmp_path):
    paths = [Layout(tmp_path).table("T9", name) for name in ("curves.tsv", "curves.png")]
    for curve in ([["0.50"] * len(seed_scores.CURVE)], []):
        recorded(curve=curve)
        assert [path.exists() for path in paths] == [bool(curve)] * 2
