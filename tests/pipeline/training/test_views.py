"""Views of the training images, and whole images for inference."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.config import Infer, Train
from pipeline.core.samples import Sample
from pipeline.inference import whole
from pipeline.training.views import Views, epoch_keys, fixed, fixed_keys

TURNED = 6  # EXIF orientation: shown turned by 90 degrees to the right
TRAIN = {
    "size_px": 64, "scale": [0.5, 1.0], "jitter": 0.0, "epochs": 1, "batch": 2,
    "optimizer": "sgd", "lr": 0.01, "weight_decay": 0.0, "schedule": "poly",
    "head_lr_factor": 1, "frozen_stages": 0,
}  # fmt: skip


@pytest.fixture
def turned(tmp_path):
    """A JPEG with an object, stored on its side, and its upright label of 901x700 px."""
    label = np.zeros((901, 700), np.uint8)
    label[150:500, 80:400] = 1
    exif = Image.Exif()
    exif[0x0112] = TURNED
    stored = np.repeat(np.rot90(label)[..., None] * 255, 3, 2)
    Image.fromarray(stored).save(tmp_path / "x.jpg", exif=exif, quality=95)
    formats.write_label(tmp_path / "x.png", label)
    return tmp_path


def test_a_jpeg_decoded_small_and_turned_upright_agrees_with_its_label(turned):
    train = Train.model_validate(TRAIN)
    image = formats.read_image(turned / "x.jpg", least_px=64)
    assert image.shape[0] < 901 and image.shape[0] > image.shape[1]  # smaller, and upright
    views = Views([turned / "x.jpg"], [turned / "x.png"], train, seed=0)
    with_both = 0
    for epoch in range(20):
        view, label = views[epoch, 0]
        bright, label = view[0].numpy() > 127, label.numpy()
        agree = (bright == (label == 1))[label != 255]
        assert agree.mean() > 0.95
        with_both += (label == 1).any() and (label == 0).any()
    assert with_both > 10


def views(**changes):
    images = [Path(f"{i}.png") for i in range(11)]
    return Views(images, images, Train.model_validate(TRAIN), **{"seed": 3} | changes)


def drawn(views, epoch, batch=3):
    return [i for keys in epoch_keys(views, batch=batch, epoch=epoch) for _, i in keys]


def test_each_epoch_draws_each_image_at_most_once_in_another_order():
    first, second = drawn(views(), 0), drawn(views(), 1)
    assert len(first) == 9 and len(set(first)) == 9  # two images do not fill a batch
    assert first != second != sorted(second) and drawn(views(), 0) == first
    assert drawn(views(seed=4), 0) != first
    assert {i for epoch in range(20) for i in drawn(views(), epoch)} == set(range(11))
    (epoch,) = {e for keys in epoch_keys(views(), batch=3, epoch=7) for e, _ in keys}
    assert epoch == 7


def test_images_are_drawn_as_often_as_their_probabilities_say():
    weighted = views(probabilities=[0.5] + [0.05] * 10)
    images = [i for epoch in range(200) for i in drawn(weighted, epoch, batch=11)]
    assert images.count(0) / len(images) == pytest.approx(0.5, abs=0.04)
    assert images.count(7) / len(images) == pytest.approx(0.05, abs=0.02)


def test_validation_draws_all_images_in_order_and_the_same_views_in_every_epoch():
    keys = fixed_keys(views(), batch=4)
    assert keys == [[(0, i) for i in batch] for batch in (range(4), range(4, 8), range(8, 11))]


def test_a_validation_view_is_the_whole_image_in_its_own_colours(tmp_path):
    """An image of the size of the view, so that a view can only be flipped."""
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    formats.write_image(tmp_path / "x.png", image)
    train = Train.model_validate(TRAIN | {"jitter": 0.5})
    random_views = Views([tmp_path / "x.png"] * 9, [np.ones(1, np.float32)] * 9, train, seed=0)
    for i in range(9):
        view = fixed(random_views)[0, i][0].numpy().transpose(1, 2, 0)
        assert (view == image).all() or (view == image[:, ::-1]).all()


def test_a_view_depends_on_seed_epoch_and_index_alone(turned):
    train = Train.model_validate(TRAIN | {"jitter": 0.3})

    def view(epoch, i, seed=0):
        pair = Views([turned / "x.jpg"] * 2, [turned / "x.png"] * 2, train, seed)
        return pair[epoch, i][0].numpy()

    first = view(2, 1)
    assert (view(2, 1) == first).all()
    for other in (view(2, 0), view(3, 1), view(2, 1, seed=1)):
        assert (other != first).any()


def test_whole_images_come_at_each_scale_in_batches_of_one_size(tmp_path):
    sizes = [(40, 30), (30, 40), (40, 30)]
    samples = []
    for i, (width, height) in enumerate(sizes):
        formats.write_image(tmp_path / f"{i}.png", np.full((height, width, 3), 50 * i, np.uint8))
        samples.append(Sample(str(i), tmp_path / f"{i}.png", "val", (), height, width, ""))
    infer = Infer(size_px=64, scales=(0.5, 1.0), flip=False)
    count, batches = whole.whole_batches(samples, infer, stride=16)
    batches = [([s.id for s in batch], scaled) for batch, scaled in batches]
    assert count == 3 and [ids for ids, _ in batches] == [["0", "2"], ["1"]]
    sizes = [[images.shape[2:] for images in scaled] for _, scaled in batches]
    assert sizes == [[(32, 32), (48, 64)], [(32, 32), (64, 48)]]
    for ids, scaled in batches:
        for i, key in enumerate(ids):
            assert all((images[i] == 50 * int(key)).all() for images in scaled)
