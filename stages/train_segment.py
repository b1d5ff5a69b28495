"""Train the segmenter on guide labels, or on what else `segment.supervision` names."""

import sys
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from pipeline import (
    blocks,
    choices,
    config,
    crf,
    deeplab,
    fit,
    formats,
    loader,
    nets,
    params,
    runtime,
    sec,
    shards,
)
from pipeline.errors import UserError
from pipeline.layout import Layout
from stages import _run


def _cross_entropy(
    net: nn.Module,
    image: Tensor,
    label: Tensor,
    *,
    segment: config.SegmentModel,
    sets: blocks.CrfSets,
) -> Tensor:
    return deeplab.pixel_loss(net(image), label, stride=segment.loss_stride)


def _sec(
    net: nn.Module,
    image: Tensor,
    target: Sequence[Tensor],
    *,
    segment: config.SegmentModel,
    sets: blocks.CrfSets,
) -> Tensor:
    options, (label, tags) = segment.option(), target
    assert isinstance(options, choices.Sec)
    logits, cue = deeplab.at_stride(net(image), label, stride=segment.loss_stride)
    return sec.loss(logits, image, cue, tags, options, crf.chosen(sets, options.crf))


LOSSES: dict[str, Callable[..., Tensor]] = {"cross_entropy": _cross_entropy, "sec": _sec}


def run(
    layout: Layout, *, segment: config.SegmentModel, sets: blocks.CrfSets, random_seed: int
) -> None:
    """Write the segmenter trained on the labels that the command line names."""
    supervision = sys.argv[1]
    classes, labels = formats.read_json(layout.classes), layout.labels(supervision)
    samples = [s for s in formats.read_samples(layout.samples) if s.split == "train"]
    there = shards.ids(labels)
    samples = [s for s in samples if s.id in there]
    if not samples:
        raise UserError(f"{labels}: no label of a train image; supervision 'full' needs masks")
    runtime.say(f"train_segment: {len(samples)} images, labels {labels}, {runtime.describe()}")
    runtime.seed_all(random_seed)
    spec = nets.deeplab_spec(segment, classes)
    net = nets.build(spec, weights=segment.weights)
    views = loader.Views(
        [s.image for s in samples],
        [labels / f"{s.id}.png" for s in samples],
        segment.train,
        random_seed,
        tags=loader.tag_vectors(samples, classes) if segment.loss == "sec" else None,
    )
    resume = _run.resume_folder(
        layout,
        weights=segment.weights,
        inputs=[layout.samples, labels],
        about=params.fingerprint(segment, str(sets), str(random_seed)),
    )
    loss_of: fit.LossOf = partial(LOSSES[segment.loss], segment=segment, sets=sets)
    losses = fit.fit(net, views, loss_of, resume=resume, what=f"train_segment ({supervision})")
    nets.save(layout.segmenter(supervision), net, spec, losses)


if __name__ == "__main__":
    _run.main(
        run,
        shared=True,
        segment=("segment", config.SegmentModel),
        sets=("crf", blocks.CrfSets),
        random_seed=("random_seed", int),
    )
