"""Views: an image that was decoded small and turned still lies under its label."""

import numpy as np
import pytest
from PIL import Image

from pipeline import blocks, formats, loader

TURNED = 6  # EXIF: shown a quarter to the right
TRAIN = {
    "size_px": 64, "scale": [0.5, 1.0], "jitter": 0.0, "epochs": 1, "batch": 2,
    "optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0, "schedule": "poly",
    "head_lr_factor": 1, "frozen_stages": 0,
}  # fmt: skip


@pytest.fixture
def turned(tmp_path):
    """A JPEG of 901x700 px with an object, stored lying, and its upright label."""
    label = np.zeros((901, 700), np.uint8)
    label[150:500, 80:400] = 1
    exif = Image.Exif()
    exif[0x0112] = TURNED
    lying = np.repeat(np.rot90(label)[..., None] * 255, 3, 2)
    Image.fromarray(lying).save(tmp_path / "x.jpg", exif=exif, quality=95)
    formats.write_label(tmp_path / "x.png", label)
    return tmp_path


def test_a_small_and_turned_jpeg_lies_under_its_label(turned):
    train = blocks.Train.model_validate(TRAIN)
    image = formats.read_image(turned / "x.jpg", least_px=64)
    assert image.shape[0] < 901 and image.shape[0] > image.shape[1]  # small, upright
    views = loader.Views([turned / "x.jpg"], [turned / "x.png"], train, seed=0)
    seen = 0
    for epoch in range(20):
        view, label = views[epoch, 0]
        bright, label = view[0].numpy() > 127, label.numpy()
        agree = (bright == (label == 1))[label != 255]
        assert agree.mean() > 0.95
        seen += (label == 1).any() and (label == 0).any()
    assert seen > 10
