"""`Segmenter` in Python: its examples, what images it takes, and that it needs no torch."""

import doctest
import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from app import nets, parts, predict, probabilities, segmenter
from app.segmenter import Segmenter
from app.sources import Source
from pipeline.core import formats
from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.core.params import section
from pipeline.inference import infer
from pipeline.inference.sizes import Photo
from pipeline.nets import checkpoint
from pipeline.seeds.classifier import Classifier, classifier_spec
from pipeline.seeds.config import SeedMaps, SeedModel
from pipeline.segment.deeplab import DeepLab
from tests.conftest import photo
from tests.project import ROOT

CLASSES = ("background", "cat", "dog")
SPEC = {
    "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v3plus",
    "classes": [*CLASSES[1:]],
}  # fmt: skip
INFER = Infer(size_px=64, scales=(1.0, 1.5), flip=True)


class Colours:
    """A network whose classes are the three colours, at a stride of 4 px."""

    classes, grid_px = CLASSES, 4

    def logits(self, image_HW3):
        return image_HW3[::4, ::4].transpose(2, 0, 1).astype(np.float32) / 50


@pytest.fixture
def colours():
    return Segmenter(Colours())


@pytest.fixture
def image():
    """48 x 64 px: red, green and blue in thirds, with noise."""
    image = np.random.default_rng(0).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    for k, columns in enumerate((slice(0, 20), slice(20, 44), slice(44, 64))):
        image[:, columns, k] += 190
    return image


@pytest.fixture
def model(tmp_path):
    """A segmenter that was not trained."""
    torch.manual_seed(0)
    checkpoint.save(tmp_path / "model", DeepLab.from_spec(SPEC), SPEC, [])
    return tmp_path / "model"


@pytest.mark.parametrize("module", [segmenter, parts])
def test_the_examples_in_the_docstrings_run(module, model, params, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = classifier_spec(section(params, "seed", SeedModel), [*CLASSES[1:]])
    checkpoint.save(tmp_path / "classifier", Classifier.from_spec(spec), spec, [])
    photo(tmp_path / "photo.png")
    names = vars(module) | {"segmenter": Segmenter.load("model")}
    failures = io.StringIO()
    for test in doctest.DocTestFinder().find(module, globs=names):
        doctest.DocTestRunner().run(test, out=failures.write)
    assert not failures.getvalue(), failures.getvalue()


def test_the_label_is_the_strongest_class_of_each_pixel(colours, image):
    prediction = colours(image)
    assert prediction.classes == CLASSES
    assert (prediction.label[:, :18] == 0).all() and (prediction.label[:, 24:40] == 1).all()
    assert (prediction.label == prediction.probabilities.argmax(axis=0)).all()
    np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-5)


