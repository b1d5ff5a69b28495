"""The measurement of the review loop: its cells, what each may see, and its table."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from benchmarks import review
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples, read_truth
from tests.project import Project
from tests.stages.test_evaluate import write_links

RANKING = [f"i{n:02}" for n in range(30, 0, -1)]


def test_the_cells_that_make_the_rankings_come_first():
    made = [*review.all_cells([5, 9], [0, 1])]
    assert [c.count for c in made[:2]] == [0, 0] and all(c.count for c in made[2:])
    assert len(made) == len(set(made)) == 2 + 2 * 2 * 2


def test_ranked_takes_the_first_images_and_random_does_not_depend_on_the_ranking():
    assert review.chosen(review.Cell(3, "ranked", 0), RANKING) == ["i30", "i29", "i28"]
    few, more = (review.chosen(review.Cell(n, "random", 1), RANKING) for n in (5, 9))
    assert few == more[:5] and few != RANKING[:5] and len(set(more)) == 9
    assert few == review.chosen(review.Cell(5, "random", 1), RANKING[::-1])
    assert few != review.chosen(review.Cell(5, "random", 2), RANKING)


def test_more_corrections_than_masks_are_refused():
    with pytest.raises(UserError, match="--counts 31: only 30 train images have a mask"):
        review.chosen(review.Cell(31, "random", 0), RANKING)


@pytest.fixture
def finished_run(folder_params, tmp_path, monkeypatch):
    """A finished chain on three train images and one of val. p1's guide label misses the object."""
    root = tmp_path / "project"
    root.mkdir()
    formats.replace_file(root / "params.yaml", lambda f: YAML().dump(folder_params, f))
    (root / ".dvcignore").touch()
    Project(root).stages("prepare")
    write_links(Layout(root))
    empty = np.zeros((30, 40), np.uint8)
    formats.write_label(Layout(root).labels("guide") / "p1.png", empty)
    monkeypatch.chdir(root)
    monkeypatch.setattr(review.cells, "CODE", ())  # the stages that run here are this checkout's
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    return root


@pytest.fixture
def ran(monkeypatch):
    """Train nothing: the labels that the cell may learn from are its predictions too."""
    calls = []

    def stage(work, *words):
        calls.append(words)
        name, supervision = words
        here = Layout(work)
        if name == "relabel_brought":
            Project(work).stages(" ".join(words))
        elif name == "predict":
            for sample in read_samples(here.samples):
                source = here.labels(supervision) / f"{sample.id}.png"
                label = formats.read_label(source if source.exists() else here.seeds / source.name)
                formats.write_label(here.predictions(supervision) / source.name, label)
        elif name == "refine":
            for file in here.predictions(supervision).iterdir():
                formats.write_label(here.refined(supervision) / file.name, formats.read_label(file))

    monkeypatch.setattr(review, "stage", stage)
    return calls


def labels_score(cell):
    (counts_NCC,) = formats.read_arrays(cell.file("npz"), match="labels.train.mIoU").values()
    return counts_NCC.sum(axis=0)[:, :3].trace() / counts_NCC.sum()


def test_a_cell_corrects_its_images_with_their_true_masks_and_is_not_run_twice(finished_run, ran):
    base, ranked = review.Cell(0, "none", 0), review.Cell(1, "ranked", 0)
    review.run(Layout(), base)
    review.run(Layout(), ranked)
    assert formats.read_json(base.file("json"))["ranking"][0] == "p1"
    assert formats.read_json(ranked.file("json"))["ids"] == ["p1"]
    assert labels_score(base) < 1 and labels_score(ranked) == 1
    assert [words[0] for words in ran] == [
        "train_segment", "predict", "refine", "relabel_brought", "train_segment", "predict",
    ]  # fmt: skip
    assert not [*finished_run.glob(".cells/*/*")]
    ran.clear()
    review.run(Layout(), ranked)
    assert ran == []
    label = formats.read_label(Layout().labels("guide") / "p0.png")
    formats.write_label(Layout().labels("guide") / "p0.png", np.roll(label, 1))
    review.run(Layout(), ranked)
    assert len(ran) == 3  # its guide labels are others now


def test_the_ranking_and_the_training_see_no_mask(finished_run, ran, monkeypatch):
    """A cell of no corrections ranks the same if every mask is empty."""
    base = review.Cell(0, "none", 0)
    review.run(Layout(), base)
    before = formats.read_json(base.file("json"))["ranking"]
    for mask in read_truth(Layout().truth).values():
        formats.write_label(mask, np.zeros((30, 40), np.uint8))
    review.run(Layout(), base)
    assert len(ran) == 6 and formats.read_json(base.file("json"))["ranking"] == before


def test_a_cell_gets_guide_labels_of_train_only_and_no_correction_of_a_killed_run(
    finished_run, tmp_path
):
    work = Layout(tmp_path / "cell")
    review._share(Layout(), work)
    assert {p.stem for p in work.labels("guide").iterdir()} == {"p0", "p1", "p2"}
    review._correct(Layout(), work, ["p0"])
    review._correct(Layout(), work, ["p2"])
    assert [p.name for p in (work.root / review.CORRECTIONS).iterdir()] == ["p2.png"]


def test_the_table_pairs_the_images_of_ranked_and_random(tmp_path, monkeypatch):
    """Ranked rights every image, random the first half, and nothing is right without."""
    monkeypatch.chdir(tmp_path)
    right, wrong = [[5, 0, 0], [0, 5, 0]], [[0, 5, 0], [5, 0, 0]]
    images = {"ranked": [right] * 8, "random": [right] * 4 + [wrong] * 4, "none": [wrong] * 8}
    for cell in review.all_cells([4], [0, 1]):
        counts_NCC = np.array(images[cell.order], np.int32)
        formats.write_arrays(cell.file("npz"), dict.fromkeys(review.LINES.values(), counts_NCC))
    rows = [line for line in review.table([4], [0, 1]).splitlines() if line.startswith("| 4")]
    assert len(rows) == 2
    ranked, random, *differences = rows[1].strip("| ").split(" | ")[1:]
    assert ranked == "100.0 ± 0.0 (100.0 to 100.0)" and random.startswith("33.3 ± 0.0 (")
    assert differences[0].startswith("+66.7 (+") and differences[1].startswith("+100.0 (")
