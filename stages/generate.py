"""Generate the demo's data: images with tags and masks, and images of other classes with boxes."""

from collections.abc import Iterable

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.dataset import shapes
from pipeline.dataset.config import ShapesData
from pipeline.dataset.shapes import Scene
from stages import _run

SLICES: _run.Slices = {
    "options": ("data.options.shapes", ShapesData),
    "random_seed": ("random_seed", int),
}


def _coco(scenes: Iterable[tuple[int, Scene]]) -> dict[str, object]:
    """Return the boxes in COCO format."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    ids = {name: i for i, name in enumerate(shapes.OTHERS, 1)}
    for i, scene in scenes:
        height, width = scene.label.shape
        images.append({"id": i, "file_name": f"{i:04d}.jpg", "width": width, "height": height})
        for name, box in scene.boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "iscrowd": 0,
                    "category_id": ids[name],
                    "bbox": list(box),
                }
            )
    categories = [{"id": i, "name": name} for name, i in ids.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def run(layout: Layout, *, options: ShapesData, random_seed: int) -> None:
    """Write both data sets."""
    rows = []
    for part, (split, count) in enumerate((("train", options.train), ("val", options.val))):
        scenes = shapes.labelled(count, size_px=options.size_px, random_seed=random_seed, part=part)
        for i, scene in enumerate(scenes):
            key = f"{split}_{i:04d}"
            formats.write_image(layout.shapes / "images" / f"{key}.jpg", scene.image)
            formats.write_label(layout.shapes / "masks" / f"{key}.png", scene.label)
            rows.append((key, " ".join(scene.tags), split))
    formats.write_table(layout.shapes / "tags.csv", rows, columns=("id", "tags", "split"))
    others = list(
        enumerate(shapes.boxed(options.boxed, size_px=options.size_px, random_seed=random_seed))
    )
    for i, scene in others:
        formats.write_image(layout.shapes_boxed / "images" / f"{i:04d}.jpg", scene.image)
    formats.write_json(layout.shapes_boxed / "boxes.json", _coco(others))
