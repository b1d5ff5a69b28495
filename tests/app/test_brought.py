"""What doctor says of masks that the user brings."""

import numpy as np
import pytest
from ruamel.yaml import YAML

from app import brought, doctor
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from tests.project import ROOT


@pytest.fixture
def choose(tmp_path, monkeypatch, folder_params):
    """Write params of `folder_set` that choose supervisions; return the layout."""
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    folder_params["saliency"] |= {"source": "none"}
    folder_params["brought"] = {"path": "sam", "corrections": "corrections"}

    def write(*supervision):
        folder_params["segment"]["supervision"] = list(supervision)
        with (tmp_path / "params.yaml").open("w") as f:
            YAML().dump(folder_params, f)
        return Layout()

    return write


def bring(folder, *keys, value=1, size=(30, 40)):
    for key in keys:
        formats.write_label(Layout().root / folder / f"{key}.png", np.full(size, value, np.uint8))


def test_without_such_a_supervision_no_mask_is_needed(choose):
    assert brought.check(choose("guide")) == "none needed"


@pytest.mark.parametrize("name, folder, param", [
    ("brought", "sam", r"brought\.path"), ("corrected", "corrections", r"brought\.corrections"),
])  # fmt: skip
def test_a_missing_folder_stops_before_anything_runs(choose, name, folder, param):
    layout = choose("guide", name)
    with pytest.raises(UserError, match=f"^{folder}: not found; put masks .* correct {param}"):
        doctor.require_inputs(layout)
    bring(folder, "p0")
    doctor.require_inputs(layout)


def test_train_images_with_a_mask_are_counted(choose):
    layout = choose("guide", "brought", "corrected")
    bring("sam", "p0", "p1", "p3")
    bring("corrections", "p2")
    assert brought.check(layout) == (
        "brought: 2 of 3 train images have a mask; corrected: 1 of 3 train images have a mask"
    )


def test_masks_of_val_images_alone_are_refused(choose):
    layout = choose("brought")
    bring("sam", "p3")  # the image of val
    with pytest.raises(UserError, match="none of its 1 masks is of a train image; add some"):
        doctor.require_inputs(layout)


def test_refused_masks_are_listed_together(choose):
    layout = choose("brought")
    bring("sam", "p0", value=3)
    bring("sam", "p1", size=(40, 30))
    bring("sam", "p2")
    with pytest.raises(UserError) as error:
        brought.check(layout)
    line = str(error.value)
    assert line.startswith("sam: 2 of 3 masks are refused: ") and "p2" not in line
    assert "p0.png: index 3 has no class" in line and "p1.png: size is 30x40" in line
    doctor.require_inputs(layout)  # `run` opens no file; the stage names the masks


def test_the_folder_is_needed_before_the_demo_generates_its_images(choose, params, tmp_path):
    choose("brought")
    params["data"] = read_yaml(ROOT / "presets/shapes.yaml")["data"]
    with (tmp_path / "params.yaml").open("w") as f:
        YAML().dump(params, f)
    with pytest.raises(UserError, match=r"^sam: not found"):
        brought.require(Layout())
    (tmp_path / "sam").mkdir()
    brought.require(Layout())
