"""Make the labels of a later round of box supervision, from the last round's segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.boxes import rounds as box_rounds
from pipeline.boxes.annotations import read_class_boxes
from pipeline.boxes.config import BoxRounds
from pipeline.boxes.labels import ClassBoxes
from pipeline.core import formats
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
    }
    for name in BOX_ROUNDS
}


def run(
    layout: Layout,
    supervision: str,
    *,
    path: Path,
    rounds: BoxRounds,
    sets: CrfSets,
    predict: Predict,
) -> None:
    """Write the label of every train image."""
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    boxes = read_class_boxes(path, samples, formats.read_json(layout.classes))
    crf, first = dense.chosen(sets, rounds.crf), layout.labels(supervision.partition("_round")[0])
    model, outs = layout.segmenter(BOX_ROUNDS[supervision]), [layout.labels(supervision)]
    inputs = [layout.samples, layout.classes, path, first, model]
    key = fingerprint(rounds, crf, predict)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        folder = work.root / "probability"  # no output: removed when the stage is done
        title = f"relabel {supervision}: predict"
        predictor = partial(Probabilities, model, predict, boxes, folder)
        _resume.compute_images(predictor, samples, folders=[folder], title=title)
        make = partial(NextLabels, supervision, first, folder, boxes, rounds, crf)
        _resume.process_unfinished(layout, work, make, samples, outs=outs)


class Probabilities:
    """Writes the probabilities (C, h, w) of images' labels, by a segmenter, to a folder."""

    def __init__(
        self, model: Path, predict: Predict, boxes: dict[str, ClassBoxes], folder: Path
    ) -> None:
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        self.network, self.boxes, self.folder = infer.Pass(net, predict), boxes, folder

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the probabilities of a chunk."""
        for sample, outputs in self.network(chunk):
            probability = infer.merge([o[None].softmax(1) for o in outputs])[0].numpy()
            kept = probability[box_rounds.boxed_classes(self.boxes[sample.id])]
            formats.write_logits(self.folder / f"{sample.id}.npz", kept)


@dataclass(frozen=True)
class NextLabels:
    """Writes the labels of a later round to `work`."""

    supervision: str
    first: Path
    probabilities: Path
    boxes: dict[str, ClassBoxes]
    rounds: BoxRounds
    crf: Crf
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            label = box_rounds.next_label(
                formats.read_image(sample.image),
                formats.read_logits(self.probabilities / f"{sample.id}.npz"),
                formats.read_label(self.first / f"{sample.id}.png"),
                self.boxes[sample.id],
                self.rounds,
                self.crf,
            )
            formats.write_label(self.work.labels(self.supervision) / f"{sample.id}.png", label)
