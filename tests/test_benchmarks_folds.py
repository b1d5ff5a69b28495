"""Cross-validation on train: what a fold holds out, what its cells share, and the table."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from benchmarks import folds
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, read_samples
from tests.project import ROOT, Project
from tests.stages.test_evaluate import write_links

BASE, POSTERIOR = folds.Cell("base", 0), folds.Cell("posterior", 0)
CHANGES = {"segment": {"supervision": ["guide", "round2"]}, "rounds": {"labels": "posterior"}}


def samples(count, *, split="train"):
    return [Sample(f"{split}{n}", ROOT, split, (), 1, 1, "") for n in range(count)]


def test_each_train_image_is_held_out_once_and_no_image_of_val_takes_part():
    everything = [*samples(23), *samples(4, split="val")]
    held = [
        [s.id for s in folds.split(everything, k) if s.split == "val"] for k in range(folds.FOLDS)
    ]
    assert sorted(i for ids in held for i in ids) == sorted(s.id for s in samples(23))
    assert [len(ids) for ids in held] == [5, 5, 5, 4, 4]
    assert [s.id for s in folds.split(everything[::-1], 0) if s.split == "val"] == held[0]
    with pytest.raises(UserError, match="--folds 3: there are only 3 train images"):
        folds.split(samples(3), 3)


@pytest.fixture
def ran(folder_params, tmp_path, monkeypatch):
    """A finished chain on three train images and one of val. Stages copy labels, train nothing."""
    root, calls = tmp_path / "project", []
    root.mkdir()
    formats.replace_file(root / "params.yaml", lambda f: YAML().dump(folder_params, f))
    (root / ".dvcignore").touch()
    Project(root).stages("prepare")
    write_links(Layout(root))
    monkeypatch.chdir(root)
    monkeypatch.setattr(folds.cells, "CODE", ())
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")

    def stage(work, name, supervision):
        here = Layout(work)
        calls.append((name, supervision))
        if name == "train_segment":
            made_of = formats.digest(here.labels(supervision))
            formats.write_json(here.segmenter(supervision) / "net.json", made_of)
            return
        split = "train" if name == "relabel_round" else "val"
        folder = {"relabel_round": here.labels, "predict": here.predictions}
        for sample in read_samples(here.samples):
            if sample.split == split:
                label = formats.read_label(here.labels("full") / f"{sample.id}.png")
                out = folder.get(name, here.refined)(supervision)
                formats.write_label(out / f"{sample.id}.png", label)

    monkeypatch.setattr(folds, "stage", stage)
    return calls


def test_a_row_with_a_later_round_takes_the_first_segmenter_from_another_row(ran):
    folds.run(Layout(), BASE, {})
    assert [name for name, _ in ran] == ["train_segment", "predict", "refine"]
    ran.clear()
    folds.run(Layout(), POSTERIOR, CHANGES)
    assert ran == [(n, "round2") for n in ("relabel_round", "train_segment", "predict", "refine")]
    ran.clear()
    folds.run(Layout(), POSTERIOR, CHANGES)
    assert ran == []
    folds.run(Layout(), POSTERIOR, CHANGES | {"refine": {"crf": "seed"}})
    assert [name for name, _ in ran] == ["predict", "refine"]
    ran.clear()
    folds.run(Layout(), BASE, {"segment": {"train": {"epochs": 2}}})
    assert [name for name, _ in ran] == ["train_segment", "predict", "refine"]


def test_held_out_images_have_no_guide_label_and_alone_are_scored(ran, monkeypatch):
    seen, stage = [], folds.stage

    def look(work, name, supervision):
        seen.append({p.stem for p in Layout(work).labels("guide").iterdir()})
        stage(work, name, supervision)

    monkeypatch.setattr(folds, "stage", look)
    folds.run(Layout(), BASE, {})
    held = [s.id for s in folds.split(read_samples(Layout().samples), 0) if s.split == "val"]
    assert len(held) == 1 and seen == [{"p0", "p1", "p2"} - set(held)] * 3
    counts = formats.read_arrays(BASE.file("npz"), match="*")
    sizes = {name: len(counts[line]) for name, line in folds.LINES.items() if line in counts}
    assert sizes["labels"] == 2 and sizes["segmenter"] == sizes["segmenter + CRF"] == 1


def test_the_table_pairs_each_row_with_the_first(tmp_path, monkeypatch):
    """The second row is right everywhere, the first one on half of the images of each fold."""
    monkeypatch.chdir(tmp_path)
    right, wrong = [[5, 0, 0], [0, 5, 0]], [[0, 5, 0], [5, 0, 0]]
    for fold in (0, 1):
        for row, images in (("base", [right, wrong] * 4), ("posterior", [right] * 8)):
            counts = dict.fromkeys(folds.LINES.values(), np.array(images, np.int32))
            formats.write_arrays(folds.Cell(row, fold).file("npz"), counts)
            formats.write_json(folds.Cell(row, fold).file("json"), {"training": 120 * (1 + fold)})
    first, second = folds.table(["base", "posterior"], [0, 1]).splitlines()[2:]
    assert first.split(" | ")[1].startswith("33.3 (") and first.endswith(" |  | 3 |")
    assert second.split(" | ")[3] == "100.0 (100.0 to 100.0)" and " | +66.7 (+" in second


def test_the_rows_of_the_file_have_params_that_exist():
    base = folds.read_yaml(ROOT / "presets/voc_animals.yaml")
    for name, changes in folds.read_yaml(ROOT / "benchmarks/folds.yaml").items():
        values = folds.read_yaml(ROOT / "presets/shapes.yaml")
        folds.lay_over(values, base)
        folds.lay_over(values, changes or {})
        folds.validate(folds.Params, values, where=name)
