"""Make the labels of the supervisions box, box_i and grabcut_plus, from boxes of the objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.boxes import labels
from pipeline.boxes.annotations import read_class_boxes
from pipeline.boxes.config import BoxOptions
from pipeline.boxes.labels import ClassBoxes
from pipeline.core import formats
from pipeline.core.config import Frozen
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import BOXES
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    kind: {
        "path": ("boxes.path", Path),
        "options": (f"boxes.options.{kind}", BoxOptions.model_fields[kind].annotation),
        "random_seed": ("random_seed", int),
    }
    for kind in BOXES
}


def run(layout: Layout, supervision: str, *, path: Path, options: Frozen, random_seed: int) -> None:
    """Write the label of every train image."""
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    boxes = read_class_boxes(path, samples, formats.read_json(layout.classes))
    _resume.process_images(
        layout,
        partial(FirstLabels, supervision, boxes, options, random_seed),
        samples,
        outs=[layout.labels(supervision)],
        inputs=[layout.classes, path],
        params_key=fingerprint(options, str(random_seed)),
    )


@dataclass(frozen=True)
class FirstLabels:
    """Writes the labels that boxes give images to `work`."""

    supervision: str
    boxes: dict[str, ClassBoxes]
    options: Frozen
    random_seed: int
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            image, chance = formats.read_image(sample.image), (self.random_seed, sample.id)
            label = labels.first_label(image, self.boxes[sample.id], self.options, chance=chance)
            formats.write_label(self.work.labels(self.supervision) / f"{sample.id}.png", label)
