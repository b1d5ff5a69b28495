"""Refine the segmenter's labels by a dense CRF at full image size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.core import formats, shards
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import SUPERVISIONS
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets, Refine
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {"refine": ("refine", Refine), "sets": ("crf", CrfSets)} for name in SUPERVISIONS
}


@dataclass(frozen=True)
class Refiner:
    """Writes the refined labels of images to `work`."""

    layout: Layout
    supervision: str
    crf: Crf
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            logits = formats.read_logits(self.layout.logits(self.supervision) / f"{sample.id}.npz")
            label = dense.label_of(formats.read_image(sample.image), logits, self.crf)
            formats.write_label(self.work.refined(self.supervision) / f"{sample.id}.png", label)


def run(layout: Layout, supervision: str, *, refine: Refine, sets: CrfSets) -> None:
    """Write a refined label for each image that has logits."""
    predicted = shards.ids(layout.logits(supervision))
    crf = dense.chosen(sets, refine.crf)
    _resume.process_images(
        layout,
        partial(Refiner, layout, supervision, crf),
        [s for s in read_samples(layout.samples) if s.id in predicted],
        outs=[layout.refined(supervision)],
        inputs=[layout.logits(supervision)],
        params_key=fingerprint(crf),
    )
