"""What doctor says of the data, without opening an image."""

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


def said(layout, params):
    with layout.params.open("w") as f:
        YAML().dump(params, f)
    return doctor._data(layout)


def test_the_generated_set_is_the_chains_own_whatever_is_left_of_it(layout, params):
    assert said(layout, params) == "shapes: the chain makes them"
    (layout.shapes / "images").mkdir(parents=True)  # as a run leaves it that was stopped there
    assert said(layout, params) == "shapes: the chain makes them"


def test_tags_and_images_are_counted_and_images_not_opened(layout, folder_params, folder_set):
    (folder_set / "images/p2.png").write_bytes(b"no image")  # for prepare to find
    assert said(layout, folder_params) == f"folder: {folder_set}, 4 images; cat 2, dog 2"


def test_a_missing_image_and_a_bad_tag_are_named(layout, folder_params, folder_set):
    (folder_set / "images/p2.png").unlink()
    with pytest.raises(UserError, match=r"tags\.csv: id 'p2' has no image"):
        said(layout, folder_params)
    folder_params["data"]["classes"] = ["dog"]
    with pytest.raises(UserError, match=r"tags\.csv: id 'p0': tag 'cat' is not in data\.classes"):
        said(layout, folder_params)


def test_too_few_steps_are_said_with_the_epochs_that_would_do(layout, folder_params, folder_set):
    with layout.params.open("w") as f:
        YAML().dump(folder_params, f)
    folder_params["seed"]["train"] |= {"batch": 2, "epochs": 150}
    folder_params["segment"]["train"] |= {"batch": 3, "epochs": 100}
    said(layout, folder_params)
    short = "segment.train.epochs to 150 (100 steps now)"  # three images of train: a batch an epoch
    assert doctor.few_steps(layout) == f"few images for so few epochs; raise {short}"
    folder_params["segment"]["train"]["epochs"] = 150
    said(layout, folder_params)
    assert doctor.few_steps(layout) == ""
