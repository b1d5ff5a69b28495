"""Predict with the trained segmenter: logits, and labels without a CRF."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.core.supervision import SUPERVISIONS
from pipeline.crf import dense
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.segment.config import Predict
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {"predict": ("segment.predict", Predict)} for name in SUPERVISIONS
}


class Predictor:
    """Writes the logits and the labels of images to two folders."""

    def __init__(self, model: Path, predict: Predict, logits: Path, labels: Path) -> None:
        net, _ = checkpoint.load(model, DeepLab.from_spec)
        self.network, self.logits, self.labels = infer.Pass(net, predict), logits, labels

    def __call__(self, chunk: Sequence[Sample]) -> None:
        """Write the files of a chunk."""
        for sample, outputs in self.network(chunk):
            logits = infer.merge([o[None] for o in outputs])[0].numpy()
            formats.write_logits(self.logits / f"{sample.id}.npz", logits)
            label = dense.argmax(logits, height_px=sample.height_px, width_px=sample.width_px)
            formats.write_label(self.labels / f"{sample.id}.png", label)


def run(layout: Layout, supervision: str, *, predict: Predict) -> None:
    """Write logits at network stride and their argmax at image size."""
    samples = [s for s in read_samples(layout.samples) if s.split in predict.splits]
    if not samples:
        raise UserError(
            f"params.yaml: segment.predict.splits: no image is in {list(predict.splits)}; "
            "add train, or set data.options.folder.val_fraction"
        )
    model = layout.segmenter(supervision)
    outs = [layout.logits(supervision), layout.predictions(supervision)]
    inputs, key, title = [layout.samples, model], fingerprint(predict), f"predict ({supervision})"
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key) as work:
        folders = [work.logits(supervision), work.predictions(supervision)]
        make = partial(Predictor, model, predict, *folders)
        _resume.compute_images(make, samples, folders=folders, title=title)
