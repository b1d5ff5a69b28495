"""Run the trained segmenter over the splits to predict: logits, and plain label images."""

import sys

from pipeline import config, crf, formats, infer, nets, params
from pipeline.errors import UserError
from pipeline.layout import Layout
from stages import _run


def run(layout: Layout, *, predict: config.Predict, shard: int) -> None:
    """Write logits at network stride and their argmax at image size."""
    supervision = sys.argv[1]
    samples = [s for s in formats.read_samples(layout.samples) if s.split in predict.splits]
    if not samples:
        raise UserError(
            f"params.yaml: segment.predict.splits: {list(predict.splits)} hold no image; "
            "add train, or set data.options.folder.val_fraction"
        )
    net, _ = nets.load(layout.segmenter(supervision))
    outs = [layout.logits(supervision), layout.predictions(supervision)]
    inputs = [layout.samples, layout.segmenter(supervision)]
    what = f"predict ({supervision})"
    about = params.fingerprint(predict)
    with _run.partial(layout, outs, inputs=inputs, about=about, shard=shard) as work:
        done = _run.finished(work.logits(supervision), work.predictions(supervision))
        for sample, outputs in infer.run(net, samples, predict, what=what, done=done):
            logits = infer.merge([o[None] for o in outputs])[0].numpy()
            formats.write_logits(work.logits(supervision) / f"{sample.id}.npz", logits)
            label = crf.argmax(logits, height_px=sample.height_px, width_px=sample.width_px)
            formats.write_label(work.predictions(supervision) / f"{sample.id}.png", label)


if __name__ == "__main__":
    _run.main(run, shared=True, predict=("segment.predict", config.Predict), shard=_run.SHARD)
