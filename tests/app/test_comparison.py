"""Two runs compared: what made them, and their scores."""

import shutil

import numpy as np
import pytest

from app import comparison
from pipeline.core import formats, provenance
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.scores.labels import label_scores
from pipeline.scores.labels.counting import Tally
from pipeline.scores.shared import metrics
from tests.stages.test_evaluate import write_links

RECORD = {
    "data": "d", "params": {"fuse": {"rule": "g2"}, "seed.train": {"epochs": 2}},
    "random_seed": 0, "code": {"pipeline/guide": "c"}, "versions": {"torch": "2.0"},
    "run_on": {}, "commit": "a", "uncommitted": [],
}  # fmt: skip


def counts(wrong, images=12):
    """The pixel counts of each image: `wrong` in 100 pixels of both classes are mistaken."""
    miss = wrong + np.random.default_rng(0).integers(0, 9, images)
    square = np.array([[100 - miss, miss], [miss, 100 - miss]]).transpose(2, 0, 1)
    return list(np.dstack([square, np.zeros((images, 2), int)]))


def write_run(folder, *, wrong, record=RECORD, ids="abcdefghijkl", mean_ap=50.0, images=None):
    """Write the scores of guide labels and of a classifier into `folder`/data/scores."""
    layout = Layout(folder)
    tallies = {("guide", "val"): Tally(list(ids), images or counts(wrong, len(ids)))}
    scores = {**label_scores.labels(tallies), "classifier": {"val": {"mAP": mean_ap}}, "about": {}}
    formats.write_json(layout.scores("guide"), scores)
    formats.write_arrays(
        layout.score_tables("guide") / "counts.npz", label_scores.image_counts(tallies)
    )
    if record:
        formats.write_json(provenance.record_file(layout.made_of, layout.scores("guide")), record)
    return folder


@pytest.fixture
def compared(tmp_path):
    """Return a function that reads two folders as runs."""

    def read(*folders):
        return [comparison.read(Layout(tmp_path), str(folder)) for folder in folders]

    return read


def test_a_run_compared_with_itself_does_not_differ(tmp_path, compared):
    run = write_run(tmp_path / "a", wrong=10)
    both = compared(run, run)
    assert comparison.facts(*both) == {kind: [] for kind in comparison.KINDS}
    rows = {row.score: row for row in comparison.rows(*both)}
    assert set(rows) == {"mAP", "mIoU"} and rows["mIoU"].interval == (0, 0)


def test_facts_name_each_difference_with_the_old_and_the_new_value(tmp_path, compared):
    other = RECORD | {
        "params": {"fuse": {"rule": "g1"}, "seed.train": {"epochs": 2}}, "random_seed": 1,
        "code": {"pipeline/guide": "e"}, "versions": {"torch": "2.1"}, "data": "f",
        "run_on": {"seed": {"device": "cuda"}}, "commit": "b",
    }  # fmt: skip
    runs = compared(
        write_run(tmp_path / "a", wrong=10),
        write_run(tmp_path / "b", wrong=9, record=other),
    )
    assert comparison.facts(*runs) == {
        "data": ["data: d -> f"],
        "params": ["fuse.rule: g2 -> g1", "random seed: 0 -> 1"],
        "code": ["pipeline/guide: c -> e"],
        "commit": ["commit: a -> b"],
        "versions": ["torch: 2.0 -> 2.1", "seed: None -> {'device': 'cuda'}"],
    }


def test_the_interval_is_the_paired_one_of_b_minus_a(tmp_path, compared):
    runs = compared(write_run(tmp_path / "a", wrong=20), write_run(tmp_path / "b", wrong=10))
    row = next(row for row in comparison.rows(*runs) if row.score == "mIoU")
    better, worse = (np.stack(counts(wrong)) for wrong in (10, 20))
    ends = metrics.difference_interval(better, worse, rng=np.random.default_rng(0))
    assert row.interval == pytest.approx(100 * np.array(ends)) and row.interval[0] > 0
    assert row.other - row.one == pytest.approx(sum(row.interval) / 2, abs=1)
    apart = metrics.mean_iou_interval(better, rng=np.random.default_rng(0))
    assert row.interval[1] - row.interval[0] < 100 * (apart[1] - apart[0])


