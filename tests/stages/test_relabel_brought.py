"""The stage that makes labels from masks that the user brings, on four images made by hand."""

import numpy as np
import pytest

from pipeline.core import formats, shards
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from stages import relabel_brought
from tests.conftest import photo

CLASSES = ["cat", "dog"]
SPLITS = {"a": "train", "b": "train", "c": "train", "v": "val"}


def full(value, *, size=(6, 8)):
    return np.full(size, value, np.uint8)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Three train images and one of val, 8x6 px; guide labels call every pixel background."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    layout, samples = Layout(), []
    for key, split in SPLITS.items():
        photo(tmp_path / f"images/{key}.png", size=(8, 6))
        samples.append(Sample(key, tmp_path / f"images/{key}.png", split, ("dog",), 6, 8, ""))
        formats.write_label(layout.labels("guide") / f"{key}.png", full(0))
    formats.write_json(layout.classes, CLASSES)
    write_samples(layout.samples, samples)
    return layout


def bring(layout, **masks):
    for key, mask in masks.items():
        formats.write_label(layout.root / f"masks/{key}.png", mask)


def make(layout, supervision, monkeypatch, *, shard=0):
    monkeypatch.setattr("sys.argv", ["stages", "relabel_brought", supervision])
    monkeypatch.setenv("GUIDELABEL_SHARD", str(shard))
    relabel_brought.run(layout, supervision, path=layout.root / "masks")
    folder = layout.labels(supervision)
    return {key: formats.read_label(folder / f"{key}.png") for key in sorted(shards.ids(folder))}


def test_brought_labels_only_images_with_a_mask(here, monkeypatch, capfd):
    bring(here, a=full(1), v=full(2), other=full(1))
    found = make(here, "brought", monkeypatch)
    assert {key: label.max() for key, label in found.items()} == {"a": 1, "v": 2}
    said = capfd.readouterr().err
    assert "1 of 3 train images have a mask; 2 have none and are left out of the training" in said
    assert said.count("; 1 other file\n") == 1
    assert "note: masks with a class that is not a tag of the image: 1 (a)" in said


def test_corrected_masks_replace_guide_labels_and_no_others(here, monkeypatch, capfd):
    bring(here, b=full(2))
    found = make(here, "corrected", monkeypatch)
    assert {k: label.max() for k, label in found.items()} == {"a": 0, "b": 2, "c": 0, "v": 0}
    assert "1 of 3 train images have a mask; 2 have none and keep their guide" in (
        capfd.readouterr().err
    )


def test_a_guide_label_that_nobody_corrected_keeps_its_bytes(here, monkeypatch):
    bring(here, b=full(2))
    make(here, "corrected", monkeypatch)
    guide, corrected = (here.labels(s) / "a.png" for s in ("guide", "corrected"))
    assert guide.read_bytes() == corrected.read_bytes()


def test_guide_labels_in_archives_are_read_and_labels_packed(here, monkeypatch):
    shards.pack(here.labels("guide"), list(SPLITS), per_shard=2)
    bring(here, b=full(2))
    assert set(make(here, "corrected", monkeypatch, shard=2)) == set(SPLITS)
    assert list(here.labels("corrected").glob("*.tar"))


def test_all_refused_masks_are_in_one_line_and_no_label_is_left(here, monkeypatch):
    bring(here, a=full(3), b=full(1, size=(8, 6)), c=full(1), v=full(2))
    (here.root / "masks/v.png").write_bytes(b"no image")
    with pytest.raises(UserError) as error:
        make(here, "brought", monkeypatch)
    line = str(error.value)
    assert line.startswith("masks: 3 of 4 masks are refused: ") and "\n" not in line
    assert "a.png: index 3 has no class" in line and "b.png: size is 6x8" in line
    assert "v.png: cannot be decoded" in line and "c.png" not in line
    assert not here.labels("brought").exists()


def test_corrected_needs_guide_labels(here, monkeypatch):
    bring(here, a=full(1))
    for path in here.labels("guide").iterdir():
        path.unlink()
    here.labels("guide").rmdir()
    with pytest.raises(UserError, match="guide: not found"):
        make(here, "corrected", monkeypatch)


def test_a_single_refused_mask_is_named_alone(here, monkeypatch):
    bring(here, a=full(3))
    with pytest.raises(UserError, match=r"^masks/a\.png: index 3 has no class; use 0 to 2"):
        make(here, "brought", monkeypatch)
