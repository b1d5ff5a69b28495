"""Image files as people have them: each is read as it looks, or refused in one line."""

import io
import os
import struct
import warnings
import zlib
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.core import decoding, formats
from pipeline.core.errors import UserError

TURNED = Image.Exif()
TURNED[decoding.ORIENTATION] = 6  # to be turned by 90 degrees
RGB = Image.fromarray(np.random.default_rng(0).integers(0, 255, (18, 24, 3), dtype=np.uint8))
DEEP = Image.fromarray((np.arange(18 * 24, dtype=np.uint16) * 150).reshape(18, 24))
READERS = (formats.read_image, formats.read_label, formats.read_grey)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write(path, image, kind="PNG", **options):
    path.write_bytes(encoded(image, kind, **options))
    return path


def refused(path, match, readers=READERS):
    for read in readers:
        with pytest.raises(UserError, match=match) as error:
            read(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_turned_upright_and_then_scaled(tmp_path, kind):
    path = write(tmp_path / "a.png", DEEP, kind, exif=TURNED)
    expected = np.rot90(np.asarray(DEEP) // 257, -1)
    assert (formats.read_image(path)[..., 1] == expected).all()
    assert (formats.read_grey(path) == expected.astype(np.float32) / 255).all()


def test_a_mask_is_turned_like_its_image(tmp_path):
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = write(tmp_path / "m.png", Image.fromarray(label), exif=TURNED)
    assert (formats.read_label(path) == np.rot90(label, -1)).all()


def test_float_values_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", Image.fromarray(np.zeros((3, 4), np.float32)), "TIFF")
    refused(path, "has float values, whose range is unknown; save it with 8 bits")
    with pytest.raises(UserError, match="float values"):
        decoding.read_header(path)


@pytest.mark.parametrize("value", [70000, -1])
def test_grey_beyond_16_bits_is_refused(tmp_path, value):
    path = write(tmp_path / "a.tif", Image.fromarray(np.full((3, 4), value, np.int32)), "TIFF")
    refused(path, f"{value}; save it with 8 bits", (formats.read_image, formats.read_grey))
    refused(path, "is a I image without class indices", (formats.read_label,))


def test_32_bit_tiff_within_16_bits_is_read(tmp_path):
    path = write(tmp_path / "a.tif", Image.fromarray(np.full((3, 4), 65535, np.int32)), "TIFF")
    assert (formats.read_image(path) == 255).all()


def test_a_script_named_jpg_is_not_run(tmp_path):
    path = write(tmp_path / "a.jpg", RGB, "EPS")
    with mock.patch("PIL.EpsImagePlugin.Ghostscript") as interpreter:
        refused(path, "it is not a JPEG, PNG, BMP, WEBP, TIFF or GIF file")
    interpreter.assert_not_called()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
def test_the_content_decides_not_the_suffix(tmp_path, kind):
    path = write(tmp_path / "a.jpg", RGB, kind)
    assert formats.read_image(path).shape == (18, 24, 3)
    header = decoding.read_header(path)
    assert (header.height_px, header.width_px, header.frames) == (18, 24, 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_header_tells_the_upright_size(tmp_path, kind):
    header = decoding.read_header(write(tmp_path / "a.jpg", RGB, kind, exif=TURNED))
    assert (header.height_px, header.width_px) == (24, 18)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    frames = [Image.new("RGB", (24, 18), colour) for colour in ("red", "blue")]
    path = write(
        tmp_path / "a.png", frames[0], kind, save_all=True, append_images=frames[1:], **options
    )
    assert decoding.read_header(path).frames == 2
    assert (formats.read_image(path) == (255, 0, 0)).all()


def test_the_preview_in_a_phones_jpeg_is_no_frame(tmp_path):
    path = write(tmp_path / "a.jpg", RGB, "MPO", save_all=True, append_images=[RGB])
    assert decoding.read_header(path).frames == 1
    assert formats.read_image(path).shape == (18, 24, 3)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(tmp_path, kind):
    path = write(tmp_path / "a.jpg", Image.new("CMYK", (24, 18), (0, 255, 255, 0)), kind)
    red, green, blue = formats.read_image(path)[9, 12]
    assert red > 230 and green < 40 and blue < 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.2, 0.6])
def test_a_truncated_file_is_refused(tmp_path, kind, share):
    whole = encoded(RGB.resize((240, 180)), kind)
    (tmp_path / "a.jpg").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "a.jpg", "cannot be decoded .*; replace it or remove it")


