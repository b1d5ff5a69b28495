"""Label images by the class maps of predicted tags and a dense CRF, after WILDCAT."""

from functools import partial

from pipeline.core import formats, ranks
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
    "shard": _run.SHARD,
}
SHARED = True


def run(
    layout: Layout, *, maps: SeedMaps, threshold: float, refine: Refine, sets: CrfSets, shard: int
) -> None:
    """Write the label of every image of val, or of train if there is no val. Uses no true tags."""
    every = read_samples(layout.samples)
    samples = [s for s in every if s.split == "val"] or every
    crf, outs = dense.chosen(sets, refine.crf), [layout.map_labels]
    inputs = [layout.samples, layout.seed_model, layout.tag_scores]
    key = fingerprint(maps, str(threshold), crf)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        _write_maps(layout, work, samples, maps)
        write = partial(_write_label, threshold=threshold, crf=crf)
        _resume.process_unfinished(layout, work, write, samples, outs=outs)


def _write_maps(layout: Layout, work: Layout, samples: list[Sample], maps: SeedMaps) -> None:
    """Write the class maps of each image's predicted classes to `work`, where they do not stay.

    They are class maps whatever `seed.maps.kind` is: gradients would need the classes beforehand.
    """
    work.maps.mkdir(exist_ok=True)
    net, spec = checkpoint.load(layout.seed_model, Classifier.from_spec)
    probability = read_tag_scores(layout.tag_scores, spec["classes"])
    done = _resume.finished_ids(work.maps)
    outputs_of_all = infer.run(
        net, samples, maps, title="predict maps", done=done, offset_px=net.offset_px
    )
    for sample, outputs in outputs_of_all:
        classes = map_labels.predicted_classes(probability[sample.id])
        chosen = infer.merge([m[None].relu() for m in outputs])[0].numpy()[classes - 1]
        if net.superpixels:
            image = formats.read_image(sample.image)
            chosen = roi_pooling.flatten(chosen, image, net.superpixels)
        formats.write_maps(work.maps / f"{sample.id}.npz", chosen, classes)
    ranks.barrier()


def _write_label(sample: Sample, *, work: Layout, threshold: float, crf: Crf) -> None:
    maps, classes = formats.read_maps(work.maps / f"{sample.id}.npz")
    image = formats.read_image(sample.image)
    label = map_labels.map_labels(image, maps, classes, threshold=threshold, crf=crf)
    formats.write_label(work.map_labels / f"{sample.id}.png", label)
