"""Generate the demo's data: images with tags, masks and boxes, and boxed ones of other classes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.dataset import shapes
from pipeline.dataset.config import ShapesData
from stages import _run

SLICES: _run.Slices = {
    "options": ("data.options.shapes", ShapesData),
    "random_seed": ("random_seed", int),
}


Boxes = Sequence[tuple[str, tuple[int, int, int, int]]]  # the kind and the box of each object


def _coco(images: Iterable[tuple[str, Boxes]], kinds: Sequence[str], *, size_px: int) -> object:
    """Return the boxes of images of `kinds` in COCO format. An image is its name and its boxes."""
    records: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    ids = {name: i for i, name in enumerate(kinds, 1)}
    for i, (name, boxes) in enumerate(images):
        records.append({"id": i, "file_name": f"{name}.jpg", "width": size_px, "height": size_px})
        for kind, box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "iscrowd": 0,
                    "category_id": ids[kind],
                    "bbox": list(box),
                }
            )
    categories = [{"id": i, "name": name} for name, i in ids.items()]
    return {"images": records, "annotations": annotations, "categories": categories}


def run(layout: Layout, *, options: ShapesData, random_seed: int) -> None:
    """Write both data sets."""
    _write_labelled(layout.shapes, options, random_seed)
    _write_boxed(layout.shapes_boxed, options, random_seed)


def _write_labelled(root: Path, options: ShapesData, random_seed: int) -> None:
    """Write images, masks, tags.csv, and boxes.json with the boxes of the tagged objects."""
    rows, boxed = [], []
    for part, (split, count) in enumerate((("train", options.train), ("val", options.val))):
        scenes = shapes.labelled(count, size_px=options.size_px, random_seed=random_seed, part=part)
        for i, scene in enumerate(scenes):
            key = f"{split}_{i:04d}"
            formats.write_image(root / "images" / f"{key}.jpg", scene.image)
            formats.write_label(root / "masks" / f"{key}.png", scene.label)
            rows.append((key, " ".join(scene.tags), split))
            boxed.append((key, [b for b in scene.boxes if b[0] in scene.tags]))
    formats.write_table(root / "tags.csv", rows, columns=("id", "tags", "split"))
    coco = _coco(boxed, shapes.CLASSES, size_px=options.size_px)
    formats.write_json(root / "boxes.json", coco)


def _write_boxed(root: Path, options: ShapesData, random_seed: int) -> None:
    """Write images of other classes, and boxes.json."""
    boxed = []
    scenes = shapes.boxed(options.boxed, size_px=options.size_px, random_seed=random_seed)
    for i, scene in enumerate(scenes):
        formats.write_image(root / "images" / f"{i:04d}.jpg", scene.image)
        boxed.append((f"{i:04d}", scene.boxes))
    formats.write_json(root / "boxes.json", _coco(boxed, shapes.OTHERS, size_px=options.size_px))
