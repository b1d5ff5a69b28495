"""Make the labels of a later round of box supervision, from the last round's segmenter."""

from functools import partial
from pathlib import Path

from pipeline.boxes import rounds as box_rounds
from pipeline.boxes.annotations import read_class_boxes
from pipeline.boxes.config import BoxRounds
from pipeline.boxes.labels import ClassBoxes
from pipeline.core import formats, ranks
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import BOX_ROUNDS
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.segment.config import Predict
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {
        "path": ("boxes.path", Path),
        "rounds": ("boxes.rounds", BoxRounds),
        "sets": ("crf", CrfSets),
        "predict": ("segment.predict", Predict),
        "shard": _run.SHARD,
    }
    for name in BOX_ROUNDS
}
SHARED = True


def run(
    layout: Layout,
    supervision: str,
    *,
    path: Path,
    rounds: BoxRounds,
    sets: CrfSets,
    predict: Predict,
    shard: int,
) -> None:
    """Write the label of every train image."""
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    boxes = read_class_boxes(path, samples, formats.read_json(layout.classes))
    crf, first = dense.chosen(sets, rounds.crf), layout.labels(supervision.partition("_round")[0])
    model, outs = layout.segmenter(BOX_ROUNDS[supervision]), [layout.labels(supervision)]
    inputs = [layout.samples, layout.classes, path, first, model]
    key = fingerprint(rounds, crf, predict)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        folder = work.root / "probability"  # no output: removed when the stage is done
        title = f"relabel {supervision}: predict"
        _write_probabilities(folder, model, samples, boxes, predict, title=title)
        write = partial(
            _write_label,
            supervision=supervision,
            first=first,
            probabilities=folder,
            boxes=boxes,
            rounds=rounds,
            crf=crf,
        )
        _resume.process_unfinished(layout, work, write, samples, outs=outs)


def _write_probabilities(
    folder: Path,
    model: Path,
    samples: list[Sample],
    boxes: dict[str, ClassBoxes],
    predict: Predict,
    *,
    title: str,
) -> None:
    """Write the probabilities (C, h, w) that the last segmenter gives the labels of each image."""
    folder.mkdir(exist_ok=True)
    net, _ = checkpoint.load(model, DeepLab.from_spec)
    done = _resume.finished_ids(folder)
    for sample, outputs in infer.run(net, samples, predict, title=title, done=done):
        probability = infer.merge([o[None].softmax(1) for o in outputs])[0].numpy()
        kept = probability[box_rounds.boxed_classes(boxes[sample.id])]
        formats.write_logits(folder / f"{sample.id}.npz", kept)
    ranks.barrier()


def _write_label(
    sample: Sample,
    *,
    work: Layout,
    supervision: str,
    first: Path,
    probabilities: Path,
    boxes: dict[str, ClassBoxes],
    rounds: BoxRounds,
    crf: Crf,
) -> None:
    label = box_rounds.next_label(
        formats.read_image(sample.image),
        formats.read_logits(probabilities / f"{sample.id}.npz"),
        formats.read_label(first / f"{sample.id}.png"),
        boxes[sample.id],
        rounds,
        crf,
    )
    formats.write_label(work.labels(supervision) / f"{sample.id}.png", label)
