"""What a run left: `compare`, `status` and `thresholds`."""

import os
from pathlib import Path

import numpy as np
import pytest

from app import comparison, graph, status, thresholds
from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import validate
from pipeline.core.samples import write_samples
from pipeline.params import Params
from tests.further_inputs.doors import refuses, write

SCORES = {"about": {}, "classifier": {"val": {"mAP": 50.0}}}


def compare(one="a", **files):
    for name in ("a", "b"):
        formats.write_json(Path(name) / "data/scores/seed.json", SCORES)
    for path, text in files.items():
        write(f"a/data/scores/{path}.json", text)
    return comparison.describe(Layout(), one, "b")


@pytest.mark.parametrize("text", [
    "[]", "3", "null", '{"classifier": 3}', '{"classifier": {"val": 3}}',
    '{"classifier": {"val": {"mAP": "x"}}}', '{"classifier": {"val": {"mAP": NaN}}}',
])  # fmt: skip
def test_scores_that_somebody_edited(text):
    refuses(lambda: compare(seed=text), r"a/data/scores/seed\.json: is not a score file; delete it")


@pytest.mark.parametrize("name", ["x" * 5000, "--help", "HEAD", "loop"])
def test_runs_that_do_not_exist(name):
    os.symlink("loop", "loop")
    refuses(lambda: compare(name), "neither a folder nor a git revision")


def test_runs_that_have_no_score_in_common():
    assert compare(seed='{"about": {}}')[-1] == "no score that both runs have"


def test_counts_without_the_ids_of_their_images():
    for name in ("a", "b"):
        file = Path(name) / "data/scores/seed/counts.npz"
        formats.write_arrays(file, {"classifier.val.mAP": np.zeros((2, 2, 3), int)})
    assert compare()[-1].startswith(comparison.NO_COUNTS)


def test_a_log_that_somebody_changed():
    formats.write_json(Layout().log / "prepare.json", [])
    refuses(lambda: status._log(Layout(), "prepare"), r"prepare\.json: is not the log of a stage")


def test_a_chain_without_stages(params):
    write("dvc.yaml", "a: {}")
    values = validate(Params, params, where="")
    refuses(lambda: graph.address("fuse", values), r"dvc\.yaml: has no section 'stages'; restore")


def test_thresholds_without_a_train_image(params):
    write_samples(Layout().samples, [])
    values = validate(Params, params, where="")
    for folder in (Layout().maps, Layout().saliency(values.saliency.source)):
        folder.mkdir(parents=True)
    refuses(lambda: thresholds.choose(Layout(), values), r"samples\.csv: lists no train image; run")
