"""Other labels to learn from, for the train images: oracle, seed, round2 and on (command line)."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline import blocks, config, crf, formats, guide, infer, labels, nets, runtime
from pipeline.arrays import Float
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

Slices = dict[str, tuple[str, type[Any]]]


@dataclass(frozen=True)
class Rules:
    """How guide labels are made."""

    fuse: config.Fuse
    diffuse: config.Diffuse
    crf: blocks.Crf
    random_seed: int


Job = tuple[Layout, str, str, Sample, Rules, Float | None]


def _train(layout: Layout) -> list[Sample]:
    return [s for s in formats.read_samples(layout.samples) if s.split == "train"]


def _guide(job: Job) -> None:
    """Fuse and diffuse one image; a segmenter's foreground takes part in its saliency."""
    layout, name, source, sample, how, foreground = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    if foreground is not None:
        saliency = labels.next_saliency(foreground, saliency)
    chance = (how.random_seed, sample.id)
    fused = labels.fused(maps, classes, saliency, how.fuse, chance=chance)
    label = guide.diffuse(formats.read_image(sample.image), fused, how.diffuse, how.crf)
    formats.write_label(layout.labels(name) / f"{sample.id}.png", label)


def _rules(
    *, fuse: config.Fuse, diffuse: config.Diffuse, sets: blocks.CrfSets, random_seed: int
) -> Rules:
    return Rules(fuse, diffuse, crf.chosen(sets, diffuse.crf), random_seed)


def _oracle(layout: Layout, **rules: Any) -> None:
    """Guide labels whose saliency is the truth."""
    how = _rules(**rules)
    jobs = [(layout, "oracle", "oracle", s, how, None) for s in _train(layout)]
    list(runtime.pool_map(_guide, jobs, what="relabel (oracle)"))


def _round(layout: Layout, *, source: str, predict: config.Predict, **rules: Any) -> None:
    """Guide labels whose saliency is the mean of the maps and the last round's segmenter."""
    name = sys.argv[1]
    net, _ = nets.load(layout.segmenter(blocks.ROUNDS[name]))
    foreground = {
        s.id: 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, 0].numpy()
        for s, outputs in infer.run(net, _train(layout), predict, what=f"relabel ({name}): predict")
    }
    how = _rules(**rules)
    jobs = [(layout, name, source, s, how, foreground[s.id]) for s in _train(layout)]
    list(runtime.pool_map(_guide, jobs, what=f"relabel ({name})"))


def _cue(job: tuple[Layout, Sample, float, float]) -> None:
    layout, sample, threshold, fraction = job
    label = labels.cues(
        *formats.read_maps(layout.maps / f"{sample.id}.npz"),
        seed_threshold=threshold,
        background_fraction=fraction,
        height_px=sample.height_px,
        width_px=sample.width_px,
    )
    formats.write_label(layout.labels("seed") / f"{sample.id}.png", label)


def _seed(layout: Layout, *, threshold: float, relabel: config.Relabel) -> None:
    """SEC's cues: seeds, background where least speaks for a tag, void elsewhere."""
    jobs = [(layout, s, threshold, relabel.background_fraction) for s in _train(layout)]
    list(runtime.pool_map(_cue, jobs, what="relabel (seed)"))


RULES: Slices = {
    "fuse": ("fuse", config.Fuse),
    "diffuse": ("diffuse", config.Diffuse),
    "sets": ("crf", blocks.CrfSets),
    "random_seed": ("random_seed", int),
}
SEGMENTER: Slices = {
    "source": ("saliency.source", str),
    "predict": ("segment.predict", config.Predict),
}
CUES: Slices = {
    "threshold": ("fuse.seed_threshold", float),
    "relabel": ("relabel", config.Relabel),
}

# what `segment.supervision` may name beside guide and full -> its maker and its params
MAKERS: dict[str, tuple[Callable[..., None], Slices]] = {
    "oracle": (_oracle, RULES),
    "seed": (_seed, CUES),
    **{name: (_round, RULES | SEGMENTER) for name in blocks.ROUNDS},
}

if __name__ == "__main__":
    make, slices = MAKERS[sys.argv[1]]
    _run.main(make, **slices)
