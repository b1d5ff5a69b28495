"""Make guide labels: divide contested components among their classes by a dense CRF."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pipeline.core import formats
from pipeline.core.arrays import CONTESTED
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.guide import diffusion, rules
from pipeline.guide.config import Diffuse
from stages import _resume, _run

SLICES: _run.Slices = {
    "diffuse": ("diffuse", Diffuse),
    "sets": ("crf", CrfSets),
}


@dataclass(frozen=True)
class Diffuser:
    """Writes the guide labels of images to `work`."""

    layout: Layout
    diffuse: Diffuse
    crf: Crf
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            name = f"{sample.id}.png"
            label = formats.read_label(self.layout.fused / name)
            if (label == CONTESTED).any():
                fused = rules.Fused(formats.read_label(self.layout.seeds / name), label)
                image = formats.read_image(sample.image)
                label = diffusion.diffuse(image, fused, self.diffuse, self.crf)
            formats.write_label(self.work.labels("guide") / name, label)


def run(layout: Layout, *, diffuse: Diffuse, sets: CrfSets) -> None:
    """Write the guide label of every image."""
    crf = dense.chosen(sets, diffuse.crf)
    _resume.process_images(
        layout,
        partial(Diffuser, layout, diffuse, crf),
        read_samples(layout.samples),
        outs=[layout.labels("guide")],
        inputs=[layout.seeds, layout.fused],
        params_key=fingerprint(diffuse, crf),
    )
