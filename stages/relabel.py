"""Other labels to learn from, for the train images: oracle, seed, round2 and on (command line)."""

import sys
from collections.abc import Callable
from typing import Any

from pipeline import blocks, config, formats, guide, infer, labels, nets, runtime
from pipeline.arrays import Float
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

Slices = dict[str, tuple[str, type[Any]]]
Rules = tuple[config.Fuse, config.Diffuse]


def _train(layout: Layout) -> list[Sample]:
    return [s for s in formats.read_samples(layout.samples) if s.split == "train"]


def _guide(job: tuple[Layout, str, str, Sample, Rules, Float | None]) -> None:
    """Fuse and diffuse one image; a segmenter's foreground takes part in its saliency."""
    layout, name, source, sample, (fuse, diffuse), foreground = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    if foreground is not None:
        saliency = labels.next_saliency(foreground, saliency)
    fused = labels.fused(maps, classes, saliency, fuse)
    label = guide.diffuse(formats.read_image(sample.image), fused, diffuse)
    formats.write_label(layout.labels(name) / f"{sample.id}.png", label)


def _oracle(layout: Layout, *, fuse: config.Fuse, diffuse: config.Diffuse) -> None:
    """Guide labels whose saliency is the truth."""
    jobs = [(layout, "oracle", "oracle", s, (fuse, diffuse), None) for s in _train(layout)]
    list(runtime.pool_map(_guide, jobs, what="relabel (oracle)"))


def _round(
    layout: Layout,
    *,
    fuse: config.Fuse,
    diffuse: config.Diffuse,
    source: str,
    predict: config.Predict,
) -> None:
    """Guide labels whose saliency is the mean of the maps and the last round's segmenter."""
    name = sys.argv[1]
    net, _ = nets.load(layout.segmenter(blocks.ROUNDS[name]))
    foreground = {
        s.id: 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, 0].numpy()
        for s, outputs in infer.run(net, _train(layout), predict, what=f"relabel ({name}): predict")
    }
    rules = (fuse, diffuse)
    jobs = [(layout, name, source, s, rules, foreground[s.id]) for s in _train(layout)]
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


RULES: Slices = {"fuse": ("fuse", config.Fuse), "diffuse": ("diffuse", config.Diffuse)}
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
