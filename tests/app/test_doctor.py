"""What doctor reports about params and lists, without opening an image."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from app import doctor
from pipeline.core import formats
from pipeline.core.config import OWN_BACKBONES
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over
from pipeline.nets import backbones


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A project's root without any data."""
    monkeypatch.chdir(tmp_path)
    return Layout()


def write_params(layout, params):
    with layout.params.open("w") as f:
        YAML().dump(params, f)


def check_data(layout, params):
    write_params(layout, params)
    return doctor._data(layout)


def test_the_generated_set_needs_no_files(layout, params):
    assert check_data(layout, params) == "shapes: the chain generates them"
    (layout.shapes / "images").mkdir(parents=True)  # a run was stopped here
    assert check_data(layout, params) == "shapes: the chain generates them"


def test_tags_and_images_are_counted_and_images_not_opened(layout, folder_params, folder_set):
    (folder_set / "images/p2.png").write_bytes(b"no image")  # prepare would find this
    assert (
        check_data(layout, folder_params) == f"folder: {folder_set}, 4 images, 4 masks; "
        "cat 2, dog 2"
    )


def test_pretext_is_no_path(layout, params):
    params["pretext"]["task"] = "rotation"
    params["seed"]["weights"] = "pretext"
    write_params(layout, params)
    assert doctor._weights(layout).startswith("seed: pretext, ")


def test_a_missing_image_and_a_bad_tag_are_named(layout, folder_params, folder_set):
    (folder_set / "images/p2.png").unlink()
    with pytest.raises(UserError, match=r"tags\.csv: no image in .*images for id 'p2'"):
        check_data(layout, folder_params)
    folder_params["data"]["classes"] = ["dog"]
    with pytest.raises(UserError, match=r"tags\.csv: tag 'cat' \(line 2\): not in data\.classes"):
        check_data(layout, folder_params)


def test_short_trainings_are_named_with_the_epochs_they_need(layout, folder_params, folder_set):
    folder_params["seed"]["train"] |= {"batch": 2, "epochs": 150}
    folder_params["segment"]["train"] |= {"batch": 3, "epochs": 100}
    write_params(layout, folder_params)
    # train has three images, so an epoch of either training is one step
    short = "segment.train.epochs to 150 (100 steps now)"
    assert doctor.advise_epochs(layout) == f"too few training steps to learn much; raise {short}"
    folder_params["segment"]["train"]["epochs"] = 150
    write_params(layout, folder_params)
    assert doctor.advise_epochs(layout) == ""


def test_files_left_out_are_counted(layout, folder_params, folder_set):
    (folder_set / "tags.csv").write_text("id,tags\np0,cat\n")
    (folder_set / "masks/p0.png").unlink()
    message = check_data(layout, folder_params)
    assert "1 images, 0 masks; cat 1, dog 0; images without a line in tags.csv: 3" in message
    assert message.endswith("files in masks/ that fit no line of tags.csv: 3")


@pytest.mark.parametrize("change, match", [
    ({"saliency": {"source": "oracle"}}, "1 of 4 images have no mask, .* every image: p0; add the"),
    ({"segment": {"supervision": ["guide", "oracle"]}}, "1 of 4 images have no mask"),
    ({"segment": {"supervision": ["full"]}}, None),
])  # fmt: skip
def test_masks_that_params_need_are_demanded(layout, folder_params, folder_set, change, match):
    lay_over(folder_params, change)
    check_data(layout, folder_params)
    (folder_set / "masks/p0.png").unlink()
    if match:
        with pytest.raises(UserError, match=match):
            check_data(layout, folder_params)
    else:
        check_data(layout, folder_params)


def test_full_supervision_needs_a_mask_of_a_train_image(layout, folder_params, folder_set):
    folder_params["segment"]["supervision"] = ["full"]
    for key in ("p0", "p1", "p2"):
        (folder_set / f"masks/{key}.png").unlink()
    with pytest.raises(UserError, match="no train image has a mask; add masks, or remove full"):
        check_data(layout, folder_params)


def test_missing_saliency_maps_are_counted_before_anything_runs(layout, folder_params, folder_set):
    root = folder_set / "saliency"
    folder_params["saliency"] |= {"source": "folder", "options": {"folder": {"root": str(root)}}}
    for key in ("p0", "p3"):
        formats.write_grey(root / f"{key}.png", np.zeros((30, 40)))
    write_params(layout, folder_params)
    with pytest.raises(
        UserError, match=r"saliency: 2 of 4 images have no map ID\.png: p1, p2; add"
    ):
        doctor.require_inputs(layout)
    for key in ("p1", "p2"):
        formats.write_grey(root / f"{key}.png", np.zeros((30, 40)))
    doctor.require_inputs(layout)


def test_a_saliency_set_without_classes_needs_exclude_txt_before_anything_runs(
    layout, folder_params, tmp_path
):
    root = tmp_path / "saliency_set"
    for folder in ("images", "masks"):
        formats.write_grey(root / folder / "a.png", np.zeros((30, 40)))
    net = folder_params["saliency"]["options"]["net"]
    folder_params["saliency"]["source"] = "net"
    net |= {"train_set": "masks", "root": str(root)}
    write_params(layout, folder_params)
    with pytest.raises(UserError, match=r"exclude\.txt: not found, .* tell classes apart"):
        doctor.require_inputs(layout)
    (root / "exclude.txt").touch()
    doctor.require_inputs(layout)


@pytest.mark.parametrize("section, name, hint", [
    ("seed", "vgg61", r"did you mean vgg16\?"), ("segment", "resnet-50", "resnet50"),
])  # fmt: skip
def test_an_unknown_backbone_stops_before_anything_runs(
    layout, folder_params, folder_set, section, name, hint
):
    folder_params[section]["backbone"] = name
    write_params(layout, folder_params)
    with pytest.raises(UserError, match=rf"params.yaml: {section}\.backbone '{name}' .*{hint}"):
        doctor.require_inputs(layout)


def test_own_backbones_are_those_that_have_a_builder():
    assert set(OWN_BACKBONES) == backbones.TRUNKS.keys()


def test_a_fault_that_stops_several_checks_is_named_once(layout, folder_params, folder_set):
    write_params(layout, folder_params)
    (folder_set / "tags.csv").write_text("id,tags\np0,bird\n")
    failed = [check.name for check in doctor.examine(layout) if not check.ok]
    assert failed == ["data", "saliency"]  # saliency.options.net.root is missing here
