"""Exports of masks, through the command line and read back; what they refuse."""

import numpy as np
import pytest
from PIL import Image

from app.exports.masks import FORMATS, export_masks
from app.exports.source import read_source
from app.predict import RECORD
from pipeline.core import formats
from pipeline.core.decoding import ORIENTATION
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from tests.app.exports.conftest import CLASSES, labels
from tests.app.exports.reading import READERS

KEEP_VOID = ("yolo", "voc")


def source_of(folder):
    return read_source(str(folder), layout=Layout(), supervision="guide")


def expected(name):
    """Return the masks that a format should hold."""
    keep = name in KEEP_VOID
    return {i: np.where((m == 255) & (not keep), 0, m) for i, m in labels().items()}


@pytest.mark.parametrize("name", FORMATS)
def test_the_command_writes_masks_that_read_back_the_same(copy, made, name):
    out = made.parent / "für mich" / name
    said = copy.here("cli.py", "export", "masks", str(made), "--format", name, "-o", str(out))
    assert f"4 images in {out}; classes: cat, polar_bear, Füße & <Co>\n" in said.stdout
    assert ("in 1 images, void pixels became background" in said.stdout) != (name in KEEP_VOID)
    masks, names = READERS[name](out)
    assert names == dict(enumerate(CLASSES[1:], 1))
    assert masks.keys() == labels().keys()
    for i, mask in expected(name).items():
        assert np.array_equal(masks[i], mask), i
    assert {p.name for p in out.parent.iterdir()} == {name}  # no temporary folder stays


@pytest.mark.parametrize("name", FORMATS)
def test_equal_masks_give_equal_bytes(made, name):
    first, second = made.parent / "1", made.parent / "2"
    for out in (first, second):
        export_masks(source_of(made), out, name=name)
    files = [p.relative_to(first) for p in first.rglob("*") if p.is_file()]
    assert len(files) > 4
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_images_are_copied_and_an_image_on_its_side_is_turned(made):
    photos, out = made.parent / "photos here", made.parent / "out"
    export_masks(source_of(made), out, name="coco")
    assert (out / "images/full.png").read_bytes() == (photos / "full.PNG").read_bytes()
    assert (out / "images/two words.jpg").read_bytes() == (photos / "two words.jpg").read_bytes()
    with Image.open(out / "images/turned.jpg") as turned:
        assert turned.size == (24, 36) and ORIENTATION not in turned.getexif()
        upright = formats.read_image(photos / "turned.jpg").astype(int)
        assert np.abs(np.asarray(turned) - upright).mean() < 30  # JPEG of noise; unturned is 85


def test_voc_gets_jpeg_files_alone(made):
    export_masks(source_of(made), made.parent / "out", name="voc")
    for path in (made.parent / "out/JPEGImages").iterdir():
        with Image.open(path) as image:
            assert path.suffix == ".jpg" and image.format == "JPEG"