def test_probabilities_are_computed_only_when_asked_for(colours, image, monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(probabilities, "whole", fail)
    prediction = colours(image)
    prediction.overlay(), prediction.to_coco()
    with pytest.raises(AssertionError):
        _ = prediction.probabilities


def test_every_kind_of_image_gives_the_same(colours, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    turned = Image.fromarray(np.rot90(image))
    exif = turned.getexif()
    exif[0x0112] = 6  # turn it by 90 degrees to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)
    expected = colours(image).label
    rgba = np.dstack([image, np.full(image.shape[:2], 9, np.uint8)])
    for other in (
        tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(image), rgba,
        Image.fromarray(rgba), tmp_path / "turned.png", Image.open(tmp_path / "turned.png"),
    ):  # fmt: skip
        assert (colours(other).label == expected).all(), other
    grey = colours(image[..., 0])
    assert grey.image.shape == image.shape and (grey.label == 0).all()


@pytest.mark.parametrize("bad, message", [
    (np.zeros((4, 4, 3)), "an array of float64"), (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
    (np.zeros(4, np.uint8), "(4,)"), (Image.new("I;16", (4, 4)), "mode I;16"),
    ("nowhere.png", "nowhere.png: not found"),
])  # fmt: skip
def test_other_images_are_refused(colours, bad, message):
    with pytest.raises(UserError) as e:
        colours(bad)
    assert message in str(e.value)


def test_the_coco_masks_are_the_label(colours, image):
    coco = colours(image).to_coco(file_name="a.png", image_id=7)
    assert coco["images"] == [{"id": 7, "file_name": "a.png", "width": 64, "height": 48}]
    assert [c["name"] for c in coco["categories"]] == ["cat", "dog"]
    cat, dog = coco["annotations"]
    assert (cat["id"], cat["image_id"], cat["category_id"], dog["id"]) == (1, 7, 1, 2)
    label = colours(image).label
    assert cat["area"] == (label == 1).sum() and dog["segmentation"]["size"] == [48, 64]


def test_saved_files_hold_the_prediction(colours, image, tmp_path):
    prediction = colours(image)
    prediction.save(tmp_path / "a.b.png", with_probabilities=True)
    names = {"a.b.png", "a.b_overlay.jpg", "a.b.npz"}
    assert {p.name for p in tmp_path.iterdir()} == names
    assert (formats.read_label(tmp_path / "a.b.png") == prediction.label).all()
    saved = formats.read_arrays(tmp_path / "a.b.npz")
    assert saved["classes"].tolist() == [*CLASSES]
    assert saved["probabilities"].dtype == np.float16
    np.testing.assert_allclose(saved["probabilities"], prediction.probabilities, atol=5e-4)
    before = (tmp_path / "a.b.npz").read_bytes()
    prediction.save(tmp_path / "a.b.png", with_probabilities=True)
    assert (tmp_path / "a.b.npz").read_bytes() == before
    with pytest.raises(UserError, match=r"a\.jpg: a mask is a PNG file"):
        prediction.save(tmp_path / "a.jpg")


def test_results_of_a_large_image_do_not_depend_on_its_parts(colours, monkeypatch, tmp_path, rng):
    """The same image with windows and strips of a few px."""
    image = rng.integers(0, 255, (90, 130, 3), dtype=np.uint8)
    colours(image).save(tmp_path / "whole/a.png", with_probabilities=True)
    monkeypatch.setattr(segmenter.tiles, "WINDOW_PX", 32)
    monkeypatch.setattr(segmenter.tiles, "MARGIN_PX", 0)
    monkeypatch.setattr(segmenter, "STRIP_PX", 7)
    parts = []
    real = segmenter.tiles.window
    monkeypatch.setattr(segmenter.tiles, "window", lambda *a, **k: parts.append(a) or real(*a, **k))
    colours(image).save(tmp_path / "parts/a.png", with_probabilities=True)
    assert len(parts) > 20
    for name in ("a.png", "a_overlay.jpg"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    one, other = (
        formats.read_arrays(tmp_path / f / "a.npz")["probabilities"] for f in ("whole", "parts")
    )
    np.testing.assert_allclose(one, other, atol=1e-3)


# ---- the networks


def test_python_and_the_command_give_the_same_mask(model, tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    photo(tmp_path / "in/a.png", size=(64, 48))
    predictor = predict.Predictor(model, tmp_path / "out", predict.Options(), infer=INFER)
    assert predictor.segment([Source("a", tmp_path / "in/a.png")]).count == 1
    prediction = Segmenter.load(model, options=INFER)(tmp_path / "in/a.png")
    assert (formats.read_label(tmp_path / "out/a.png") == prediction.label).all()


def test_a_trained_segmenter_takes_the_params_of_its_project(model, tmp_path):
    assert nets.load_net(model).size_px == 448  # of the preset for photographs
    folder = tmp_path / "project/data/models/segment/guide"
    folder.parent.mkdir(parents=True)
    model.rename(folder)
    params = (
        (ROOT / "presets/shapes.yaml")
        .read_text()
        .replace("{size_px: 160, scales: [1.0], f", "{size_px: 96, scales: [1.0], f")
    )
    (tmp_path / "project/params.yaml").write_text(params)
    assert nets.load_net(folder).size_px == 96
    assert nets.load_net(folder, INFER).scales == (1.0, 1.5)


def test_tiles_of_a_trained_segmenter_give_what_the_whole_image_gives(model, rng):
    image = rng.integers(0, 255, (96, 128, 3), dtype=np.uint8)
    net = nets.load_net(model, Infer(size_px="native", scales=(1.0,), flip=False))
    whole = net.logits(image)
    small = nets.load_net(model, Infer(size_px=32, scales=(1.0,), flip=False))
    np.testing.assert_array_equal(nets.logits_of(small, image, tile_px=128), whole)
    assert nets.logits_of(small, image, tile_px=64).shape == whole.shape


def test_a_missing_package_of_the_crf_is_one_line(colours, image, monkeypatch):
    assert colours(image, crf=True).label.shape == (48, 64)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(UserError, match=r"pip install 'guidelabel\[crf\]'"):
        colours(image, crf=True)


NO_TORCH = """
import sys, types
from pathlib import Path
for name in ("torch", "pydantic", "ruamel.yaml", "timm", "dvc", "pydensecrf", "skimage", "scipy"):
    sys.modules[name] = None  # an import of it fails
fake = types.ModuleType("pipeline.inference.onnx_net")
class OnnxSegmenter:
    classes, grid_px = ("background", "cat", "dog"), 4
    @classmethod
    def load(cls, path): return cls()
    def logits(self, image): return image[::4, ::4].transpose(2, 0, 1).astype("float32")
fake.OnnxSegmenter = OnnxSegmenter
sys.modules[fake.__name__] = fake
from app.segmenter import Segmenter
prediction = Segmenter.load("model.onnx")("a.png")
prediction.probabilities, prediction.overlay(), prediction.save("masks/a.png")
from app import predict, sources, videos, watch
Path("model.onnx").touch()
predictor = predict.Predictor(Path("model.onnx"), Path("out"), predict.Options())
print(predictor.segment(sources.find(["a.png"], standard_input=None)))
"""


def test_an_exported_model_needs_neither_torch_nor_other_large_packages(tmp_path):
    photo(tmp_path / "a.png")
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "GUIDELABEL_WORKERS": "1", "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "count=1" in done.stdout
    assert (tmp_path / "out/a.png").read_bytes() == (tmp_path / "masks/a.png").read_bytes()


# ---- parts of the method


def test_class_maps_in_python_are_those_that_the_command_draws(params, tmp_path, rng):
    """The same maps as `infer.run`, which the stages use."""
    spec = classifier_spec(section(params, "seed", SeedModel), ["cat", "dog"])
    checkpoint.save(tmp_path / "classifier", Classifier.from_spec(spec), spec, [])
    options = SeedMaps(**params["seed"]["maps"] | {"size_px": 64, "scales": (1.0, 2.0)})
    photo(tmp_path / "a.png", size=(64, 48))
    seen = parts.Classifier.load(tmp_path / "classifier", options=options)(tmp_path / "a.png")
    net, _ = checkpoint.load(tmp_path / "classifier", Classifier.from_spec)
    pictures = [Photo("a", tmp_path / "a.png", 48, 64)]
    ((_, maps),) = infer.run(net, pictures, options, title="", offset_px=net.offset_px)
    expected = infer.merge([m[None].relu() for m in maps])[0].numpy()
    np.testing.assert_allclose(seen.maps, expected, atol=1e-4)
    dog, index = seen.of(["dog"])
    assert index.tolist() == [2] and (dog[0] == seen.maps[1]).all()
    with pytest.raises(UserError, match="'cow': not one of the classes cat, dog"):
        seen.of(["cow"])


def test_the_refined_probabilities_have_the_label_of_the_crf(colours, image):
    prediction = colours(image, crf=True)
    marginals = parts.refine(image, prediction.probabilities)
    assert (marginals.argmax(axis=0) == prediction.label).mean() > 0.99
