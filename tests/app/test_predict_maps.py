"""`predict --maps`, with a classifier that was not trained."""

import os

import numpy as np
import pytest
import torch

from app import predict, predict_maps
from app.sources import Source
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.nets import checkpoint
from pipeline.report import drawing
from pipeline.seeds.classifier import Classifier, classifier_spec
from pipeline.seeds.config import SeedMaps, SeedModel
from tests.conftest import photo

CLASSES = ["a", "b", "c", "d", "e", "f", "g"]


@pytest.fixture
def maps(params):
    params["seed"]["maps"] |= {"size_px": 64, "scales": [0.5, 1.0]}
    return section(params, "seed.maps", SeedMaps)


@pytest.fixture
def model(tmp_path, params, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    spec = classifier_spec(section(params, "seed", SeedModel), CLASSES)
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "model", Classifier.from_spec(spec), spec, [(1.0, None)])
    return tmp_path / "model"


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / "in" / name for name in ("x.png", "y.jpg")]
    for i, path in enumerate(paths):
        photo(path, size=(64, 48), seed=i)
    return [Source(path.stem, path) for path in paths]


def test_the_photograph_and_five_maps_are_drawn_for_each_image(model, photos, maps, tmp_path):
    out = tmp_path / "out"
    bad = tmp_path / "in/broken.jpg"
    bad.write_bytes(b"no image")
    results = predict_maps.draw(model, [*photos, Source("broken", bad)], out, maps)
    assert (results.count, results.kept, results.classes) == (
        2,
        0,
        (),
    ) and "broken.jpg" in results.skipped[0]
    assert {p.name for p in out.iterdir()} == {"x_maps.jpg", "y_maps.jpg", predict.RECORD}
    picture = formats.read_image(out / "x_maps.jpg")
    assert picture.shape == (predict_maps.HEIGHT_PX + drawing.TITLE_PX, 6 * 400 + 5 * 4, 3)
    assert formats.read_json(out / predict.RECORD)["classes"] == CLASSES


def test_titles_name_the_most_probable_classes_in_order(model, photos, maps, tmp_path, monkeypatch):
    """The classifier's maps are set to constants: the score of a class is its constant."""
    titles = []
    real = drawing.titled
    monkeypatch.setattr(drawing, "titled", lambda p, text: titles.append(text) or real(p, text))
    scores = torch.tensor([-1.0, 2.0, 0.0, 5.0, 1.0, -3.0, 3.0])
    monkeypatch.setattr(
        predict_maps.infer, "run",
        lambda net, photos, options, **_: (
            (p, [scores[:, None, None].expand(7, 3, 4).clone() for _ in options.scales])
            for p in photos
        ),
    )  # fmt: skip
    predict_maps.draw(model, photos[:1], tmp_path / "out", maps)
    assert titles == ["photograph", "d 0.99", "g 0.95", "b 0.88", "e 0.73", "c 0.50"]


def test_each_map_is_drawn_as_heat_over_the_photograph_divided_by_its_maximum(rng):
    image = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    maps = np.zeros((2, 300, 300), np.float32)
    maps[0, :, :150], maps[1, :150] = 7.0, 0.1
    panel = predict_maps.panel_of(image, maps, ["left", "top"])[drawing.TITLE_PX :]
    assert (panel[:, :300] == image).all()
    for i, map_HW in enumerate(maps, 1):
        start = i * (300 + 4)
        expected = drawing.heat(image, (map_HW > 0).astype(np.float32))
        assert (panel[:, start : start + 300] == expected).all()


def test_pictures_are_kept_and_not_mixed_with_those_of_another_network(
    model, photos, maps, tmp_path
):
    out = tmp_path / "out"
    predict_maps.draw(model, photos, out, maps)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    (out / "y_maps.jpg").unlink()
    os.utime(out / "x_maps.jpg", (1, 1))
    assert predict_maps.draw(model, photos, out, maps).kept == 1
    assert (out / "x_maps.jpg").stat().st_mtime == 1  # not drawn again
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    other = maps.model_copy(update={"flip": not maps.flip})
    with pytest.raises(UserError, match="holds results of another network or other params"):
        predict_maps.draw(model, photos, out, other)
    with pytest.raises(UserError, match=r"holds x\.png; choose another folder"):
        predict_maps.draw(model, photos, photos[0].path.parent, maps)


def test_a_folder_without_a_classifier_is_named(model, photos, maps, tmp_path):
    with pytest.raises(UserError, match="no network was trained there"):
        predict_maps.draw(tmp_path / "none", photos, tmp_path / "out", maps)
    formats.write_json(model / "net.json", {"kind": "deeplab"})
    with pytest.raises(UserError, match="of kind 'deeplab', not 'classifier'"):
        predict_maps.draw(model, photos, tmp_path / "out", maps)
