"""What doctor reports about the data, without opening an image."""

import pytest
from ruamel.yaml import YAML

from app import doctor
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout


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
    assert check_data(layout, folder_params) == f"folder: {folder_set}, 4 images; cat 2, dog 2"


def test_pretext_is_no_path(layout, params):
    params["pretext"]["task"] = "rotation"
    params["seed"]["weights"] = "pretext"
    write_params(layout, params)
    assert doctor._weights(layout).startswith("seed: efficientnet_lite0 pretext, ")


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
