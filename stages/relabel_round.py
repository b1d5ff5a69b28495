"""Make the labels of the supervisions round2 to round4, from the last round's segmenter."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import ROUNDS
from pipeline.crf import dense
from pipeline.crf.config import CrfSets
from pipeline.guide import in_one
from pipeline.guide import rounds as guide_rounds
from pipeline.guide.config import Diffuse, Fuse, Rounds
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.segment.config import Predict
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {
        "source": ("saliency.source", str),
        "fuse": ("fuse", Fuse),
        "diffuse": ("diffuse", Diffuse),
        "rounds": ("rounds", Rounds),
        "sets": ("crf", CrfSets),
        "predict": ("segment.predict", Predict),
        "random_seed": ("random_seed", int),
    }
    for name in ROUNDS
}


def run(
    layout: Layout,
    supervision: str,
    *,
    source: str,
    fuse: Fuse,
    diffuse: Diffuse,
    rounds: Rounds,
    sets: CrfSets,
    predict: Predict,
    random_seed: int,
) -> None:
    """Write the label of every train image.

    Raises:
        UserError: the labels are fused by guide rule G1, which has no scores of this saliency's
            components.
    """
    if rounds.labels == "fuse":
        in_one.refuse_g1(fuse, supervision)
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    last, outs = ROUNDS[supervision], [layout.labels(supervision)]
    inputs = [layout.samples, layout.maps, layout.saliency(source), layout.segmenter(last)]
    inputs += [layout.labels(last)]
    used = {name: dense.chosen(sets, name) for name in (diffuse.crf, rounds.crf)}
    key = fingerprint(source, fuse, diffuse, rounds, *used.values(), predict, str(random_seed))
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        folder = work.root / "outputs"  # no output of the stage: removed when it is done
        title = f"relabel {supervision}: predict"
        predictor = partial(Outputs, layout.segmenter(last), predict, rounds, folder)
        _resume.compute_images(predictor, samples, folders=[folder], title=title)
        make = partial(
            RoundLabels, layout, supervision, folder, source, fuse, diffuse, rounds, sets,
            random_seed,
        )  # fmt: skip
        _resume.process_unfinished(layout, work, make, samples, outs=outs)


class Outputs:
    """Writes the segmenter's output for images to a folder: what the round's labels need of it.

    `fuse` needs the probability of foreground (1, h, w), `posterior` the logits (C, h, w).
    """

    def __init__(self, model: Path, predict: Predict, rounds: Rounds, folder: Path) -> None:
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        self.network, self.folder = infer.Pass(net, predict), folder
        self.output = _foreground if rounds.labels == "fuse" else _logits

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the outputs of a chunk."""
        for sample, outputs in self.network(chunk):
            formats.write_logits(self.folder / f"{sample.id}.npz", self.output(outputs))


def _foreground(outputs: Sequence[Tensor]) -> Float:
    array: Float = 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, :1].numpy()
    return array


def _logits(outputs: Sequence[Tensor]) -> Float:
    array: Float = infer.merge([o[None] for o in outputs])[0].numpy()
    return array


@dataclass(frozen=True)
class RoundLabels:
    """Writes the labels of a round to `work`."""

    layout: Layout
    supervision: str
    outputs: Path
    source: str
    fuse: Fuse
    diffuse: Diffuse
    rounds: Rounds
    sets: CrfSets
    random_seed: int
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        make = self._fused if self.rounds.labels == "fuse" else self._posterior
        last = self.layout.labels(ROUNDS[self.supervision])
        for sample in chunk:
            output = formats.read_logits(self.outputs / f"{sample.id}.npz")
            label = make(sample, formats.read_image(sample.image), output)
            if self.rounds.changed == "ignore":
                before = formats.read_label(last / f"{sample.id}.png")
                label = guide_rounds.without_changes(label, before)
            formats.write_label(self.work.labels(self.supervision) / f"{sample.id}.png", label)

    def _fused(self, sample: Sample, image: UInt8, foreground: Float) -> UInt8:
        """Make a guide label. Saliency includes the segmenter's foreground."""
        saliency = formats.read_grey(self.layout.saliency(self.source) / f"{sample.id}.png")
        return in_one.guide_label(
            image,
            *formats.read_maps(self.layout.maps / f"{sample.id}.npz"),
            guide_rounds.next_saliency(foreground[0], saliency),
            self.fuse,
            self.diffuse,
            dense.chosen(self.sets, self.diffuse.crf),
            chance=(self.random_seed, sample.id),
        )

    def _posterior(self, sample: Sample, image: UInt8, logits: Float) -> UInt8:
        """Take the segmenter's output, restricted to the image's tags."""
        _, classes = formats.read_maps(self.layout.maps / f"{sample.id}.npz")
        crf = dense.chosen(self.sets, self.rounds.crf)
        return guide_rounds.posterior_label(image, logits, classes.tolist(), crf)
