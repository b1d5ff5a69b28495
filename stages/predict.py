"""Predict with the trained segmenter: logits, and labels without a CRF."""

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import read_samples
from pipeline.core.supervision import SUPERVISIONS
from pipeline.crf import dense
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.segment.config import Predict
from pipeline.segment.deeplab import DeepLab
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    name: {
        "predict": ("segment.predict", Predict),
        "shard": _run.SHARD,
    }
    for name in SUPERVISIONS
}
SHARED = True


def run(layout: Layout, supervision: str, *, predict: Predict, shard: int) -> None:
    """Write logits at network stride and their argmax at image size."""
    samples = [s for s in read_samples(layout.samples) if s.split in predict.splits]
    if not samples:
        raise UserError(
            f"params.yaml: segment.predict.splits: no image is in {list(predict.splits)}; "
            "add train, or set data.options.folder.val_fraction"
        )
    net, _ = checkpoint.load(layout.segmenter(supervision), DeepLab.from_spec)
    outs = [layout.logits(supervision), layout.predictions(supervision)]
    inputs = [layout.samples, layout.segmenter(supervision)]
    key, title = fingerprint(predict), f"predict ({supervision})"
    with _resume.outputs(layout, outs, inputs=inputs, params_key=key, shard=shard) as work:
        done = _resume.finished_ids(work.logits(supervision), work.predictions(supervision))
        for sample, outputs in infer.run(net, samples, predict, title=title, done=done):
            logits = infer.merge([o[None] for o in outputs])[0].numpy()
            formats.write_logits(work.logits(supervision) / f"{sample.id}.npz", logits)
            label = dense.argmax(logits, height_px=sample.height_px, width_px=sample.width_px)
            formats.write_label(work.predictions(supervision) / f"{sample.id}.png", label)
