"""Compute saliency maps with the network that train_saliency trained."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.saliency.config import SaliencyNet
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: _run.Slices = {"options": ("saliency.options.net", SaliencyNet)}


class Predictor:
    """Writes the saliency maps of images to a folder."""

    def __init__(self, model: Path, options: SaliencyNet, folder: Path) -> None:
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        self.network, self.folder = infer.Pass(net, options.infer), folder

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the map of each image, divided by its own maximum."""
        for sample, outputs in self.network(chunk):
            foreground = resize(
                infer.foreground(outputs).numpy(),
                height_px=sample.height_px,
                width_px=sample.width_px,
            )
            formats.write_grey(self.folder / f"{sample.id}.png", normalise(foreground))


def run(layout: Layout, *, options: SaliencyNet) -> None:
    """Write the saliency map of each image."""
    samples, out = read_samples(layout.samples), layout.saliency("net")
    inputs, key = [layout.samples, layout.saliency_model], fingerprint(options)
    with _resume.outputs(layout, [out], inputs=inputs, params_key=key) as work:
        folder = work.saliency("net")
        make = partial(Predictor, layout.saliency_model, options, folder)
        _resume.compute_images(make, samples, folders=[folder], title="saliency")
