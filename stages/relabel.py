"""Make the labels of the supervisions oracle and seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.guide import in_one, seed_rule
from pipeline.guide.config import Diffuse, Fuse, Relabel
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    "oracle": {
        "fuse": ("fuse", Fuse),
        "diffuse": ("diffuse", Diffuse),
        "sets": ("crf", CrfSets),
        "random_seed": ("random_seed", int),
    },
    "seed": {
        "threshold": ("fuse.seed_threshold", float),
        "relabel": ("relabel", Relabel),
    },
}


def run(layout: Layout, supervision: str, **slices: Any) -> None:
    """Write the label of every train image.

    Raises:
        UserError: the guide rule is G1, which has no scores of this saliency's components.
    """
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    write = _write_cues if supervision == "seed" else _write_oracle_labels
    write(layout, samples, **slices)


def _write_oracle_labels(
    layout: Layout,
    samples: list[Sample],
    *,
    fuse: Fuse,
    diffuse: Diffuse,
    sets: CrfSets,
    random_seed: int,
) -> None:
    """Write guide labels with ground truth as saliency."""
    in_one.refuse_g1(fuse, "oracle")
    crf = dense.chosen(sets, diffuse.crf)
    _resume.process_images(
        layout,
        partial(OracleLabels, layout, fuse, diffuse, crf, random_seed),
        samples,
        outs=[layout.labels("oracle")],
        inputs=[layout.maps, layout.saliency("oracle")],
        params_key=fingerprint(fuse, diffuse, crf, str(random_seed)),
    )


@dataclass(frozen=True)
class OracleLabels:
    """Writes the guide labels of images to `work`. Their saliency is the ground truth."""

    layout: Layout
    fuse: Fuse
    diffuse: Diffuse
    crf: Crf
    random_seed: int
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            label = in_one.guide_label(
                formats.read_image(sample.image),
                *formats.read_maps(self.layout.maps / f"{sample.id}.npz"),
                formats.read_grey(self.layout.saliency("oracle") / f"{sample.id}.png"),
                self.fuse,
                self.diffuse,
                self.crf,
                chance=(self.random_seed, sample.id),
            )
            formats.write_label(self.work.labels("oracle") / f"{sample.id}.png", label)


def _write_cues(
    layout: Layout, samples: list[Sample], *, threshold: float, relabel: Relabel
) -> None:
    """Write SEC's cues: seeds, background where the maps are lowest, and void elsewhere."""
    _resume.process_images(
        layout,
        partial(Cues, layout, threshold, relabel),
        samples,
        outs=[layout.labels("seed")],
        inputs=[layout.maps],
        params_key=fingerprint(relabel, str(threshold)),
    )


@dataclass(frozen=True)
class Cues:
    """Writes SEC's cues of images to `work`."""

    layout: Layout
    threshold: float
    relabel: Relabel
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the cues of a chunk."""
        for sample in chunk:
            label = seed_rule.cues(
                *formats.read_maps(self.layout.maps / f"{sample.id}.npz"),
                seed_threshold=self.threshold,
                background_fraction=self.relabel.background_fraction,
                height_px=sample.height_px,
                width_px=sample.width_px,
            )
            formats.write_label(self.work.labels("seed") / f"{sample.id}.png", label)
