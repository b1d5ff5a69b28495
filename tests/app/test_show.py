"""The panel of one image."""

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from app import show
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, write_samples
from pipeline.params import load_params
from tests.conftest import photo
from tests.project import Project

WIDTH_PX = 4 + round(40 * show.HEIGHT_PX / 30)  # of a tile and a gap


@pytest.fixture
def layout(tmp_path, params):
    """A project whose stages have run up to the guide labels, with one nested image."""
    layout = Layout(tmp_path)
    samples = []
    for key, tags in (("a/dog", ("dog",)), ("cat", ())):
        photo(tmp_path / f"images/{key}.png")
        samples.append(Sample(key, tmp_path / f"images/{key}.png", "train", tags, 30, 40, key))
        count = len(tags)
        maps = np.ones((count, 2, 3), np.float32)
        formats.write_maps(layout.maps / f"{key}.npz", maps, np.full(count, 2, np.uint8))
        formats.write_grey(layout.saliency("net") / f"{key}.png", np.ones((30, 40)))
        formats.write_label(layout.labels("guide") / f"{key}.png", np.full((30, 40), 2, np.uint8))
    write_samples(layout.samples, samples)
    formats.write_table(layout.truth, [], columns=("id", "mask"))
    formats.write_json(layout.classes, ["cat", "dog"])
    rows = [("a/dog", "0.10000", "0.90000"), ("cat", "0.70000", "0.20000")]
    formats.write_table(layout.tag_scores, rows, columns=("id", "cat", "dog"))
    (tmp_path / "dvc.yaml").touch()
    with layout.params.open("w") as f:
        YAML().dump(params, f)
    return layout


def test_a_panel_has_a_tile_for_each_link_that_has_run(layout):
    panel = show.show(layout, load_params(layout.params), "a/dog")
    assert panel.path == layout.root / "data/show/a/dog.png"
    assert panel.tags == ("dog",) and panel.predicted == (("dog", 0.9), ("cat", 0.1))
    with Image.open(panel.path) as picture:
        assert picture.width == 4 * WIDTH_PX - 4  # image, class maps, saliency, guide
        assert picture.height == show.HEIGHT_PX + show.drawing.TITLE_PX
        photograph = np.asarray(picture)[:, : WIDTH_PX - 4]
    title = np.asarray(Image.open(panel.path))[: show.drawing.TITLE_PX]
    assert title.min() < 100  # a text
    assert photograph[show.drawing.TITLE_PX :].std() > 10
    layout.tag_scores.unlink()
    formats.write_label(layout.refined("guide") / "cat.png", np.zeros((30, 40), np.uint8))
    panel = show.show(layout, load_params(layout.params), "cat")
    assert panel.predicted == ()
    with Image.open(panel.path) as picture:
        assert picture.width == 5 * WIDTH_PX - 4


@pytest.mark.parametrize("key", ["a/dog", "a/dog.png", "dog", "dog.png"])
def test_an_image_is_found_by_its_id_or_its_name(layout, key):
    assert show.show(layout, load_params(layout.params), key).tags == ("dog",)


def test_other_names_are_refused(layout):
    params = load_params(layout.params)
    with pytest.raises(
        UserError, match=r"no image 'a/dgo' in the last run; did you mean 'a/dog'\?"
    ):
        show.show(layout, params, "a/dgo")
    with pytest.raises(UserError, match="there are 2 images, such as a/dog"):
        show.show(layout, params, "zzzzz")
    with pytest.raises(UserError, match=r"out\.pdf: unknown kind of picture"):
        show.show(layout, params, "cat", output=layout.root / "out.pdf")
    with pytest.raises(UserError, match=r"samples\.csv: not found"):
        show.show(Layout(layout.root / "other"), params, "cat")


def test_the_command_line(layout):
    done = Project(layout.root).here("cli.py", "show", "dog", "-o", "p.png")
    assert done.stdout.splitlines() == ["p.png", "tags: dog; classifier: dog 0.90, cat 0.10"]
    assert (layout.root / "p.png").exists()
