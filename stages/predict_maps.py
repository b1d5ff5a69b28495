"""Label images by the class maps of predicted tags and a dense CRF, after WILDCAT."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples, read_tag_scores
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets, Refine
from pipeline.guide import map_labels
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.seeds import roi_pooling
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.config import SeedMaps
from stages import _resume, _run

SLICES: _run.Slices = {
    "maps": ("seed.maps", SeedMaps),
    "threshold": ("fuse.seed_threshold", float),
    "refine": ("refine", Refine),
    "sets": ("crf", CrfSets),
}


def run(layout: Layout, *, maps: SeedMaps, threshold: float, refine: Refine, sets: CrfSets) -> None:
    """Write the label of every image of val, or of train if there is no val. Uses no true tags."""
    every = read_samples(layout.samples)
    samples = [s for s in every if s.split == "val"] or every
    crf, outs = dense.chosen(sets, refine.crf), [layout.map_labels]
    inputs = [layout.samples, layout.seed_model, layout.tag_scores]
    key = fingerprint(maps, str(threshold), crf)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        maps_maker = partial(Maps, layout.seed_model, layout.tag_scores, maps, work.maps)
        _resume.compute_images(maps_maker, samples, folders=[work.maps], title="predict maps")
        make = partial(Labels, threshold, crf)
        _resume.process_unfinished(layout, work, make, samples, outs=outs)


class Maps:
    """Writes the class maps of images' predicted classes to a folder, where they do not stay.

    They are class maps whatever `seed.maps.kind` is: gradients would need the classes beforehand.
    """

    def __init__(self, model: Path, tag_scores: Path, maps: SeedMaps, folder: Path) -> None:
        self.net, spec = checkpoint.load(model, Classifier.from_spec)
        self.network = infer.Pass(self.net, maps, offset_px=self.net.offset_px)
        self.probability = read_tag_scores(tag_scores, spec["classes"])
        self.folder = folder

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the maps of a chunk."""
        for sample, outputs in self.network(chunk):
            classes = map_labels.predicted_classes(self.probability[sample.id])
            chosen = infer.merge([m[None].relu() for m in outputs])[0].numpy()[classes - 1]
            if self.net.superpixels:
                image = formats.read_image(sample.image)
                chosen = roi_pooling.flatten(chosen, image, self.net.superpixels)
            formats.write_maps(self.folder / f"{sample.id}.npz", chosen, classes)


@dataclass(frozen=True)
class Labels:
    """Writes the labels that class maps and a CRF give images to `work`."""

    threshold: float
    crf: Crf
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            maps, classes = formats.read_maps(self.work.maps / f"{sample.id}.npz")
            image = formats.read_image(sample.image)
            label = map_labels.map_labels(
                image, maps, classes, threshold=self.threshold, crf=self.crf
            )
            formats.write_label(self.work.map_labels / f"{sample.id}.png", label)
