"""Seeds and saliency -> labels the guide rule settles, and the components it cannot."""

from pipeline import config, formats, labels, params
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run

Job = tuple[Layout, Layout, Sample, config.Fuse, str, int]


def _one(job: Job) -> None:
    layout, work, sample, how, source, random_seed = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    chance = (random_seed, sample.id)
    fused = labels.fused(maps, classes, saliency, how, chance=chance)
    formats.write_label(work.seeds / f"{sample.id}.png", fused.seeds_HW)
    formats.write_label(work.fused / f"{sample.id}.png", fused.label_HW)


def run(layout: Layout, *, fuse: config.Fuse, source: str, random_seed: int, shard: int) -> None:
    """Write seed labels and fused labels of every image."""
    _run.each(
        layout,
        _one,
        formats.read_samples(layout.samples),
        *(fuse, source, random_seed),
        outs=[layout.seeds, layout.fused],
        inputs=[layout.maps, layout.saliency(source)],
        about=params.fingerprint(fuse, source, str(random_seed)),
        shard=shard,
    )


if __name__ == "__main__":
    _run.main(
        run,
        shared=True,
        fuse=("fuse", config.Fuse),
        source=("saliency.source", str),
        random_seed=("random_seed", int),
        shard=_run.SHARD,
    )
