"""The tables' definitions: every row is valid, is in one list, and fits its table."""

import copy
from itertools import chain

import pytest

from app import cells, tables
from pipeline.core.params import differences, lay_over, read_yaml, validate
from pipeline.params import Params
from tests.conftest import ROOT

ABLATION = read_yaml(ROOT / "ablation/params.yaml")
TABLES = {n: tables.read(n, s) for n, s in read_yaml(ROOT / "ablation/tables.yaml").items()}
STAGES = read_yaml(ROOT / "ablation/dvc.yaml")["stages"]
LISTED = list(chain(*(ABLATION[name] for name in tables.LISTS.values())))
CHAIN = read_yaml(ROOT / "dvc.yaml")["stages"]
OPTIONAL = read_yaml(ROOT / "optional/dvc.yaml")["stages"]


@pytest.mark.parametrize("row", ABLATION["rows"])
def test_every_row_is_valid_over_the_base(row):
    base = read_yaml(ROOT / "presets/shapes.yaml")
    values = cells.row_params(copy.deepcopy(base), ABLATION, row, 3)
    validate(Params, values, where=row)
    changed = differences(base, values | {"random_seed": base["random_seed"]})
    assert bool(changed) == bool(ABLATION["rows"][row]) or row == "net"


OTHER = {
    "pretext": {"task": "simclr"},
    "seed": {
        "weights": "pretext",
        "pooling": "gmp", "maps": {"kind": "gradient"}, "superpixels": 9, "loss": "ranking",
        "feature_attention": {"kind": "edam"},
    },
    "fuse": {
        "rule": "g1", "evidence": "component_scores", "unlabelled": "ignore",
        "seed_rule": "graph_cut",
    },
    "diffuse": {"crf": "none", "unary": "neglog"},
    "refine": {"crf": "seed"},
    "segment": {"weights": "pretext", "supervision": ["guide", "full"], "loss": "sec"},
}  # fmt: skip


@pytest.mark.parametrize("row", ["gap", "g2", "as_is"])
def test_a_row_means_the_same_whatever_params_yaml_chooses(row):
    base = read_yaml(ROOT / "presets/shapes.yaml")
    other = copy.deepcopy(base)
    lay_over(other, OTHER)
    first, second = (cells.row_params(params, ABLATION, row, 0) for params in (base, other))
    assert differences(first, second) == []


def test_the_rows_of_t11_differ_in_their_start_alone():
    base = read_yaml(ROOT / "presets/shapes.yaml")
    rows = {
        row: cells.row_params(copy.deepcopy(base), ABLATION, row, 0) for row in ABLATION["chains"]
    }
    start = {"from_random": "none", "from_imagenet": "imagenet"}
    for row, values in rows.items():
        for name in ("seed", "segment"):
            assert values[name].pop("weights") == start.get(row, "pretext")
        task = row.removeprefix("from_")
        assert values.pop("pretext")["task"] == ("none" if row in start else task)
        assert values == rows["from_random"]


def test_a_row_is_in_one_list_only():
    assert len(set(LISTED)) == len(LISTED) and set(LISTED) <= set(ABLATION["rows"])


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_a_table_is_in_a_list_and_every_value_has_a_column(name):
    table = TABLES[name]
    assert set(table.rows) <= set(LISTED)
    assert set(table.paper) <= set(table.rows)
    for values in (*table.paper.values(), *table.others.values()):
        assert set(values) <= set(table.columns)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_labels_scores_images_with_several_tags_by_themselves(name):
    paths = {path.rpartition(".")[2] for path in TABLES[name].columns.values()}
    assert "mIoU" not in paths or "several_tags_mIoU" in paths


@pytest.mark.parametrize("name", [n for n, t in TABLES.items() if t.reference])
def test_rows_that_are_compared_keep_their_pixel_counts(name):
    table = TABLES[name]
    assert table.reference in table.rows
    for row in table.rows:
        stage = STAGES[tables.address(ABLATION, row, 0).split(":")[1].split("@")[0]]
        assert any(out.endswith(".npz") for out in stage["outs"]), row


@pytest.mark.parametrize("name", STAGES)
def test_a_cell_runs_existing_stages_and_depends_on_all_code(name):
    body = STAGES[name]
    known = {*CHAIN, *(f"optional/dvc.yaml:{name}" for name in OPTIONAL)}
    assert set(body["cmd"].split()[5:]) <= known
    assert {"pipeline", "stages", "params.yaml", "${data.root}", "${data.tags}"} <= set(
        body["deps"]
    )
    assert body["matrix"]["row"] == f"${{{tables.LISTS[name]}}}"
