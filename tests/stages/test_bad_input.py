"""Bad input to a stage: one line that names the file or the param and the fix, exit code 1."""

import os
import shutil
from unittest import mock

import numpy as np
import pytest

from pipeline.core import formats
from pipeline.dataset import masks
from tests.conftest import photo


@pytest.fixture
def project(copy, folder_params):
    """The project before its first run, on the photographs of `folder_set`."""
    copy.change({"data": folder_params["data"]})
    return copy


def fails(project, stage, *words):
    done = project.here("-m", "stages", stage, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f"error: {stage}: ") and "Traceback" not in done.stderr
    for word in words:
        assert word in line, line


def test_several_bad_images_are_all_named(project, folder_set):
    for name in ("p1", "p3"):
        (folder_set / f"images/{name}.png").write_bytes(b"no image")
    fails(project, "prepare", "p1.png", "(2 such errors")
    alone = project.python("-m", "stages", "prepare", check=False, GUIDELABEL_WORKERS="2")
    assert alone.returncode == 1 and "p3.png: cannot be decoded" in alone.stderr


def test_truncated_image(project, folder_set):
    path = folder_set / "images/p1.png"
    path.write_bytes(path.read_bytes()[:200])
    fails(project, "prepare", "p1.png", "cannot be decoded", "replace it")


def test_mask_of_another_size(project, folder_set):
    photo(folder_set / "images/p1.png", size=(41, 30))
    fails(project, "prepare", "p1.png", "make them the same size")


def test_what_is_odd_about_masks_is_said_and_counted(project, folder_set):
    for key, value in (("p0", 255), ("p2", 255), ("p3", 1)):
        label = np.zeros((30, 40), np.uint8)
        label[5:20] = value
        formats.write_label(folder_set / f"masks/{key}.png", label)
    said = project.here("-m", "stages", "prepare").stderr
    assert f"note: {masks.READ_AS_TAG}: 2 (p0, p2)" in said
    assert f"note: {masks.OTHER_CLASS}: 1 (p3)" in said
    counts = formats.read_json(project.root / "data/prepared/counts.json")
    assert counts["notes"] == {masks.READ_AS_TAG: 2, masks.OTHER_CLASS: 1}
    label = formats.read_label(project.root / "data/labels/full/p0.png")
    assert set(np.unique(label)) == {0, 1}


def test_masks_that_fit_no_image(project, folder_set):
    (folder_set / "masks").rename(folder_set / "mask")
    fails(project, "prepare", "photos/mask", "rename the folder to masks")


def test_unknown_tag(project, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,cat bird\n")
    fails(project, "prepare", "tags.csv", "'bird'", "add the class")


def test_empty_split(project, folder_set):
    (folder_set / "tags.csv").write_text("id,tags,split\np0,cat,val\n")
    fails(project, "prepare", "tags.csv", "split 'train' has no image", "write train in some")


def test_an_unclosed_quote(project, folder_set):
    (folder_set / "tags.csv").write_text('id,tags\np0,cat\np1,"dog\np2,cat\n')
    fails(project, "prepare", "tags.csv: line 3", "close each quote")
    assert not (project.root / "data/prepared").exists()


def test_the_same_picture_in_train_and_val(project, folder_set):
    shutil.copy(folder_set / "images/p0.png", folder_set / "images/p3.png")
    shutil.copy(folder_set / "images/p0.png", folder_set / "images/p2.png")  # both in train
    done = project.here("-m", "stages", "prepare")
    assert "warning: train holds the same picture as val, so" in done.stderr
    assert "too high: 'p3' = 'p2'; remove one" in done.stderr
    assert formats.read_json(project.root / "data/prepared/counts.json")["val_images_in_train"] == 1


def test_corrections_are_in_the_counts(project, folder_set):
    (folder_set / "tags.csv").write_text("id;tags\n\np0.png;cat cat\np1;dog\n")
    done = project.here("-m", "stages", "prepare")
    counts = formats.read_json(project.root / "data/prepared/counts.json")
    assert counts["repairs"] == {
        "blank lines skipped": 1,
        "ids that differ from their file names": 1,
        "repeated tags removed": 1,
        "tables separated by semicolons": 1,
    }
    assert "repeated tags removed 1" in done.stderr
    assert counts["val_images_in_train"] == 0 and "warning" not in done.stderr


def test_misspelt_param(project):
    project.change({"seed": {"trian": {"epochs": 3}}})
    fails(project, "train_seed", "seed.trian", "no such param")


def test_value_out_of_range(project):
    project.change({"fuse": {"seed_threshold": 20}})
    fails(project, "fuse", "fuse.seed_threshold", "less than or equal to 1", "20")


def test_shards_of_fewer_than_no_file(project):
    with mock.patch.dict(os.environ, GUIDELABEL_SHARD="-5"):
        fails(project, "prepare", "GUIDELABEL_SHARD=-5: must be a whole number", "unset it")
    assert not (project.root / "data/labels/full").exists()


def test_unknown_choice(project):
    project.change({"seed": {"pooling": "gapp"}})
    fails(project, "train_seed", "'gapp' is not one of attention, gap")


def test_missing_weights(project):
    project.stages("prepare")
    project.change({"seed": {"weights": "nowhere.pth"}})
    fails(project, "train_seed", "nowhere.pth", "not found", "'none'")


def test_a_stage_run_too_early(project):
    fails(project, "seed", "data/prepared/samples.csv", "not found")


def test_params_that_are_no_yaml(project):
    (project.root / "params.yaml").write_text("seed: {a: [1\n")
    fails(project, "prepare", "params.yaml: not valid YAML")


def test_what_was_computed_stays_when_a_later_stage_fails(project):
    said = project.python("cli.py", "run", "prepare").stdout
    assert "Running stage 'prepare'" in said
    assert "lock file" not in said and "git" not in said and "dvc push" not in said
    project.change({"seed": {"backbone": "vgg61"}})
    done = project.python("cli.py", "run", "train_seed", check=False)
    assert done.returncode == 1
    assert "'vgg61' at stride 16: not one of" in done.stderr
    assert "All finished results are kept" in done.stdout
    assert (project.root / "data/prepared/samples.csv").exists()
