"""Tables from the records of cells; the expected values are worked out by hand."""

import pytest

from app import grid, tables
from pipeline.core.errors import UserError
from pipeline.core.params import lay_over, read_yaml
from tests.conftest import ROOT

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


def lines(table, records, *, same_data=False, **more):
    return grid.lines(table, records, same_data=same_data, **more)


def test_one_seed_shows_the_interval_and_the_published_values(table):
    records = {"g1": [cell(40.0)], "g2": [cell(50.0, mIoU_low=45.0, mIoU_high=55.0)]}
    head, g1, g2, sec = lines(table, records)
    assert head == [
        "row", "mIoU", "mIoU: paper, VOC 2012", "FS%", "FS%: paper, VOC 2012", "command",
    ]  # fmt: skip
    assert g1 == ["G1", "40.0", "", "80.0", "", "python cli.py table T9 --row g1 --seed 0"]
    assert g2[1:5] == ["50.0 (45.0 to 55.0)", "55.7", "100.0", "100.0"]
    assert sec == ["SEC", "", "50.7", "", "91.0", ""]  # FS% of the published mIoU: 50.7 of 55.7


def test_the_difference_to_the_paper_is_shown_on_the_same_data_alone(table):
    records = {"g1": [cell(40.0)], "g2": [cell(50.0)]}
    head, _, g2, sec = lines(table, records, same_data=True)
    assert [(h, v) for h, v in zip(head, g2, strict=True) if "difference" in h] == [
        ("mIoU: difference to the paper", "-5.7"), ("FS%: difference to the paper", "+0.0"),
    ]  # fmt: skip
    assert "".join(sec) == "SEC50.791.0"
    assert not any("difference" in h for h in lines(table, records)[0])
    other = tables.read("T9", SPEC | {"published_on": "ILSVRC"})
    head = lines(other, records, same_data=True)[0]
    assert "mIoU: paper, ILSVRC" in head and not any("difference" in h for h in head)


VOC = {"source": "voc", "classes": [], "options": {"voc": {"val_list": "val"}}}


@pytest.mark.parametrize("data, same", [
    (VOC, True),
    (VOC | {"classes": ["cat"]}, False),
    (VOC | {"source": "shapes"}, False),
    (VOC | {"options": {"voc": {"val_list": "data/lists/voc_animals/val.txt"}}}, False),
])  # fmt: skip
def test_only_all_of_vocs_val_is_the_papers_data(data, same):
    assert grid.on_voc2012({"data": data}) == same


@pytest.mark.parametrize("preset, same", [
    ("voc2012_paper", True), ("voc2012_modern", True), ("voc_animals", False), ("photos", False),
])  # fmt: skip
def test_presets_on_the_papers_data(params, preset, same):
    assert not grid.on_voc2012(params)  # generated shapes
    lay_over(params, read_yaml(ROOT / f"presets/{preset}.yaml"))
    assert grid.on_voc2012(params) == same


def test_published_fs_is_of_the_published_miou_on_val():
    """As method.md has them: SEC 75.0, GuideLabel 82.4, oracle saliency 91.4."""
    table = tables.read("T3", read_yaml(ROOT / "ablation/tables.yaml")["T3"])
    head, *rows = lines(table, {})
    column = head.index("FS%, val: paper, VOC 2012")
    fs = {row[0]: row[column] for row in rows}
    assert (fs["SEC, our seeds"], fs["GuideLabel (G2)"], fs["full masks"]) == (
        "75.0",
        "82.4",
        "100.0",
    )
    assert (fs["G2, oracle saliency"], fs["seeds only"]) == ("91.4", "")


def test_paired_values_have_their_place(table):
    table = tables.read("T9", SPEC | {"reference": "g2"})
    records = {"g1": [cell(40.0)], "g2": [cell(50.0)]}
    apart = {("g1", "mIoU"): tables.Value(-10, interval=(-12.04, 0.5))}
    share = {("g1", "FS%"): tables.Value(80, interval=(76, 84))}
    head, g1, g2, _ = lines(table, records, differences=apart, shares=share)
    assert [h for h in head if "paired" in h] == [
        "mIoU: difference to G2 & more, paired 95 %"
    ] == head[3:4]  # fmt: skip
    assert g1[3:5] == ["-10.0 (-12.0 to +0.5)", "80.0 (76.0 to 84.0)"] and g2[3] == ""


