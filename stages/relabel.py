"""Labels beside the guide labels to train a segmenter on: oracle, seed, round2 to round4."""

from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core import formats, ranks
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
SHARED = True


def run(layout: Layout, supervision: str, **slices: Any) -> None:
    """Write the label of every train image."""
    if supervision == "seed":
        _seed(layout, **slices)
    elif supervision == "oracle":
        _oracle(layout, **slices)
    else:
        _round(layout, supervision, **slices)


def _train(layout: Layout) -> list[Sample]:
    return [s for s in read_samples(layout.samples) if s.split == "train"]


def _guide(
    sample: Sample,
    *,
    work: Layout,
    layout: Layout,
    supervision: str,
    source: str,
    fuse: Fuse,
    diffuse: Diffuse,
    crf: Crf,
    random_seed: int,
    foregrounds: Path | None = None,
) -> None:
    """Fuse and diffuse one image; in a round the last segmenter takes part in its saliency."""
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    if foregrounds is not None:
        foreground = formats.read_logits(foregrounds / f"{sample.id}.npz")[0]
        saliency = labels.next_saliency(foreground, saliency)
    fused = labels.fused(maps, classes, saliency, fuse, chance=(random_seed, sample.id))
    label = diffusion.diffuse(formats.read_image(sample.image), fused, diffuse, crf)
    formats.write_label(work.labels(supervision) / f"{sample.id}.png", label)


def _oracle(
    layout: Layout, *, fuse: Fuse, diffuse: Diffuse, sets: CrfSets, random_seed: int, shard: int
) -> None:
    """Guide labels whose saliency is the truth."""
    crf = dense.chosen(sets, diffuse.crf)
    make = partial(
        _guide,
        layout=layout,
        supervision="oracle",
        source="oracle",
        fuse=fuse,
        diffuse=diffuse,
        crf=crf,
        random_seed=random_seed,
    )
    _resume.process_images(
        layout,
        make,
        _train(layout),
        outs=[layout.labels("oracle")],
        inputs=[layout.maps, layout.saliency("oracle")],
        params_key=fingerprint(fuse, diffuse, crf, str(random_seed)),
        shard=shard,
    )


def _round(
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
    """Guide labels whose saliency is the mean of the maps and the last round's segmenter."""
    crf, model = dense.chosen(sets, diffuse.crf), layout.segmenter(ROUNDS[supervision])
    outs = [layout.labels(supervision)]
    inputs = [layout.samples, layout.maps, layout.saliency(source), model]
    key = fingerprint(fuse, diffuse, crf, str(random_seed), predict)
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        (foregrounds := work.root / "foreground").mkdir(exist_ok=True)  # removed with the stage
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        done, what = _resume.finished_ids(foregrounds), f"relabel {supervision}: predict"
        for s, outputs in infer.run(net, _train(layout), predict, what=what, done=done):
            foreground = 1 - infer.merge([o[None].softmax(1) for o in outputs])[0, :1].numpy()
            formats.write_logits(foregrounds / f"{s.id}.npz", foreground)
        ranks.barrier()
        make = partial(
            _guide,
            layout=layout,
            supervision=supervision,
            source=source,
            fuse=fuse,
            diffuse=diffuse,
            crf=crf,
            random_seed=random_seed,
            foregrounds=foregrounds,
        )
        _resume.process_unfinished(layout, work, make, _train(layout), outs=outs)


def _cue(
    sample: Sample, *, work: Layout, layout: Layout, threshold: float, relabel: Relabel
) -> None:
    label = seed_rule.cues(
        *formats.read_maps(layout.maps / f"{sample.id}.npz"),
        seed_threshold=threshold,
        background_fraction=relabel.background_fraction,
        height_px=sample.height_px,
        width_px=sample.width_px,
    )
    formats.write_label(work.labels("seed") / f"{sample.id}.png", label)


def _seed(layout: Layout, *, threshold: float, relabel: Relabel, shard: int) -> None:
    """SEC's cues: seeds, background where the maps are lowest, void elsewhere."""
    _resume.process_images(
        layout,
        partial(_cue, layout=layout, threshold=threshold, relabel=relabel),
        _train(layout),
        outs=[layout.labels("seed")],
        inputs=[layout.maps],
        params_key=fingerprint(relabel, str(threshold)),
        shard=shard,
    )
