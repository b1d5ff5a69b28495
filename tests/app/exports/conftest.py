"""A folder as `predict` writes it: awkward names, holes, thin lines, void, an image on its side."""

import numpy as np
import pytest
from PIL import Image

from app.predict import RECORD
from pipeline.core import formats
from pipeline.core.decoding import ORIENTATION

CLASSES = ["background", "cat", "polar_bear", "Füße & <Co>"]


def labels():
    """Return the masks: three classes, one in a ring with a hole; nothing; one class everywhere."""
    many = np.zeros((30, 40), np.uint8)
    many[3:20, 5:25], many[8:12, 9:14], many[9, 10] = 1, 0, 2
    many[15, 17], many[16, 18] = 0, 0  # holes that touch at a corner
    many[22:29, 0:40:3], many[25:, 30:] = 3, 2
    many[0, :], many[10:14, 30:33] = 255, 255
    turned = np.full((36, 24), 2, np.uint8)
    turned[:5, :7] = 1  # a corner, so that a turn or a flip shows
    return {
        "two words": many,
        "Zoë 日本": np.zeros((20, 16), np.uint8),
        "full": np.full((17, 31), 3, np.uint8),
        "turned": turned,
    }


@pytest.fixture
def made(tmp_path):
    """The folder of masks; the images lie in the folder `photos here`."""
    photos, folder = tmp_path / "photos here", tmp_path / "masks of predict"
    photos.mkdir()
    files = {}
    for seed, (name, label) in enumerate(labels().items()):
        noise = np.random.default_rng(seed).integers(0, 255, (*label.shape, 3), dtype=np.uint8)
        path = photos / f"{name}{'.PNG' if name == 'full' else '.jpg'}"
        image, exif = Image.fromarray(noise), Image.Exif()
        if name == "turned":  # stored on its side; 6 says: turn it clockwise by 90 degrees
            image, exif[ORIENTATION] = image.transpose(Image.Transpose.ROTATE_90), 6
        image.save(path, quality=95, exif=exif)
        formats.write_label(folder / f"{name}.png", label)
        files[name] = [str(path), 1, 1]
    files["stopped before its mask"] = [str(photos / "gone.jpg"), 1, 1]
    formats.write_json(folder / RECORD, {"classes": CLASSES, "made_by": "x", "files": files})
    return folder
