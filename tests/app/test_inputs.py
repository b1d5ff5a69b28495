"""What doctor finds when it opens images, masks and saliency maps."""

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from app import findings, inputs
from pipeline.core import decoding, formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.dataset import checks, masks
from tests.conftest import photo
from tests.project import ROOT


@pytest.fixture
def layout(tmp_path, monkeypatch, folder_params):
    """A project's root whose params name `folder_set`, and own saliency maps."""
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    folder = {"folder": {"root": str(tmp_path / "maps")}}
    folder_params["saliency"] |= {"source": "folder", "options": folder}
    for i in range(4):
        formats.write_grey(tmp_path / f"maps/p{i}.png", np.zeros((30, 40)))
    with (tmp_path / "params.yaml").open("w") as f:
        YAML().dump(folder_params, f)
    return Layout()


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened."""
    paths = []

    def open_file(path, _open=decoding._open):
        paths.append(path.name)
        return _open(path)

    monkeypatch.setattr(decoding, "_open", open_file)
    return paths


def refused(check, layout):
    with pytest.raises(UserError) as error:
        check(layout)
    return [line.strip() for line in str(error.value).splitlines()]


def test_good_files_are_counted(layout, folder_set):
    photo(folder_set / "images/p3.png", size=(50, 60))
    formats.write_label(folder_set / "masks/p3.png", np.full((60, 50), 2, np.uint8))
    assert inputs.check_images(layout) == "4 images, the largest has 50x60 px"
    assert inputs.check_masks(layout) == "4 masks"
    assert inputs.check_maps(layout) == "4 maps"


def test_generated_files_are_not_opened(layout, params, opened):
    params["data"] = read_yaml(ROOT / "presets/shapes.yaml")["data"]
    with layout.params.open("w") as f:
        YAML().dump(params, f)
    (layout.shapes / "images").mkdir(parents=True)
    (layout.shapes / "images/0.png").touch()
    assert inputs.check_images(layout) == inputs.check_masks(layout) == inputs.GENERATED
    assert not opened


def test_bad_images_are_listed_together(layout, folder_set):
    (folder_set / "images/p1.png").write_bytes(b"no image")
    (folder_set / "images/p2.png").write_bytes(b"")
    first, *others = refused(inputs.check_images, layout)
    assert first == "2 of 4 images are refused:" and len(others) == 2
    assert "p1.png: cannot be decoded" in others[0] and "p2.png: is empty" in others[1]
    photo(folder_set / "images/p2.png")
    (line,) = refused(inputs.check_images, layout)
    assert "p1.png: cannot be decoded" in line


def test_of_many_bad_images_twenty_are_named(layout, folder_set):
    rows = [(f"b{i:02}", "cat") for i in range(25)]
    formats.write_table(folder_set / "tags.csv", rows, columns=("id", "tags"))
    for key, _ in rows:
        (folder_set / f"images/{key}.jpg").touch()
    (folder_set / "masks").rename(folder_set / "none")
    first, *others = refused(inputs.check_images, layout)
    assert first == "25 of 25 images are refused; the first 20:" and len(others) == 20


def test_masks_are_compared_with_images_and_tags(layout, folder_set):
    formats.write_label(folder_set / "masks/p0.png", np.full((30, 40), 2, np.uint8))
    formats.write_label(folder_set / "masks/p1.png", np.zeros((30, 40), np.uint8))
    formats.write_label(folder_set / "masks/p2.png", np.full((30, 40), VOID, np.uint8))
    half = np.repeat(np.array([[0], [VOID]], np.uint8), [10, 20], 0).repeat(40, 1)
    formats.write_label(folder_set / "masks/p3.png", half)
    assert inputs.check_masks(layout).split(inputs.INDENT) == [
        "4 masks",
        f"note: {masks.OTHER_CLASS}: 1 (p0)",
        f"note: {masks.NO_OBJECT}: 1 (p1)",
        f"note: {masks.ALL_VOID}: 1 (p2)",
        f"note: {masks.READ_AS_TAG}: 1 (p3)",
    ]


def test_bad_masks_are_listed_together(layout, folder_set):
    formats.write_label(folder_set / "masks/p0.png", np.full((30, 40), 3, np.uint8))
    formats.write_label(folder_set / "masks/p1.png", np.zeros((40, 30), np.uint8))
    Image.new("RGB", (40, 30)).save(folder_set / "masks/p2.png")
    first, *others = refused(inputs.check_masks, layout)
    assert first == "3 of 4 masks are refused:"
    assert "p0.png: index 3 has no class" in others[0]
    assert "p1.png: size is 30x40, but its image" in others[1]
    assert "p2.png: is a RGB image without class indices" in others[2]


def test_data_without_masks_is_fine(layout, folder_set):
    (folder_set / "masks").rename(folder_set / "none")
    assert inputs.check_masks(layout) == "none, so the scores compare with tags alone"


def test_odd_images_are_noted(layout, folder_set):
    Image.fromarray(np.full((30, 40), 4095, np.uint16)).save(folder_set / "images/p2.png")
    lines = inputs.check_images(layout).split(inputs.INDENT)
    assert lines[1:] == [f"note: {checks.DARK}: 1 (p2)"]


def test_bad_and_missing_maps_are_listed(layout, tmp_path):
    (tmp_path / "maps/p2.png").write_bytes(b"no image")
    (line,) = refused(inputs.check_maps, layout)
    assert "maps/p2.png: cannot be decoded" in line
    (tmp_path / "maps/p2.png").unlink()
    (line,) = refused(inputs.check_maps, layout)
    assert "1 of 4 images have no map ID.png: p2; add the maps" in line


# --- the findings of an earlier call


def test_unchanged_files_are_not_opened_again(layout, folder_set, opened):
    for check in (inputs.check_images, inputs.check_masks, inputs.check_maps):
        check(layout)
    assert set(opened) == {f"p{i}.png" for i in range(4)} and len(opened) >= 12
    opened.clear()
    for check in (inputs.check_images, inputs.check_masks, inputs.check_maps):
        check(layout)
    assert not opened
    photo(folder_set / "images/p1.png", size=(41, 30), seed=9)
    assert "p1.png: size is 40x30, but its image" in refused(inputs.check_masks, layout)[0]
    assert set(opened) == {"p1.png"}


def test_a_refused_file_is_remembered_until_it_changes(layout, folder_set, opened):
    path = folder_set / "images/p1.png"
    path.write_bytes(b"")
    assert refused(inputs.check_images, layout) == refused(inputs.check_images, layout)
    assert opened.count("p1.png") == 1
    photo(path)
    assert inputs.check_images(layout).startswith("4 images")


def test_tags_are_compared_anew_without_opening_a_file(layout, folder_set, opened):
    assert inputs.check_masks(layout) == "4 masks"
    opened.clear()
    (folder_set / "tags.csv").write_text("id,tags\np0,dog\np1,dog\n")
    assert f"{masks.OTHER_CLASS}: 1 (p0)" in inputs.check_masks(layout)
    assert not opened


@pytest.mark.parametrize("damage", ["", "[]", '{"files": 3}', "null", '{"made_by": "x"}'])
def test_damaged_findings_are_made_anew(layout, damage):
    inputs.check_images(layout)
    layout.findings.write_text(damage)
    assert inputs.check_images(layout).startswith("4 images")


def test_other_code_or_another_limit_looks_again(layout, opened, monkeypatch):
    inputs.check_images(layout)
    opened.clear()
    monkeypatch.setenv("GUIDELABEL_MAX_MEGAPIXELS", "0")
    assert refused(inputs.check_images, layout)[0] == "4 of 4 images are refused:"


def test_what_an_interrupted_call_saw_is_kept(layout, monkeypatch, opened):
    look = findings._look

    def interrupted(job):
        if job[1].name == "p2.png":
            raise KeyboardInterrupt
        return look(job)

    monkeypatch.setattr(findings, "_look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inputs.check_images(layout)
    monkeypatch.setattr(findings, "_look", look)
    opened.clear()
    inputs.check_images(layout)
    assert set(opened) == {"p2.png", "p3.png"}


def test_a_broken_link_is_refused(layout, folder_set):
    (folder_set / "images/p1.png").unlink()
    (folder_set / "images/p1.png").symlink_to("nowhere.png")
    assert "p1.png: not found" in refused(inputs.check_images, layout)[0]
