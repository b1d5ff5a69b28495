"""Views: an image that was decoded small and turned still lies under its label."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.config import Infer, Train
from pipeline.core.samples import Sample
from pipeline.inference import whole
from pipeline.training.views import Views, epoch_keys

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
    train = Train.model_validate(TRAIN)
    image = formats.read_image(turned / "x.jpg", least_px=64)
    assert image.shape[0] < 901 and image.shape[0] > image.shape[1]  # small, upright
    views = Views([turned / "x.jpg"], [turned / "x.png"], train, seed=0)
    seen = 0
    for epoch in range(20):
        view, label = views[epoch, 0]
        bright, label = view[0].numpy() > 127, label.numpy()
        agree = (bright == (label == 1))[label != 255]
        assert agree.mean() > 0.95
        seen += (label == 1).any() and (label == 0).any()
    assert seen > 10


def views(**kw):
    images = [Path(f"{i}.png") for i in range(11)]
    return Views(images, images, Train.model_validate(TRAIN), **{"seed": 3} | kw)


def drawn(views, epoch, batch=3):
    return [i for keys in epoch_keys(views, batch=batch, epoch=epoch) for _, i in keys]


def test_an_epoch_draws_each_image_at_most_once_in_an_order_of_its_own():
    one, two = drawn(views(), 0), drawn(views(), 1)
    assert len(one) == 9 and len(set(one)) == 9  # the two that fill no batch wait
    assert one != two != sorted(two) and drawn(views(), 0) == one
    assert drawn(views(seed=4), 0) != one
    assert {i for epoch in range(20) for i in drawn(views(), epoch)} == set(range(11))
    (epoch,) = {e for keys in epoch_keys(views(), batch=3, epoch=7) for e, _ in keys}
    assert epoch == 7


def test_a_rare_image_is_drawn_as_often_as_its_chance_says():
    chance = [0.5] + [0.05] * 10
    found = [i for epoch in range(200) for i in drawn(views(probabilities=chance), epoch, batch=11)]
    assert found.count(0) / len(found) == pytest.approx(0.5, abs=0.04)
    assert found.count(7) / len(found) == pytest.approx(0.05, abs=0.02)


def test_a_view_depends_on_seed_epoch_and_index_alone(turned):
    train = Train.model_validate(TRAIN | {"jitter": 0.3})

    def view(epoch, i, seed=0):
        pair = Views([turned / "x.jpg"] * 2, [turned / "x.png"] * 2, train, seed)
        return pair[epoch, i][0].numpy()

    first = view(2, 1)
    assert (view(2, 1) == first).all()
    for other in (view(2, 0), view(3, 1), view(2, 1, seed=1)):
        assert (other != first).any()


def test_whole_images_come_at_their_scales_in_batches_of_one_size(tmp_path):
    sizes = [(40, 30), (30, 40), (40, 30)]
    samples = []
    for i, (width, height) in enumerate(sizes):
        formats.write_image(tmp_path / f"{i}.png", np.full((height, width, 3), 50 * i, np.uint8))
        samples.append(Sample(str(i), tmp_path / f"{i}.png", "val", (), height, width, ""))
    how = Infer(size_px=64, scales=(0.5, 1.0), flip=False)
    count, batches = whole.whole_batches(samples, how, stride=16)
    found = [([s.id for s in some], [v.shape[2:] for v in seen], seen) for some, seen in batches]
    assert count == 3 and [ids for ids, *_ in found] == [["0", "2"], ["1"]]
    assert [shapes for _, shapes, _ in found] == [[(32, 32), (48, 64)], [(32, 32), (64, 48)]]
    for ids, _, seen in found:
        for i, key in enumerate(ids):
            assert all((v[i] == 50 * int(key)).all() for v in seen)
