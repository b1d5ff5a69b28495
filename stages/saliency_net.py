"""Compute saliency maps with the network that train_saliency trained."""

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize
from pipeline.core.params import fingerprint
from pipeline.core.samples import read_samples
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.saliency.config import SaliencyNet
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: _run.Slices = {
    "options": ("saliency.options.net", SaliencyNet),
    "shard": _run.SHARD,
}
SHARED = True


def run(layout: Layout, *, options: SaliencyNet, shard: int) -> None:
    """Write the saliency map of each image, divided by its own maximum."""
    samples, out = read_samples(layout.samples), layout.saliency("net")
    net, _ = checkpoint.load(layout.saliency_model, DeepLab.from_spec)
    inputs, key = [layout.samples, layout.saliency_model], fingerprint(options)
    with _resume.outputs(layout, [out], inputs=inputs, params_key=key, shard=shard) as work:
        done = _resume.finished_ids(work.saliency("net"))
        for sample, outputs in infer.run(net, samples, options.infer, title="saliency", done=done):
            foreground = resize(
                infer.foreground(outputs).numpy(),
                height_px=sample.height_px,
                width_px=sample.width_px,
            )
            path = work.saliency("net") / f"{sample.id}.png"
            formats.write_grey(path, normalise(foreground))