def test_bad_input_ends_in_one_line_and_writes_nothing(copy, made, tmp_path):
    out = tmp_path / "out"

    def refused(source, *more):
        call = ("cli.py", "export", "masks", str(source), "-o", str(out), *more)
        done = copy.here(*call, check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert not out.exists() or [*out.iterdir()] == [out / "mine.txt"]
        return done.stderr

    coco = ("--format", "coco")
    assert "no format 'png'; choose one of coco, cvat, " in refused(made, "--format", "png")
    assert "--polygons goes with --format coco" in refused(made, "--format", "voc", "--polygons")
    assert "nowhere: not found; give guide, predictions, or a" in refused("nowhere", *coco)
    for name in ("guide", "predictions"):
        assert "holds no masks; run `python cli.py run` first" in refused(name, *coco)
    (tmp_path / "empty").mkdir()
    assert "not found; make the folder with `python cli.py pred" in refused(
        tmp_path / "empty", *coco
    )
    out.mkdir()
    (out / "mine.txt").touch()
    assert f"{out}: holds other files; choose a new folder" in refused(made, *coco)


def test_a_folder_without_masks_is_refused(made):
    for mask in made.glob("*.png"):
        mask.unlink()
    with pytest.raises(UserError, match="holds no masks; make them with"):
        source_of(made)
    formats.write_json(made / RECORD, {"classes": ["cat"], "files": {}})
    with pytest.raises(UserError, match="holds no masks; choose one that predict segmented"):
        source_of(made)


def test_what_does_not_fit_is_named(made):
    def refused(words, name="coco"):
        with pytest.raises(UserError, match=words):
            export_masks(source_of(made), made.parent / "out", name=name)
        assert not (made.parent / "out").exists()

    label = formats.read_label(made / "full.png")
    formats.write_label(made / "full.png", label + 1)
    refused(r"full\.png: holds the index 4, but there are 3 classes")
    formats.write_label(made / "full.png", label[:-1])
    refused(r"full\.PNG: has 31 x 17 px, but its mask .*full\.png has 31 x 16; make")
    (made.parent / "photos here/full.PNG").write_bytes(b"no image")
    refused(r"full\.PNG: cannot be decoded")
    (made.parent / "photos here/full.PNG").unlink()
    refused(r"1 of 4 images are not where they were .*full\.PNG; move them back")


def test_a_class_name_with_a_colon_is_refused_where_the_format_has_none(made):
    record = formats.read_json(made / RECORD)
    formats.write_json(made / RECORD, record | {"classes": ["background", "a:b", "c", "d"]})
    for name in ("cvat", "voc"):
        with pytest.raises(UserError, match="'a:b': this format has no class names with a colon"):
            export_masks(source_of(made), made.parent / "out", name=name)
    export_masks(source_of(made), made.parent / "out", name="yolo")


@pytest.fixture
def last_run(tmp_path, made):
    """The files of a run: other guide labels than predictions, for one image of each split."""
    layout = Layout(tmp_path / "run")
    rows = []
    for name, split in (("full", "val"), ("two words", "train")):
        label = labels()[name]
        image = next((made.parent / "photos here").glob(f"{name}.*"))
        rows.append((name, image, split, "cat", *label.shape, "x"))
        formats.write_label(layout.labels("guide") / f"{name}.png", label)
        formats.write_label(layout.refined("box") / f"{name}.png", np.zeros_like(label))
    columns = ("id", "image", "split", "tags", "height", "width", "digest")
    formats.write_table(layout.samples, rows, columns=columns)
    formats.write_json(layout.classes, CLASSES[1:])
    return layout


def test_guide_and_predictions_are_those_of_the_last_run(last_run):
    for name, same in (("guide", True), ("predictions", False)):
        out = last_run.root / name
        source = read_source(name, layout=last_run, supervision="box")
        assert source.classes == tuple(CLASSES)
        assert export_masks(source, out, name="voc").count == 2
        for i in ("full", "two words"):
            mask = formats.read_label(out / f"SegmentationClass/{i}.png")
            assert np.array_equal(mask, labels()[i]) == same
        assert (out / "ImageSets/Segmentation/train.txt").read_text() == "two words\n"
        assert (out / "ImageSets/Segmentation/val.txt").read_text() == "full\n"


def test_yolo_has_a_folder_for_each_split_and_validates_on_something(last_run, made):
    source = read_source("guide", layout=last_run, supervision="box")
    export_masks(source, last_run.root / "two", name="yolo")
    assert (last_run.root / "two/images/val/full.png").exists()
    assert (last_run.root / "two/masks/train/two words.png").exists()
    text = (last_run.root / "two/data.yaml").read_text()
    assert "train: images/train\n" in text and "val: images/val\n" in text
    export_masks(source_of(made), last_run.root / "one", name="yolo")
    assert "val: images/train\n" in (last_run.root / "one/data.yaml").read_text()
