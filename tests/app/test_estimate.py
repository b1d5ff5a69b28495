"""The estimate of a run's time."""

import pytest

from app import estimate
from app.photographs import Photograph
from pipeline.core.params import lay_over, validate
from pipeline.params import Params
from tests.conftest import photo
from tests.project import TINY


@pytest.fixture
def tiny(params):
    lay_over(params, TINY)
    lay_over(params, {"saliency": {"source": "onnx"}})
    return validate(Params, params, where="tiny")


def photographs(folder, *, count):
    photo(folder / "a.png", size=(64, 48))
    return [Photograph(f"p{i}", folder / "a.png", ("dog",), "", 48, 64) for i in range(count)]


def test_test_time_follows_from_pixels_scales_and_mirror_images(tiny, tmp_path):
    """An image of 64x48 px at one scale, and mirrored, has 1.5 times the pixels of a view."""
    (middle,) = photographs(tmp_path, count=1)
    maps, train = tiny.seed.maps, tiny.seed.train
    passes = estimate._forward_passes(maps, train, middle)
    assert maps.flip and passes == pytest.approx(estimate.FORWARD * 1.5)
    twice = maps.model_copy(update={"scales": (1.0, 2.0), "flip": False})
    assert estimate._forward_passes(twice, train, middle) == pytest.approx(passes * 5 / 2)


@pytest.mark.slow
def test_a_probe_measures_each_part(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_DEVICE", "cpu")
    done = estimate.estimate(tiny, photographs(tmp_path, count=1000), root=tmp_path)
    assert done.missing == "saliency" and done.parts_s["saliency"] == 0
    assert all(seconds > 0 for part, seconds in done.parts_s.items() if part != "saliency")
    assert done.total_s > done.parts_s["all else"] >= 70
    assert 0 < done.probe_s < 120
