"""A project after a run, with the images that `tests.app.exports` exports."""

import pytest

from app.exports.masks import export_masks
from app.exports.source import Masked, Source
from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from tests.app.exports.conftest import CLASSES, labels
from tests.conftest import photo


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """The paths of the project, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    layout, samples = Layout(), []
    for i, (key, label) in enumerate(labels().items()):
        height, width = label.shape
        photo(tmp_path / f"photos/images/{key}.png", seed=i, size=(width, height))
        image = tmp_path / f"photos/images/{key}.png"
        samples.append(Sample(key, image, "train", (), height, width, "x"))
    write_samples(layout.samples, samples)
    formats.write_json(layout.classes, CLASSES[1:])
    return layout


@pytest.fixture
def exported(layout, tmp_path):
    """Export masks in a format, and return the folder."""

    def export(name, masks, **options):
        images = []
        for key, label in masks.items():
            formats.write_label(tmp_path / f"made/{key}.png", label)
            image = tmp_path / f"photos/images/{key}.png"
            images.append(Masked(key, image, tmp_path / f"made/{key}.png", "train"))
        source = Source(tuple(CLASSES), tuple(images))
        export_masks(source, tmp_path / f"export {name}", name=name, **options)
        return tmp_path / f"export {name}"

    return export
