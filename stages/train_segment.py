"""Train a segmenter on guide labels, or on the labels of another supervision."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from pipeline.core import formats, runtime, shards
from pipeline.core.config import Train
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import LEARNED_FROM, ROUNDS, SUPERVISIONS
from pipeline.nets import checkpoint
from pipeline.segment import deeplab, sec
from pipeline.segment.config import Sec, SegmentModel
from pipeline.training import fit
from pipeline.training.views import Views, tag_vectors
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {
        "segment": ("segment", SegmentModel),
        "task": ("pretext.task", str),
        "random_seed": ("random_seed", int),
    }
    for name in SUPERVISIONS
}
SHARED = True


def _cross_entropy(
    net: nn.Module, image: Tensor, label: Tensor, *, segment: SegmentModel
) -> Tensor:
    return deeplab.pixel_loss(net(image), label, stride=segment.loss_stride)


def _sec(
    net: nn.Module, image: Tensor, target: Sequence[Tensor], *, segment: SegmentModel
) -> Tensor:
    options, (label, tags) = segment.option(), target
    assert isinstance(options, Sec)
    logits, cue = deeplab.at_stride(net(image), label, stride=segment.loss_stride)
    return sec.loss(logits, image, cue, tags, options)


LOSSES: dict[str, Callable[..., Tensor]] = {"cross_entropy": _cross_entropy, "sec": _sec}


def _plan(train: Train, supervision: str, *, share: float) -> Train:
    """Return the training's params. A round that learns from a `share` takes as many steps."""
    factor = share if supervision in ROUNDS else 1
    return train.model_copy(update={"epochs": train.epochs / factor})


def run(
    layout: Layout, supervision: str, *, segment: SegmentModel, task: str, random_seed: int
) -> None:
    """Write the weights, the description and the losses of the segmenter of one supervision."""
    classes, labels = formats.read_json(layout.classes), layout.labels(supervision)
    _run.require(labels)
    labelled, everything = shards.ids(labels), read_samples(layout.samples)
    samples = [s for s in everything if s.id in labelled]
    train, val = ([s for s in samples if s.split == name] for name in ("train", "val"))
    if not train:
        raise UserError(
            f"{labels}: no train image has a label; add masks of train images, or remove "
            f"{supervision} from segment.supervision"
        )
    runtime.say(f"train_segment: {len(train)} images, labels {labels}, {runtime.summary()}")
    runtime.seed_all(random_seed)
    spec = deeplab.deeplab_spec(segment, head=segment.head, classes=classes)
    spec["learned_from"] = LEARNED_FROM[supervision]
    weights = _run.trunk_weights(layout, segment.weights, task=task)
    net = deeplab.DeepLab.from_spec(spec, weights=weights)

    share = len(train) / sum(s.split == "train" for s in everything)
    plan = _plan(segment.train, supervision, share=share)

    def views(subset: list[Sample]) -> Views:
        paths = [labels / f"{s.id}.png" for s in subset]
        tags = tag_vectors(subset, classes) if segment.loss == "sec" else None
        return Views([s.image for s in subset], paths, plan, random_seed, tags=tags)

    resume = _resume.folder(
        layout,
        weights=weights,
        inputs=[layout.samples, labels],
        params_key=fingerprint(segment, str(random_seed)),
    )
    epochs = fit.fit(
        net,
        views(train),
        partial(LOSSES[segment.loss], segment=segment),
        resume=resume,
        title=f"train_segment ({supervision})",
        val=views(val) if val else None,
    )
    checkpoint.save(layout.segmenter(supervision), net, spec, epochs)