@pytest.mark.parametrize("error, why", [
    (SyntaxError("broken\nPNG file"), "broken PNG file"), (IndexError(), "IndexError"),
    (EOFError(), "EOFError"), (OverflowError("too big"), "too big"),
])  # fmt: skip
def test_any_error_of_a_decoder_names_the_file(tmp_path, monkeypatch, error, why):
    def load(_):
        raise error

    path = write(tmp_path / "a.png", RGB)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    refused(path, rf"a\.png: cannot be decoded \({why}\); replace it")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    refused(tmp_path / "a.jpg", r"is empty \(0 bytes\); replace it")


def test_a_folder_named_like_an_image_is_refused(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    refused(tmp_path / "a.jpg", "cannot be decoded")


@pytest.mark.parametrize("width, height", [(13_000, 13_000), (60_000, 60_000)])
def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch, width, height):
    content = bytearray(encoded(RGB, "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "a.png").write_bytes(content)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: 1 / 0)
    mega = width * height // 1_000_000
    fix = f"scale it down to 80 megapixels or less, or set GUIDELABEL_MAX_MEGAPIXELS={mega} if"
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        refused(tmp_path / "a.png", rf"is {width}x{height} px \({mega} megapixels\); {fix}")
        with pytest.raises(UserError, match=f"{mega} megapixels"):
            decoding.read_header(tmp_path / "a.png")
    assert not raised


def test_the_limit_of_pixels_is_set_by_the_environment(tmp_path, monkeypatch):
    path = write(tmp_path / "a.png", Image.new("L", (2000, 1500)))
    monkeypatch.setenv("GUIDELABEL_MAX_MEGAPIXELS", "3")
    assert formats.read_label(path).shape == (1500, 2000)
    monkeypatch.setenv("GUIDELABEL_MAX_MEGAPIXELS", "2")
    refused(path, r"2000x1500 px \(3 megapixels\)")
    for wrong in ("²", "2.5", "-1", "many"):
        monkeypatch.setenv("GUIDELABEL_MAX_MEGAPIXELS", wrong)
        with pytest.raises(UserError, match=f"GUIDELABEL_MAX_MEGAPIXELS={wrong}: must be a whole"):
            formats.read_label(path)


VALID = [
    *(encoded(RGB, kind) for kind in decoding.FORMATS),
    encoded(RGB, "JPEG", exif=TURNED, progressive=True),
    encoded(RGB, "TIFF", compression="tiff_lzw"),
    encoded(RGB, "MPO", save_all=True, append_images=[RGB]),
    encoded(RGB.convert("CMYK"), "JPEG"),
    encoded(RGB.quantize(7), "PNG", exif=TURNED, transparency=b"\x00\x80"),
    *(encoded(RGB.convert("1"), kind) for kind in ("PNG", "TIFF", "BMP")),
    *(encoded(DEEP, kind) for kind in ("PNG", "TIFF")),
    encoded(RGB.convert("L"), "PNG", save_all=True, append_images=[RGB.convert("L")]),
]  # fmt: skip


@st.composite
def mutated(draw):
    """Bytes of a valid file, some of them changed, and perhaps without the end."""
    data = bytearray(draw(st.sampled_from(VALID)))
    place = st.one_of(st.integers(0, len(data) - 1), st.integers(0, min(64, len(data) - 1)))
    for i, byte in draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
        data[i] = byte
    return bytes(data[: draw(st.one_of(st.none(), st.integers(0, len(data))))])


@pytest.mark.parametrize("read, dtype", [
    (formats.read_image, np.uint8), (formats.read_label, np.uint8), (formats.read_grey, np.float32),
])  # fmt: skip
@settings(max_examples=400, deadline=None)
@given(data=mutated())
def test_damaged_bytes_give_an_image_or_a_user_error(tmp_path_factory, read, dtype, data):
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(data)
    with mock.patch.dict(os.environ, GUIDELABEL_MAX_MEGAPIXELS="1"):
        try:
            image = read(path)
        except UserError as e:
            assert "damaged.png" in str(e) and "\n" not in str(e)
        else:
            assert image.dtype == dtype and image.ndim == (3 if read is READERS[0] else 2)
            assert image.size and image.max() <= (1 if dtype == np.float32 else 255)


@settings(max_examples=300, deadline=None)
@given(data=mutated())
def test_a_damaged_header_is_read_or_gives_a_user_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "header.png"
    path.write_bytes(data)
    try:
        assert decoding.read_header(path).frames >= 1
    except UserError as e:
        assert "header.png" in str(e)
