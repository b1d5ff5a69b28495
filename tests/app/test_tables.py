"""Tables from the records of cells; the expected values are worked out by hand."""

import pytest

from app import tables
from pipeline.core.errors import UserError

SPEC = {
    "title": "rules",
    "rows": {"g1": "G1", "g2": "G2 & more"},
    "columns": {"mIoU": "refined_*.val.mIoU", "FS%": "share of g2"},
    "paper": {"g2": {"mIoU": 55.7}},
    "others": {"SEC": {"mIoU": 50.7}},
}


def cell(miou, seed=0, **more):
    scores = {"refined_guide": {"val": {"mIoU": miou, **more}}}
    return {"scores": scores, "row": "x", "random_seed": seed, "params": "p" * 16, "data": "d"}


@pytest.fixture
def table():
    return tables.read("T9", SPEC)


def test_a_table_by_name_runs_only_if_it_is_named():
    specs = {"T9": SPEC, "T10": SPEC | {"by_name": True}}
    assert [t.name for t in tables.choose(specs, None)] == ["T9"]
    assert [t.name for t in tables.choose(specs, "T10")] == ["T10"]


def test_one_seed_shows_the_interval_and_the_difference(table):
    records = {"g1": [cell(40.0)], "g2": [cell(50.0, mIoU_low=45.0, mIoU_high=55.0)]}
    head, g1, g2, sec = tables.grid(table, records)
    assert head == ["row", "mIoU", "mIoU: paper", "difference", "FS%", "command"]
    assert g1 == ["G1", "40.0", "", "", "80.0", "python cli.py table T9 --row g1 --seed 0"]
    assert g2[1:5] == ["50.0 (45.0 to 55.0)", "55.7", "-5.7", "100.0"]
    assert sec == ["SEC", "", "50.7", "", "", ""]


def test_several_seeds_show_mean_and_spread(table):
    value = tables.value([cell(40.0), cell(44.0, seed=1)], "refined_*.val.mIoU")
    assert value.mean == 42 and value.spread == pytest.approx(8**0.5)
    assert value.text() == "42.0 ± 2.8"


def test_the_command_names_the_random_seeds_of_its_row(table):
    records = {"g1": [], "g2": [cell(50.0, seed=0), cell(51.0, seed=2)]}
    assert [line[-1] for line in tables.grid(table, records)[1:3]] == [
        "python cli.py table T9 --row g1",
        "python cli.py table T9 --row g2 --seed 0 --seed 2",
    ]


def test_a_row_without_cells_is_missing_and_the_others_show_their_values(table):
    lines = tables.grid(table, {"g1": [], "g2": [cell(50.0)]})
    assert lines[1][1:5] == ["missing", "", "", "missing"] and lines[2][1] == "50.0"


def test_a_path_to_several_numbers_gives_a_column_for_each(table):
    records = {"g2": [cell(50.0)]}
    records["g2"][0]["scores"]["refined_guide"]["val"]["IoU"] = {"cat": 1.0, "dog": 2.0}
    spec = SPEC | {"columns": {"each": "refined_*.val.IoU"}, "paper": {}, "others": {}}
    table = tables.expand(tables.read("T4", spec), records)
    assert tables.grid(table, records)[0] == ["row", "cat", "dog", "command"]
    assert tables.grid(table, records)[2][1:3] == ["1.0", "2.0"]


def test_every_format_holds_the_numbers(table):
    records = {"g1": [cell(40.0)], "g2": [cell(50.0)]}
    lines, identity = tables.grid(table, records), tables.identity(records)
    for write in tables.WRITERS.values():
        text = write(table, lines, identity)
        assert "50.0" in text and "55.7" in text
    assert r"G2 \& more & 50.0 & 55.7 & -5.7 & 100.0 \\" in tables.latex(table, lines, identity)
    assert identity == ["Data: d. Random seeds: [0]. Params: g1 pppppppp, g2 pppppppp."]


def test_names_of_cells(table):
    ablation = {"classifiers": ["g1"], "guides": [], "segmenters": ["g2"], "random_seeds": [0, 1]}
    g1, g2 = "ablation/dvc.yaml:classifier@g1", "ablation/dvc.yaml:segmenter@g2"
    both = [f"{g1}-0", f"{g1}-1", f"{g2}-0", f"{g2}-1"]
    assert tables.addresses([table], ablation, rows=None, seeds=None) == both
    assert tables.addresses([table, table], ablation, rows=["g2"], seeds=[1]) == [f"{g2}-1"]


def test_unknown_tables_rows_and_seeds_are_named(table):
    ablation = {"classifiers": ["gap"], "guides": [], "segmenters": ["g2"], "random_seeds": [0]}
    with pytest.raises(UserError, match="no table 'T1'; choose one of T9"):
        tables.choose({"T9": SPEC}, "T1")
    with pytest.raises(UserError, match="no row 'x' in this table; choose one of g1, g2"):
        tables.addresses([table], ablation, rows=["x"], seeds=None)
    with pytest.raises(UserError, match="row 'x' is in none of the lists"):
        tables.address(ablation, "x", 0)
    with pytest.raises(UserError, match="random_seeds: add 7"):
        tables.address(ablation, "gap", 7)