def test_a_row_that_ran_without_such_a_score_is_not_missing(table):
    records = {"g1": [], "g2": [{**cell(50.0), "scores": {}}]}
    assert [line[1] for line in lines(table, records)[1:3]] == ["missing", "none"]


def test_several_seeds_show_mean_and_spread(table):
    value = tables.value([cell(40.0), cell(44.0, seed=1)], "refined_*.val.mIoU")
    assert value.mean == 42 and value.spread == pytest.approx(8**0.5)
    assert value.text() == "42.0 ± 2.8"


def test_the_command_names_the_random_seeds_of_its_row(table):
    records = {"g1": [], "g2": [cell(50.0, seed=0), cell(51.0, seed=2)]}
    assert [line[-1] for line in lines(table, records)[1:3]] == [
        "python cli.py table T9 --row g1",
        "python cli.py table T9 --row g2 --seed 0 --seed 2",
    ]


def test_a_row_without_cells_is_missing_and_the_others_show_their_values(table):
    _, g1, g2, _ = lines(table, {"g1": [], "g2": [cell(50.0)]})
    assert g1[1:5] == ["missing", "", "missing", ""] and g2[1] == "50.0"


def test_a_path_to_several_numbers_gives_a_column_for_each(table):
    records = {"g2": [cell(50.0)]}
    records["g2"][0]["scores"]["refined_guide"]["val"]["IoU"] = {"cat": 1.0, "dog": 2.0}
    spec = SPEC | {"columns": {"each": "refined_*.val.IoU"}, "paper": {}, "others": {}}
    table = tables.expand(tables.read("T4", spec), records)
    assert lines(table, records)[0] == ["row", "cat", "dog", "command"]
    assert lines(table, records)[2][1:3] == ["1.0", "2.0"]


def test_every_format_holds_the_numbers(table):
    records = {"g1": [cell(40.0)], "g2": [cell(50.0)]}
    texts, identity = lines(table, records, same_data=True), tables.identity(records)
    for write in tables.WRITERS.values():
        text = write(table, texts, identity)
        assert "50.0" in text and "55.7" in text
    assert r"G2 \& more & 50.0 & 55.7 & -5.7 & 100.0 & 100.0 & +0.0 \\" in tables.latex(
        table, texts, identity
    )
    assert identity == [
        "Data: d. Random seeds: [0]. Params: g1 pppppppp, g2 pppppppp. "
        "Only one random seed ran of: g1, g2."
    ]
    records["g1"].append(cell(41.0, seed=1))
    assert tables.identity(records)[0].endswith("Only one random seed ran of: g2.")
    records["g2"].append(cell(51.0, seed=1))
    assert tables.identity(records)[0].endswith("g2 pppppppp.")


def test_names_of_cells(table):
    ablation = {
        "classifiers": ["g1"],
        "guides": [],
        "segmenters": ["g2"],
        "chains": [],
        "random_seeds": [0, 1],
    }
    g1, g2 = "ablation/dvc.yaml:classifier@g1", "ablation/dvc.yaml:segmenter@g2"
    both = [f"{g1}-0", f"{g1}-1", f"{g2}-0", f"{g2}-1"]
    assert tables.addresses([table], ablation, rows=None, seeds=None) == both
    assert tables.addresses([table, table], ablation, rows=["g2"], seeds=[1]) == [f"{g2}-1"]


def test_unknown_tables_rows_and_seeds_are_named(table):
    ablation = {
        "classifiers": ["gap"],
        "guides": [],
        "segmenters": ["g2"],
        "chains": [],
        "random_seeds": [0],
    }
    with pytest.raises(UserError, match="no table 'T1'; choose one of T9"):
        tables.choose({"T9": SPEC}, "T1")
    with pytest.raises(UserError, match="no row 'x' in this table; choose one of g1, g2"):
        tables.addresses([table], ablation, rows=["x"], seeds=None)
    with pytest.raises(UserError, match="row 'x' is in none of the lists"):
        tables.address(ablation, "x", 0)
    with pytest.raises(UserError, match="random_seeds: add 7"):
        tables.address(ablation, "gap", 7)
