"""What a researcher does with the project: add a part, and make a table."""

import json
import re

import pytest

from tests.project import TINY


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_a_new_pooling_needs_one_file_and_one_block_of_params(copy):
    """Follow the steps of docs/params.md."""
    project = copy
    pooling = project.root / "pipeline/seeds/pooling.py"
    edit(pooling, "POOLINGS: dict[str, Callable[..., Tensor]] = {",
         "def top_mean(maps_NKhw: Tensor, *, share: float) -> Tensor:\n"
         "    flat = maps_NKhw.flatten(2)\n"
         "    return flat.topk(max(1, int(share * flat.shape[2]))).values.mean(2)\n\n\n"
         "class TopMean(Frozen):\n    share: Positive\n\n\n"
         'POOLINGS: dict[str, Callable[..., Tensor]] = {\n    "top_mean": top_mean,')  # fmt: skip
    edit(pooling, "POOLING_OPTIONS: dict[str, type[Frozen]] = {",
         'POOLING_OPTIONS: dict[str, type[Frozen]] = {\n    "top_mean": TopMean,')  # fmt: skip
    edit(project.root / "presets/shapes.yaml", "    gap: {}\n",
         "    gap: {}\n    top_mean: {share: 0.3}\n")  # fmt: skip
    project.python("cli.py", "use", "shapes")
    project.change(TINY | {"seed": TINY["seed"] | {"pooling": "top_mean"}})
    assert project.repro("seed")[-1] == "seed"
    spec = json.loads((project.root / "data/models/seed/net.json").read_text())
    assert spec["pooling"] == "top_mean" and spec["options"] == {"share": 0.3}


@pytest.mark.slow
def test_a_table_reuses_the_chains_results_and_shows_failed_cells_as_missing(project):
    rows = project.root / "ablation/params.yaml"
    edit(rows, "  neglog: {diffuse: {unary: neglog}}",
         "  neglog: {saliency: {source: folder, options: {folder: {root: nowhere}}}}")  # fmt: skip
    chosen = ("--row", "as_is", "--row", "contested_none", "--row", "neglog", "--seed", "0")
    done = project.python("cli.py", "table", "T6", *chosen, check=False)
    assert done.returncode == 1 and "Some cells failed" in done.stdout
    ran = [line for line in done.stdout.splitlines() if "Running stage" in line]
    assert not [line for line in ran if "train" in line or "'seed'" in line]
    assert "nowhere" in done.stdout + done.stderr
    table = (project.root / "data/tables/T6.md").read_text().splitlines()
    own = project.scores()["guide"]["train"]["mIoU"]
    assert f"CRF set deeplab | {own:.1f} (" in "".join(table)
    # guide labels of all images and of those with several tags, seeds; no difference to as_is
    assert next(line for line in table if "unary -log" in line).count("missing") == 3
    without = next(line for line in table if line.startswith("| no CRF"))
    assert re.search(r"\| [-+]\d+\.\d \([-+]\d+\.\d to [-+]\d+\.\d\) \|", without)  # to as_is
    assert not (project.root / ".cells/as_is-0").exists()
    again = project.python("cli.py", "table", "T6", *chosen[:4], "--seed", "0").stdout
    assert "Running stage" not in again
    assert (project.root / "data/tables/T6.tex").exists()


def test_unknown_tables_and_rows_are_named(copy):
    for args, message in ((("T99",), "no table 'T99'"), (("T1", "--row", "x"), "no row 'x'")):
        done = copy.here("cli.py", "table", *args, check=False)
        assert done.returncode == 1 and message in done.stderr


@pytest.mark.slow
def test_a_row_of_class_maps_has_its_figure_and_its_score_by_predicted_tags(project):
    """The row gap is the chain's own classifier, so nothing is trained."""
    output = project.python("cli.py", "table", "T9", "--row", "gap", "--seed", "0").stdout
    ran = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running")]
    assert not [stage for stage in ran if "train" in stage]
    cell = json.loads((project.root / "data/ablation/gap-0.json").read_text())
    miou = cell["scores"]["map_labels"]["val"]["mIoU"]
    table = (project.root / "data/tables/T9.md").read_text()
    assert f"| class maps, GAP | {miou:.1f} (" in table and "| MIL-FCN |  | 24.9 |" in table
    assert (project.root / "data/tables/T9.curves.png").exists()
    assert not (project.root / "data/scores/maps.json").exists()  # the chain's own is not run
