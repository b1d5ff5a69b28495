"""Make the labels of the supervisions oracle, seed, and round2 to round4."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core import formats
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import ROUNDS
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.guide import diffusion, labels, seed_rule
from pipeline.guide.config import Diffuse, Fuse, Relabel
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.segment.config import Predict
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

RULES: _run.Slices = {
    "fuse": ("fuse", Fuse),
    "diffuse": ("diffuse", Diffuse),
    "sets": ("crf", CrfSets),
    "random_seed": ("random_seed", int),
    "shard": _run.SHARD,
}
SEGMENTER: _run.Slices = {
    "source": ("saliency.source", str),
    "predict": ("segment.predict", Predict),
}
CUES: _run.Slices = {
    "threshold": ("fuse.seed_threshold", float),
    "relabel": ("relabel", Relabel),
    "shard": _run.SHARD,
}
SLICES: dict[str, _run.Slices] = {
    "oracle": RULES,
    "seed": CUES,
    **{name: {**RULES, **SEGMENTER} for name in ROUNDS},
}


def run(layout: Layout, supervision: str, **slices: Any) -> None:
    """Write the label of every train image.

    Raises:
        UserError: the guide rule is G1, which has no scores of this saliency's components.
    """
    if "fuse" in slices and slices["fuse"].rule == "g1":
        raise UserError(
            f"params.yaml: segment.supervision: {supervision} cannot use fuse.rule g1, which has "
            "scores only for the components of saliency.source; remove it, or choose another rule"
        )
    if supervision == "seed":
        _write_cues(layout, **slices)
    elif supervision == "oracle":
        _write_oracle_labels(layout, **slices)
    else:
        _write_round(layout, supervision, **slices)


def _train_samples(layout: Layout) -> list[Sample]:
    return [s for s in read_samples(layout.samples) if s.split == "train"]


@dataclass(frozen=True)
class Guide:
    """What makes the guide labels of one supervision: a source of saliency, and params."""

    supervision: str
    source: str
    fuse: Fuse
    diffuse: Diffuse
    crf: Crf
    random_seed: int

    def key(self) -> str:
        """Return the fingerprint of the params."""
        return fingerprint(self.fuse, self.diffuse, self.crf, str(self.random_seed))


@dataclass(frozen=True)
class GuideLabels:
    """Writes the fused and diffused labels of images to `work`.

    In a round, saliency includes the segmenter's foreground.
    """

    layout: Layout
    guide: Guide
    foregrounds: Path | None
    work: Layout

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the labels of a chunk."""
        for sample in chunk:
            label = self._label(sample)
            formats.write_label(
                self.work.labels(self.guide.supervision) / f"{sample.id}.png", label
            )

    def _label(self, sample: Sample) -> UInt8:
        guide, layout = self.guide, self.layout
        maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
        saliency = formats.read_grey(layout.saliency(guide.source) / f"{sample.id}.png")
        if self.foregrounds is not None:
            foreground = formats.read_logits(self.foregrounds / f"{sample.id}.npz")[0]
            saliency = labels.next_saliency(foreground, saliency)
        chance = (guide.random_seed, sample.id)
        image = formats.read_image(sample.image)
        fused = labels.fused(maps, classes, saliency, guide.fuse, chance=chance, image_HW3=image)
        return diffusion.diffuse(image, fused, guide.diffuse, guide.crf)


def _write_oracle_labels(
    layout: Layout, *, fuse: Fuse, diffuse: Diffuse, sets: CrfSets, random_seed: int, shard: int
) -> None:
    """Write guide labels with ground truth as saliency."""
    crf = dense.chosen(sets, diffuse.crf)
    guide = Guide("oracle", "oracle", fuse, diffuse, crf, random_seed)
    _resume.process_images(
        layout,
        partial(GuideLabels, layout, guide, None),
        _train_samples(layout),
        outs=[layout.labels("oracle")],
        inputs=[layout.maps, layout.saliency("oracle")],
        params_key=guide.key(),
        shard=shard,
    )


def _write_round(
    layout: Layout,
    supervision: str,
    *,
    source: str,
    fuse: Fuse,
    diffuse: Diffuse,
    sets: CrfSets,
    predict: Predict,
    random_seed: int,
    shard: int,
) -> None:
    """Write guide labels whose saliency is the mean of the maps and the last segmenter's output."""
    crf = dense.chosen(sets, diffuse.crf)
    guide = Guide(supervision, source, fuse, diffuse, crf, random_seed)
    samples, outs = _train_samples(layout), [layout.labels(supervision)]
    model = layout.segmenter(ROUNDS[supervision])
    inputs = [layout.samples, layout.maps, layout.saliency(source), model]
    key = fingerprint(guide.key(), predict)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        foregrounds = work.root / "foreground"  # no output: removed when the stage is done
        predictor = partial(Foregrounds, model, predict, foregrounds)
        title = f"relabel {supervision}: predict"
        _resume.compute_images(predictor, samples, folders=[foregrounds], title=title)
        make = partial(GuideLabels, layout, guide, foregrounds)
        _resume.process_unfinished(layout, work, make, samples, outs=outs)


class Foregrounds:
    """Writes the foreground probability (1, h, w) that a segmenter gives images to a folder."""

    def __init__(self, model: Path, predict: Predict, folder: Path) -> None:
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        self.network, self.folder = infer.Pass(net, predict), folder

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the probabilities of a chunk."""
        for sample, outputs in self.network(chunk):
            foreground = 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, :1].numpy()
            formats.write_logits(self.folder / f"{sample.id}.npz", foreground)


def _write_cues(layout: Layout, *, threshold: float, relabel: Relabel, shard: int) -> None:
    """Write SEC's cues: seeds, background where the maps are lowest, and void elsewhere."""
    _resume.process_images(
        layout,
        partial(Cues, layout, threshold, relabel),
        _train_samples(layout),
        outs=[layout.labels("seed")],
        inputs=[layout.maps],
        params_key=fingerprint(relabel, str(threshold)),
        shard=shard,
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
