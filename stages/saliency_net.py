"""Saliency maps of every image, from the network trained here."""

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize
from pipeline.core.params import fingerprint
from pipeline.core.samples import read_samples
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.saliency.config import SaliencyNet
from pipeline.segment.deeplab import DeepLab
from stages import _run

SLICES: _run.Slices = {
    "options": ("saliency.options.net", SaliencyNet),
    "shard": _run.SHARD,
}
SHARED = True


def run(layout: Layout, *, options: SaliencyNet, shard: int) -> None:
    """Write each image's map, divided by its own maximum."""
    samples, out = read_samples(layout.samples), layout.saliency("net")
    net, _ = checkpoint.load(layout.saliency_model, DeepLab.from_spec)
    inputs, about = [layout.samples, layout.saliency_model], fingerprint(options)
    with _run.partial(layout, [out], inputs=inputs, about=about, shard=shard) as work:
        done = _run.finished(work.saliency("net"))
        outputs = infer.run(net, samples, options.infer, title="saliency", done=done)
        for sample, each in outputs:
            foreground = resize(
                infer.foreground(each).numpy(),
                height_px=sample.height_px,
                width_px=sample.width_px,
            )
            path = work.saliency("net") / f"{sample.id}.png"
            formats.write_grey(path, normalise(foreground))
