"""Make the labels of the supervisions round2 to round4, from the last round's segmenter."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from pipeline.core import formats, runtime, shards
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
    """Write the labels of the train images of the round.

    An image without a label in the last round gets none in this one.

    Raises:
        UserError: the labels are fused by guide rule G1, which has no scores of this saliency's
            components.
    """
    if rounds.labels == "fuse":
        in_one.refuse_g1(fuse, supervision)
    last, outs = ROUNDS[supervision], [layout.labels(supervision)]
    _run.require(layout.labels(last))
    labelled = shards.ids(layout.labels(last))
    samples = [s for s in read_samples(layout.samples) if s.split == "train" and s.id in labelled]
    inputs = [layout.samples, layout.maps, layout.saliency(source), layout.segmenter(last)]
    inputs += [layout.labels(last)]
    used = {name: dense.chosen(sets, name) for name in (diffuse.crf, rounds.crf)}
    key = fingerprint(source, fuse, diffuse, rounds, *used.values(), predict, str(random_seed))
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        # no outputs of the stage: removed when it is done
        folders = [work.root / "outputs", work.root / "agreements"]
        title = f"relabel {supervision}: predict"
        predictor = partial(Outputs, layout, last, predict, rounds, *folders)
        _resume.compute_images(predictor, samples, folders=folders, title=title)
        chosen = _chosen(samples, folders[1], rounds)
        runtime.say(f"relabel {supervision}: {_count(samples, chosen)}")
        make = partial(
            RoundLabels, layout, supervision, folders[0], source, fuse, diffuse, rounds, sets,
            random_seed,
        )  # fmt: skip
        _resume.process_unfinished(layout, work, make, chosen, outs=outs)


def _chosen(samples: Sequence[Sample], folder: Path, rounds: Rounds) -> list[Sample]:
    """Return the samples that the round learns from."""
    agreements = {s.id: formats.read_json(folder / f"{s.id}.json") for s in samples}
    chosen = guide_rounds.most_agreed(agreements, share=rounds.images)
    return [s for s in samples if s.id in chosen]


def _count(samples: Sequence[Sample], chosen: Sequence[Sample]) -> str:
    """Say how many images the round learns from, and how many of each tag."""
    total, kept = (Counter(tag for s in each for tag in set(s.tags)) for each in (samples, chosen))
    by_tag = ", ".join(f"{tag} {kept[tag]} of {total[tag]}" for tag in sorted(total))
    return f"{len(chosen)} of {len(samples)} images ({by_tag})"


class Outputs:
    """Writes what the round needs of the segmenter's output for images, to two folders.

    The first gets what its labels are made of: with `fuse` the probability of foreground (1, h, w),
    else the logits (C, h, w). The second gets the agreement with the last round's labels.
    """

    def __init__(
        self, layout: Layout, last: str, predict: Predict, rounds: Rounds, folder: Path,
        agreements: Path,
    ) -> None:  # fmt: skip
        net, spec = checkpoint.load(layout.segmenter(last), DeepLab.from_spec)
        self.network, self.folder = infer.Pass(net, predict), folder
        self.last, self.agreements = layout.labels(last), agreements
        self.index = {name: i for i, name in enumerate(spec["classes"], 1)}
        self.output = _foreground if rounds.labels == "fuse" else _logits

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the outputs of a chunk."""
        for sample, outputs in self.network(chunk):
            formats.write_logits(self.folder / f"{sample.id}.npz", self.output(outputs))
            formats.write_json(
                self.agreements / f"{sample.id}.json", self._agreement(sample, outputs)
            )

    def _agreement(self, sample: Sample, outputs: Sequence[Tensor]) -> float:
        """Compare the last label with the segmenter's that knows the tags, without a CRF."""
        label = guide_rounds.label_without_crf(
            _logits(outputs),
            [self.index[tag] for tag in sample.tags],
            height_px=sample.height_px,
            width_px=sample.width_px,
        )
        return guide_rounds.agreement(label, formats.read_label(self.last / f"{sample.id}.png"))


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
        make = {"same": self._same, "fuse": self._fused, "posterior": self._posterior}
        for sample in chunk:
            output = formats.read_logits(self.outputs / f"{sample.id}.npz")
            label = make[self.rounds.labels](sample, formats.read_image(sample.image), output)
            if self.rounds.changed == "ignore":
                label = guide_rounds.without_changes(label, self._last(sample))
            formats.write_label(self.work.labels(self.supervision) / f"{sample.id}.png", label)

    def _last(self, sample: Sample) -> UInt8:
        """Read the label of the last round."""
        last = self.layout.labels(ROUNDS[self.supervision])
        return formats.read_label(last / f"{sample.id}.png")

    def _same(self, sample: Sample, image: UInt8, output: Float) -> UInt8:
        """Keep the last round's label."""
        return self._last(sample)

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
