"""Seeds and saliency -> labels the guide rule settles, and the components it cannot."""

from pipeline import cam, config, formats, guide, runtime
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Layout, Sample, config.Fuse, str]) -> None:
    layout, sample, rule, source = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    seeds = cam.seed_labels(
        maps,
        classes,
        threshold=rule.seed_threshold,
        height_px=sample.height_px,
        width_px=sample.width_px,
    )
    salient = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    fused = guide.fuse(
        seeds,
        salient >= rule.saliency_threshold,
        min_seed_area_px=rule.min_seed_area_px,
        min_saliency_fraction=rule.min_saliency_fraction,
    )
    formats.write_label(layout.seeds / f"{sample.id}.png", fused.seeds_HW)
    formats.write_label(layout.fused / f"{sample.id}.png", fused.label_HW)


def run(layout: Layout, *, fuse: config.Fuse, source: str) -> None:
    """Write seed labels and fused labels of every image."""
    jobs = [(layout, s, fuse, source) for s in formats.read_samples(layout.samples)]
    list(runtime.pool_map(_one, jobs, what="fuse"))


if __name__ == "__main__":
    _run.main(run, fuse=("fuse", config.Fuse), source=("saliency.source", str))
