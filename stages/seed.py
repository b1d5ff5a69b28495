"""Class maps of every image's tags, and the classifier's scores."""

import torch

from pipeline import blocks, formats, infer, nets
from pipeline.layout import Layout
from stages import _run


def run(layout: Layout, *, maps: blocks.Infer) -> None:
    """Write a map for each tag of each image, and the probability of every class.

    The probability is taken at scale 1 and above: objects shrunk further are not what the
    classifier was trained on; for the maps they show the extent.
    """
    samples = formats.read_samples(layout.samples)
    net, spec = nets.load(layout.seed_model)
    classes = spec["classes"]
    scores = {}
    for sample, outputs in infer.run(net, samples, maps, what="seed"):
        large = [o for o, scale in zip(outputs, maps.scales, strict=True) if scale >= 1] or outputs
        logits = torch.stack([net.logits(o[None])[0] for o in large]).mean(0)  # type: ignore[operator]
        scores[sample.id] = logits.sigmoid().tolist()
        merged = infer.merge([o[None].relu() for o in outputs])[0]
        index = [classes.index(t) for t in sample.tags]
        formats.write_maps(
            layout.maps / f"{sample.id}.npz",
            merged[index].numpy(),
            torch.tensor(index, dtype=torch.uint8).numpy() + 1,
        )
    rows = [(s.id, *(f"{p:.5f}" for p in scores[s.id])) for s in samples]
    formats.write_table(layout.tag_scores, rows, columns=("id", *classes))


if __name__ == "__main__":
    _run.main(run, maps=("seed.maps", blocks.Infer))
