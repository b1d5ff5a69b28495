"""Seeds and saliency -> labels the guide rule settles, and the components it cannot."""

from pipeline import config, formats, labels, params, runtime
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


def run(layout: Layout, *, fuse: config.Fuse, source: str, random_seed: int) -> None:
    """Write seed labels and fused labels of every image."""
    samples, outs = formats.read_samples(layout.samples), [layout.seeds, layout.fused]
    inputs = [layout.samples, layout.maps, layout.saliency(source)]
    about = params.fingerprint(fuse, source, str(random_seed))
    with _run.partial(layout, outs, inputs=inputs, about=about) as work:
        done = _run.finished(work.fused)
        jobs = [(layout, work, s, fuse, source, random_seed) for s in samples if s.id not in done]
        list(runtime.pool_map(_one, jobs, what="fuse"))


if __name__ == "__main__":
    _run.main(
        run,
        fuse=("fuse", config.Fuse),
        source=("saliency.source", str),
        random_seed=("random_seed", int),
    )
