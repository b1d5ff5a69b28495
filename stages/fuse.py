"""Seeds and saliency -> labels the guide rule settles, and the components it cannot."""

import zlib

import numpy as np

from pipeline import cam, config, formats, guide, runtime
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _one(job: tuple[Layout, Sample, config.Fuse, str, int]) -> None:
    layout, sample, how, source, random_seed = job
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    seeds = cam.seed_labels(
        maps,
        classes,
        threshold=how.seed_threshold,
        height_px=sample.height_px,
        width_px=sample.width_px,
    )
    salient = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    fused = guide.fuse(
        seeds,
        salient >= how.saliency_threshold,
        how,
        tags=classes.tolist(),
        rng=np.random.default_rng([random_seed, zlib.crc32(sample.id.encode())]),
    )
    formats.write_label(layout.seeds / f"{sample.id}.png", fused.seeds_HW)
    formats.write_label(layout.fused / f"{sample.id}.png", fused.label_HW)


def run(layout: Layout, *, fuse: config.Fuse, source: str, random_seed: int) -> None:
    """Write seed labels and fused labels of every image."""
    jobs = [(layout, s, fuse, source, random_seed) for s in formats.read_samples(layout.samples)]
    list(runtime.pool_map(_one, jobs, what="fuse"))


if __name__ == "__main__":
    _run.main(
        run,
        fuse=("fuse", config.Fuse),
        source=("saliency.source", str),
        random_seed=("random_seed", int),
    )
