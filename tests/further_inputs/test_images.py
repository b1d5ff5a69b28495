"""Images of every kind, and what is only called an image."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms

from pipeline.boxes.grabcut import grabcut
from pipeline.core import decoding, formats
from pipeline.saliency.config import SaliencyClassical
from pipeline.saliency.geodesic import geodesic
from pipeline.training.augment import random_view
from tests.further_inputs.doors import NOISE, refuses, write


def png(colour_type, pixel):
    """Write 8x6 pixels of 16 bits for each channel."""
    rows = (b"\0" + struct.pack(f">{len(pixel)}H", *pixel) * 8) * 6
    out = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 8, 6, 16, colour_type, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(kind + data))
    write("f", out)


def saved(mode, colour, kind, **options):
    Image.new(mode, (8, 6), colour).save("f", format=kind, **options)


def moving(kind):
    first, last = (Image.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    first.save("f", format=kind, save_all=True, append_images=[last], lossless=True)


LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
RIGHT = {
    "CMYK in a JPEG": (lambda: saved("CMYK", (0, 255, 255, 0), "JPEG"), (255, 0, 0)),
    **(
        {"YCbCr in a TIFF": (lambda: saved("YCbCr", (128, 128, 128), "TIFF"), (128, 128, 128))}
        if int(PIL.__version__.split(".")[0]) >= 13
        else {}
    ),  # Pillow 12 cannot read what it writes
    "16 bits with alpha": (lambda: png(6, (65535, 32768, 0, 65535)), (255, 128, 0)),
    "16-bit grey with alpha": (lambda: png(4, (32768, 65535)), (128, 128, 128)),
    "transparent": (lambda: saved("RGBA", (200, 100, 50, 0), "PNG"), (200, 100, 50)),
    "1 bit": (lambda: saved("1", 1, "PNG"), (255, 255, 255)),
    "animated PNG": (lambda: moving("PNG"), (255, 0, 0)),
    "animated WebP": (lambda: moving("WEBP"), (255, 0, 0)),
    "a colour profile of another space": (
        lambda: saved("RGB", (200, 100, 50), "PNG", icc_profile=LAB),
        (200, 100, 50),
    ),
    "garbage as EXIF": (
        lambda: saved("RGB", (200, 200, 200), "JPEG", exif=b"Exif\0\0no tags"),
        (200, 200, 200),
    ),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_images_of_every_kind_are_read_right(kind):
    make_it, colour = RIGHT[kind]
    make_it()
    image = formats.read_image(Path("f"))
    assert image.shape == (6, 8, 3) and np.abs(image - np.array(colour, int)).max() <= 2
    assert decoding.read_header(Path("f")).frames == (2 if kind.startswith("animated") else 1)


@pytest.mark.parametrize("content", [
    "<svg xmlns='http://www.w3.org/2000/svg'/>", "<!DOCTYPE html><title>404</title>",
    "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", b"\0\5\26\7\0\2\0\0Mac OS X",
], ids=["SVG", "a web page", "a pointer of Git LFS", "macOS's ._ file"])  # fmt: skip
def test_what_is_called_an_image(content):
    write("f.jpg", content)
    refuses(lambda: formats.read_image(Path("f.jpg")), r"f\.jpg: cannot be decoded \(it is not a")


def test_a_progressive_jpeg_that_was_cut_off():
    out = io.BytesIO()
    Image.fromarray(NOISE).resize((400, 300)).save(out, "JPEG", progressive=True)
    write("f.jpg", out.getvalue()[: len(out.getvalue()) // 3])
    refuses(lambda: formats.read_image(Path("f.jpg")), r"f\.jpg: cannot be decoded \(image file is")


CLASSICAL = SaliencyClassical(superpixels=200, compactness=10)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 2), (1, 3000), (3000, 2)])
def test_images_of_few_pixels_and_narrow_ones(shape):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    salient = geodesic(image, CLASSICAL)
    assert salient.shape == shape and np.isfinite(salient).all()
    assert grabcut(image, [(0, 0, 1, 1)], iterations=1).shape == shape
    rng, label = np.random.default_rng(0), np.ones(shape, np.uint8)
    view, moved = random_view(image, label, size_px=32, scale=(0.5, 1.5), jitter=0.5, rng=rng)
    assert view.shape == (32, 32, 3) and set(np.unique(moved)) <= {1, 255}


def test_one_superpixel_has_no_saliency():
    assert not geodesic(NOISE, SaliencyClassical(superpixels=1, compactness=10)).any()