def test_without_the_same_images_and_masks_there_is_a_reason_and_no_interval(tmp_path, compared):
    one = write_run(tmp_path / "a", wrong=10)
    other_masks = counts(10)
    other_masks[3] = other_masks[3][::-1, [1, 0, 2]] + np.array([[1, 0, 0], [0, 0, 0]])
    for name, changes, reason in (
        ("b", {"ids": "mnopqrstuvwx"}, comparison.OTHER_IMAGES),
        ("c", {"ids": "abcdefghijk"}, comparison.OTHER_IMAGES),
        ("d", {"images": other_masks}, comparison.OTHER_MASKS),
    ):
        rows = comparison.rows(*compared(one, write_run(tmp_path / name, wrong=9, **changes)))
        assert {row.score: row.why_not for row in rows} == {
            "mAP": comparison.NO_COUNTS, "mIoU": reason,
        }  # fmt: skip
        assert not any(row.interval for row in rows)


def test_a_copy_of_data_scores_is_a_run_too(tmp_path, compared):
    run = write_run(tmp_path / "a", wrong=10)
    kept = shutil.copytree(run / "data/scores", tmp_path / "kept")
    whole, copy = compared(run, kept)
    assert copy.scores == whole.scores and copy.made_of == whole.made_of == {"guide": RECORD}


def test_a_missing_record_is_named(tmp_path, compared):
    runs = compared(
        write_run(tmp_path / "a", wrong=10), write_run(tmp_path / "b", wrong=9, record=None)
    )
    assert comparison.facts(*runs)["params"] == [
        "unknown for scores of guide: no record in made_of"
    ]


def test_a_folder_without_scores_is_an_error_of_one_line(tmp_path, compared):
    with pytest.raises(UserError, match="holds no scores; name a folder that holds data/scores"):
        compared(tmp_path)


@pytest.fixture
def scored(copy, folder_params):
    """A project whose guide labels, made by hand, DVC has scored and committed."""
    copy.change({"data": folder_params["data"]})
    copy.stages("prepare")
    write_links(Layout(copy.root))
    assert copy.repro("--single-item", "evaluate_guide") == ["evaluate_guide"]
    copy.commit()
    return copy


def test_revisions_are_read_from_the_cache_of_dvc(scored):
    """The last commit has other scores than the working folder."""
    label = formats.read_label(Layout(scored.root).labels("guide") / "p3.png")
    formats.write_label(Layout(scored.root).labels("guide") / "p3.png", 0 * label)
    scored.change({"fuse": {"saliency_threshold": 0.95}})
    scored.repro("--single-item", "evaluate_guide")
    text = scored.here("cli.py", "compare", "HEAD", ".").stdout
    facts, table = text.split("link", 1)
    head = scored.run("git", "rev-parse", "HEAD").stdout.strip()
    kinds = facts.replace("\n  ", " ").strip().splitlines()
    commit = kinds.pop(3)  # the first score file was made before the commit that holds it
    assert commit.startswith("commit: commit: ") and head in commit
    assert kinds == [
        "data: the same",
        "params: fuse.saliency_threshold: 0.5 -> 0.95",
        "code: the same",
        "versions: the same",
    ]
    line = next(s for s in table.splitlines() if s.startswith("guide labels, using true tags"))
    assert line.split()[6:10] == ["val", "100.0", "40.6", "-59.4"]  # 975 of 1200 px, and 0
    assert line.endswith("-59.4 to -59.4")  # val has one image
    shutil.rmtree(scored.root / ".dvc/cache")
    done = scored.here("cli.py", "compare", "HEAD", ".", check=False)
    assert done.stderr.startswith("error: HEAD: DVC has no scores of this revision; ")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name, message", [
    ("no_such", "no_such: neither a folder nor a git revision; correct the name"),
    ("pipeline", "pipeline: holds no scores; name a folder that holds data/scores"),
    ("params.yaml", "params.yaml: neither a folder nor a git revision; correct the name"),
])  # fmt: skip
def test_a_wrong_name_gives_one_line(copy, name, message):
    done = copy.here("cli.py", "compare", name, ".", check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {message}\n")
