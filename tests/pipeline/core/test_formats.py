from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample, read_samples, write_samples
from pipeline.nets.weights import read_weights, write_weights


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_label_survives_and_bytes_are_stable(tmp_path_factory, label):
    folder = tmp_path_factory.mktemp("label")
    formats.write_label(folder / "a.png", label)
    formats.write_label(folder / "b.png", label)
    assert (formats.read_label(folder / "a.png") == label).all()
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-1, 2, width=32)))
def test_grey_map_survives_to_the_nearest_of_256_levels(tmp_path_factory, map_HW):
    folder = tmp_path_factory.mktemp("grey")
    for name in ("a", "b"):
        formats.write_grey(folder / f"{name}.png", map_HW)
    back = formats.read_grey(folder / "a.png")
    assert np.abs(back - np.clip(map_HW, 0, 1)).max() <= 0.5 / 255 + 1e-6
    formats.write_grey(folder / "c.png", back)
    files = [(folder / f"{name}.png").read_bytes() for name in "abc"]
    assert files[0] == files[1] == files[2]


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_image_survives_as_png(tmp_path_factory, image):
    path = tmp_path_factory.mktemp("image") / "a.png"
    formats.write_image(path, image)
    assert (formats.read_image(path) == image).all()


NAME = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs"]))
CELL = NAME.map(str.strip)  # a reader takes the blanks round a value off


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(CELL.filter(bool), CELL), max_size=4), st.sampled_from(",\t"))
def test_table_survives_commas_quotes_and_line_ends(tmp_path_factory, rows, sep):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    formats.write_table(path, rows, columns=("id", "tags"), sep=sep)
    back = formats.read_table(path, columns=("id", "tags"), sep=sep)
    assert [(r["id"], r["tags"]) for r in back] == rows


WORD = st.text("abcäß,;'\"._-", min_size=1)
SAMPLE = st.builds(
    Sample,
    id=WORD, image=WORD.map(lambda w: Path("photos") / f"{w}.jpg"),
    split=st.sampled_from(("train", "val")), tags=st.lists(WORD, max_size=3).map(tuple),
    height_px=st.integers(1, 9999), width_px=st.integers(1, 9999), digest=WORD,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(SAMPLE, max_size=4))
def test_samples_survive_and_bytes_are_stable(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder / "a.csv", samples)
    back = read_samples(folder / "a.csv")
    assert back == samples
    write_samples(folder / "b.csv", back)
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


def test_json_bytes_do_not_depend_on_the_order_of_keys(tmp_path):
    formats.write_json(tmp_path / "a.json", {"b": {"y": 1, "x": [2.5, None]}, "a": "é"})
    formats.write_json(tmp_path / "b.json", {"a": "é", "b": {"x": [2.5, None], "y": 1}})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert formats.read_json(tmp_path / "a.json") == {"a": "é", "b": {"x": [2.5, None], "y": 1}}


def test_a_killed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    formats.write_json(path, 1)
    monkeypatch.setattr("os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        formats.write_json(path, 2)
    assert formats.read_json(path) == 1


def test_palette_is_the_devkits():
    colours = np.array(formats.PALETTE).reshape(256, 3)
    assert colours[[0, 1, 2, 15, 20, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128], [224, 224, 192],
    ]  # fmt: skip


def test_label_keeps_indices_under_a_foreign_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 5], [255, 1]], np.uint8)).convert("P")
    image.putpalette([7] * 768)
    image.save(tmp_path / "a.png")
    assert formats.read_label(tmp_path / "a.png").tolist() == [[0, 5], [255, 1]]


@settings(max_examples=20, deadline=None)
@given(hnp.arrays(np.float16, (2, 3, 4), elements=st.floats(-100, 100, width=16)))
def test_maps_and_logits_survive_and_bytes_are_stable(tmp_path_factory, maps):
    folder = tmp_path_factory.mktemp("maps")
    classes = np.array([2, 9], np.uint8)
    for name in ("a", "b"):
        formats.write_maps(folder / f"{name}.npz", maps, classes)
    back, names = formats.read_maps(folder / "a.npz")
    assert (back == maps).all() and (names == classes).all()
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()
    formats.write_logits(folder / "l.npz", maps)
    assert (formats.read_logits(folder / "l.npz") == maps).all()


