"""The training set of the saliency network, and saliency maps that somebody gives."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, validate
from pipeline.crf.config import Crf
from pipeline.saliency import training_set
from pipeline.saliency.boxes import Boxed
from pipeline.saliency.config import SaliencyFolder, SaliencyNet
from stages import saliency as saliency_stage
from stages import train_saliency
from tests.conftest import photo
from tests.further_inputs.doors import NOISE, refuses, sample, write


def saliency_net(params, **changes):
    options = params["saliency"]["options"]["net"]
    lay_over(options, {"root": "set", **changes})
    return validate(SaliencyNet, options, where="saliency.options.net")


def test_a_list_of_images_to_leave_out(params):
    for name in ("a", "b c", "d"):
        photo(Path(f"set/images/{name}.png"))
        photo(Path(f"set/masks/{name}.png"))
    net = saliency_net(params, train_set="masks")
    write("set/exclude.txt", "\ufeffa\r\nb c\r\n")
    (left,), out = training_set.read_training_set(net, target_classes=[])
    assert left.image.stem == "d" and out == 2
    write("set/exclude.txt", b"caf\xe9\n")
    read = training_set.read_training_set
    refuses(lambda: read(net, target_classes=[]), r"exclude\.txt: is not UTF-8 \(line 1\)")


def test_saliency_boxes_of_a_larger_image(params):
    photo(Path("set/images/a.png"))
    boxed = Boxed(Path("set/images/a.png"), ((900, 900, 80, 80),))
    label = training_set.first_label
    refuses(
        lambda: label(boxed, saliency_net(params)), r"set/boxes\.json: image 'a\.png' has 40x30"
    )


def test_a_box_returns_to_its_first_label_in_every_later_round(params):
    net, path = saliency_net(params), Path("labels/a.png")
    photo(Path("set/images/a.png"))
    boxed = Boxed(Path("set/images/a.png"), ((5, 5, 20, 15),))
    first = training_set.first_label(boxed, net)
    crf = Crf(
        iterations=0, smooth_w=3, smooth_sxy=3, bilateral_w=4, bilateral_sxy=9, bilateral_srgb=5
    )
    nothing = boxed, np.full((8, 8), 0.01, np.float32)  # the network misses the object
    for number, before in ((2, first), (3, np.zeros_like(first))):
        formats.write_label(path, before)
        train_saliency._write_next_label(
            nothing, net=net, folder=Path("labels"), crf=crf, number=number
        )
        assert first.any() and (formats.read_label(path) == first).all()


def give_map(image):
    Path("maps").mkdir(exist_ok=True)
    image.save("maps/a.png")
    options = SaliencyFolder(root=Path("maps"))
    return saliency_stage._folder(Layout(), options)(sample())


@pytest.mark.parametrize("image, match", [
    (Image.new("L", (30, 40), 9), r"maps/a\.png: has 30x40 px, but its image 40x30; turn the map"),
    (Image.fromarray(NOISE), r"maps/a\.png: is in colour, but a saliency map is grey"),
    (Image.new("RGBA", (40, 30), (200, 90, 30, 0)), r"maps/a\.png: is in colour"),
    (Image.new("P", (40, 30), 1), None),
], ids=["turned", "a heat map", "a cut-out", "a palette of grey"])  # fmt: skip
def test_maps_of_other_kinds(image, match):
    if match:
        refuses(lambda: give_map(image), match)
    else:
        image.putpalette([v for v in range(256) for _ in range(3)])
        assert np.allclose(give_map(image), 1 / 255)


def test_class_indices_as_a_map():
    label = np.zeros((30, 40), np.uint8)
    label[5:9] = 1
    formats.write_label(Path("label.png"), label)
    refuses(lambda: give_map(Image.open("label.png")), r"maps/a\.png: is in colour")


def test_square_maps_and_16_bits_are_right():
    assert give_map(Image.new("L", (320, 320), 51)).shape == (30, 40)
    assert give_map(Image.fromarray(np.full((30, 40), 65535, np.uint16))).min() == 1
