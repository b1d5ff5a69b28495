"""Masks from CVAT: "CVAT for images 1.1" (XML), or "Segmentation mask 1.1" (a folder of PNGs)."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from app.imports import voc
from app.imports.drawn import Drawn, Names, Size, combine, fill, only_file, runs
from app.tag_sources.cvat import read_images
from pipeline.core.arrays import Mask, UInt8

AREAS = ("mask", "polygon")
NO_AREAS = ("box", "cuboid", "points", "polyline", "skeleton", "tag")  # they outline no object


def read(path: Path) -> list[Drawn]:
    """Read an annotations.xml, or a folder that holds one, or a folder of masks.

    Raises:
        UserError: there is neither, or a file is damaged.
    """
    if (path / voc.MASKS).is_dir():
        return voc.read(path)
    return [_drawn(image) for image in read_images(only_file(path, ".xml"))]


def _drawn(image: ET.Element) -> Drawn:
    size = int(image.get("height", 0)), int(image.get("width", 0))
    shapes = [child for child in image if child.tag not in NO_AREAS]
    return Drawn(image.get("name", ""), size, partial(_draw, shapes))


def _draw(shapes: Sequence[ET.Element], names: Names, size: Size) -> UInt8:
    """Draw the layers of an image. A shape covers those with a smaller z_order."""
    label_HW = np.zeros(size, np.uint8)
    for _, layer in groupby(sorted(shapes, key=_level), key=_level):
        masks = ((names(shape.get("label", "")), _area(shape, size)) for shape in layer)
        top_HW = combine(masks, size=size)
        label_HW[top_HW > 0] = top_HW[top_HW > 0]
    return label_HW


def _level(shape: ET.Element) -> int:
    return int(shape.get("z_order", 0))


def _area(shape: ET.Element, size: Size) -> Mask:
    """Return the mask (H, W) of a shape. The runs of <mask> go along the rows of its box."""
    if shape.tag == "polygon":
        pairs = [point.split(",") for point in shape.attrib["points"].split(";")]
        return fill([(float(x), float(y)) for x, y in pairs], size=size)
    if shape.tag != "mask":
        raise ValueError(f"a shape <{shape.tag}>; draw masks or polygons")
    left, top, width, height = (int(shape.attrib[k]) for k in ("left", "top", "width", "height"))
    part = runs([int(n) for n in shape.attrib["rle"].split(",")], size=(height, width))
    mask = np.zeros(size, bool)
    mask[top : top + height, left : left + width] = part
    return mask