NAMED = {"guide.val.mIoU": np.arange(6).reshape(1, 2, 3), "ids": np.array(["a", "é.1"])}


@pytest.mark.parametrize("arrays", [{}, NAMED])
def test_named_arrays_survive_and_bytes_are_stable(tmp_path, arrays):
    for name in ("one", "two"):
        formats.write_arrays(tmp_path / f"{name}.npz", arrays)
    found = formats.read_arrays(tmp_path / "one.npz")
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in arrays.items()}
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert set(formats.read_arrays(tmp_path / "one.npz", match="g*.mIoU")) == {*arrays} - {"ids"}


def test_weights_survive_whatever_the_file_is_called(tmp_path):
    state = {"a.weight": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}
    write_weights(tmp_path / "one.safetensors", state)
    write_weights(tmp_path / "two.safetensors", state)
    first, second = (tmp_path / f"{n}.safetensors" for n in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    back = read_weights(first)
    assert all((back[k] == v).all() for k, v in state.items())


def test_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert formats.read_image(tmp_path / "a.jpg").shape == (30, 20, 3)


def test_grey_and_transparent_photos_become_rgb(tmp_path):
    Image.new("L", (3, 2), 9).save(tmp_path / "a.png")
    Image.new("RGBA", (3, 2)).save(tmp_path / "b.png")
    assert formats.read_image(tmp_path / "a.png").shape == (2, 3, 3)
    assert formats.read_image(tmp_path / "b.png").shape == (2, 3, 3)


def test_sixteen_bit_grey_is_scaled(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "a.png")
    assert formats.read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 100, 255]
    assert formats.read_grey(tmp_path / "a.png").max() == 1


def test_truncated_image_is_named(tmp_path):
    Image.new("RGB", (300, 200), (5, 90, 7)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"a\.jpg: cannot be decoded"):
        formats.read_image(tmp_path / "a.jpg")


def test_colour_mask_is_refused(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "m.png")
    with pytest.raises(UserError, match=r"m\.png: is a RGB image without class indices"):
        formats.read_label(tmp_path / "m.png")


def test_foreign_weights_are_refused(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"not weights")
    with pytest.raises(UserError, match=r"w\.pth: is not a PyTorch state dict"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(UserError, match="not found"):
        read_weights(tmp_path / "none.pth")


def test_digest_sees_content_and_names(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_text("x")
    first = formats.digest(tmp_path / "d")
    assert formats.digest(tmp_path / "d") == first
    (tmp_path / "d/a").write_text("y")
    assert formats.digest(tmp_path / "d") != first
    (tmp_path / "d/a").rename(tmp_path / "d/b")
    (tmp_path / "d/b").write_text("x")
    assert formats.digest(tmp_path / "d") != first


@pytest.mark.parametrize(
    ("least_px", "long_px"), [(0, 800), (401, 800), (400, 400), (120, 200), (1, 100)]
)
def test_large_jpeg_is_decoded_no_smaller_than_asked(tmp_path, least_px, long_px):
    ramp = np.repeat(np.linspace(0, 255, 800)[None, :, None], 600, 0).astype(np.uint8)
    formats.write_image(tmp_path / "x.jpg", np.repeat(ramp, 3, 2))
    image = formats.read_image(tmp_path / "x.jpg", least_px=least_px)
    assert image.shape == (long_px * 3 // 4, long_px, 3)
    assert abs(image[..., 0].mean() - 127) < 2


def test_a_table_of_another_encoding_is_named(tmp_path):
    (tmp_path / "tags.csv").write_bytes("id,tags\na,café\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"tags\.csv: is not UTF-8"):
        formats.read_table(tmp_path / "tags.csv", columns=("id", "tags"))
