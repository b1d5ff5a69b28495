"""Label Studio's tasks with brush masks as predictions, and the labelling interface for them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from app.exports.files import Format, hex_colour, place_image, write_json, write_text
from app.exports.source import Masked, Source
from pipeline.core.arrays import Mask, UInt8

BRUSH, IMAGE = "label", "image"  # names of the tags in labels.xml, to which the masks refer
RUN_BITS = (3, 4, 8, 16)  # widths of the numbers that can hold the length of a run
CHANNELS = 4  # the mask is the alpha channel of an RGBA image


def add(image: Masked, label_HW: UInt8, folder: Path) -> dict[str, Any]:
    """Write the image; return its name, size and masks by class index."""
    name = place_image(image, label_HW, folder / "images")
    indices = [int(index) for index in np.unique(label_HW) if index]
    masks = {index: encode(label_HW == index) for index in indices}
    return {"name": name, "size": label_HW.shape, "masks": masks}


def encode(mask_HW: Mask) -> list[int]:
    """Encode a mask (H, W) as Label Studio's run-length code, a list of bytes.

    Source: the decoder of label_studio_sdk/converter/brush.py, and rle-pack, which it cites. A bit
    stream holds the number of values (32 bits), the bits of a value less 1 (5), and the four
    RUN_BITS less 1 (4 each). Each run follows: 1, the index of its width in RUN_BITS (2), its
    length less 1, and its value (8).
    """
    flat = mask_HW.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = np.diff(starts, append=flat.size) * CHANNELS
    bits = [f"{flat.size * CHANNELS:032b}", f"{8 - 1:05b}", *(f"{b - 1:04b}" for b in RUN_BITS)]
    for start, length in zip(starts, lengths, strict=True):
        bits += _runs(int(length), value=255 if flat[start] else 0)
    stream = "".join(bits)
    return list(int(stream.ljust(-(-len(stream) // 8) * 8, "0"), 2).to_bytes(-(-len(stream) // 8)))


def _runs(length: int, *, value: int) -> list[str]:
    """Return the bits of a run, in pieces of at most 2**16 values."""
    bits = []
    while length:
        piece = min(length, 1 << RUN_BITS[-1])
        kind = next(k for k, width in enumerate(RUN_BITS) if piece <= 1 << width)
        bits.append(f"1{kind:02b}{piece - 1:0{RUN_BITS[kind]}b}{value:08b}")
        length -= piece
    return bits


def finish(source: Source, entries: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write tasks.json, and labels.xml for the code view of the labelling interface."""
    write_json(folder / "tasks.json", [_task(entry, source.classes) for entry in entries])
    labels = "".join(
        f"    <Label value={quoteattr(name)} background={quoteattr(hex_colour(index))}/>\n"
        for index, name in enumerate(source.classes)
        if index
    )
    write_text(
        folder / "labels.xml",
        f'<View>\n  <Image name="{IMAGE}" value="$image" zoom="true"/>\n'
        f'  <BrushLabels name="{BRUSH}" toName="{IMAGE}">\n{labels}  </BrushLabels>\n</View>\n',
    )


def _task(entry: dict[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Return a task whose image Label Studio serves from its local files."""
    height, width = entry["size"]
    result = [
        {
            "id": str(index),
            "type": "brushlabels",
            "from_name": BRUSH,
            "to_name": IMAGE,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"format": "rle", "rle": rle, "brushlabels": [classes[index]]},
        }
        for index, rle in entry["masks"].items()
    ]
    path = quote(f"images/{entry['name']}", safe="")
    return {
        "data": {"image": f"/data/local-files/?d={path}"},
        "predictions": [{"model_version": "guidelabel", "result": result}],
    }


FORMAT = Format(add, finish)
