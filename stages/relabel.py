"""Other labels to learn from, for the train images: oracle, seed, round2 and on (command line)."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline import blocks, config, crf, formats, guide, infer, labels, nets, params, ranks
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

Slices = dict[str, _run.Slice]


@dataclass(frozen=True)
class Rules:
    """How guide labels are made."""

    fuse: config.Fuse
    diffuse: config.Diffuse
    crf: blocks.Crf
    random_seed: int


Job = tuple[Layout, Layout, Sample, str, str, Rules, Path | None]


def _train(layout: Layout) -> list[Sample]:
    return [s for s in formats.read_samples(layout.samples) if s.split == "train"]


def _guide(job: Job) -> None:
    """Fuse and diffuse one image; in a round a segmenter takes part in its saliency."""
    layout, work, sample, name, source, how, foregrounds = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    if foregrounds is not None:
        foreground = formats.read_logits(foregrounds / f"{sample.id}.npz")[0]
        saliency = labels.next_saliency(foreground, saliency)
    chance = (how.random_seed, sample.id)
    fused = labels.fused(maps, classes, saliency, how.fuse, chance=chance)
    label = guide.diffuse(formats.read_image(sample.image), fused, how.diffuse, how.crf)
    formats.write_label(work.labels(name) / f"{sample.id}.png", label)


def _rules(
    *, fuse: config.Fuse, diffuse: config.Diffuse, sets: blocks.CrfSets, random_seed: int
) -> Rules:
    return Rules(fuse, diffuse, crf.chosen(sets, diffuse.crf), random_seed)


def _about(how: Rules, *more: BaseModel | str) -> str:
    return params.fingerprint(how.fuse, how.diffuse, how.crf, str(how.random_seed), *more)


def _oracle(layout: Layout, *, shard: int, **rules: Any) -> None:
    """Guide labels whose saliency is the truth."""
    how = _rules(**rules)
    _run.each(
        layout,
        _guide,
        _train(layout),
        *("oracle", "oracle", how, None),
        outs=[layout.labels("oracle")],
        inputs=[layout.maps, layout.saliency("oracle")],
        about=_about(how),
        shard=shard,
    )


def _round(
    layout: Layout, *, source: str, predict: config.Predict, shard: int, **rules: Any
) -> None:
    """Guide labels whose saliency is the mean of the maps and the last round's segmenter."""
    name, how = sys.argv[1], _rules(**rules)
    model, outs = layout.segmenter(blocks.ROUNDS[name]), [layout.labels(name)]
    inputs = [layout.samples, layout.maps, layout.saliency(source), model]
    about = _about(how, predict)
    with _run.partial(layout, outs, inputs=inputs, about=about, shard=shard) as work:
        (folder := work.root / "foreground").mkdir(exist_ok=True)  # goes when the stage is done
        net, _ = nets.load(model)
        done, what = _run.finished(folder), f"relabel {name}: predict"
        for s, outputs in infer.run(net, _train(layout), predict, what=what, done=done):
            foreground = 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, :1].numpy()
            formats.write_logits(folder / f"{s.id}.npz", foreground)
        ranks.barrier()
        _run.pool(layout, work, _guide, _train(layout), *(name, source, how, folder), outs=outs)


def _cue(job: tuple[Layout, Layout, Sample, float, float]) -> None:
    layout, work, sample, threshold, fraction = job
    label = labels.cues(
        *formats.read_maps(layout.maps / f"{sample.id}.npz"),
        seed_threshold=threshold,
        background_fraction=fraction,
        height_px=sample.height_px,
        width_px=sample.width_px,
    )
    formats.write_label(work.labels("seed") / f"{sample.id}.png", label)


def _seed(layout: Layout, *, threshold: float, relabel: config.Relabel, shard: int) -> None:
    """SEC's cues: seeds, background where least speaks for a tag, void elsewhere."""
    _run.each(
        layout,
        _cue,
        _train(layout),
        *(threshold, relabel.background_fraction),
        outs=[layout.labels("seed")],
        inputs=[layout.maps],
        about=params.fingerprint(relabel, str(threshold)),
        shard=shard,
    )


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
    _run.main(make, shared=True, shard=_run.SHARD, **slices)
