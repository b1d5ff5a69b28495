"""Check every image and mask once; write what training may see and what only scoring may see."""

import shutil

from pipeline import config, dataset, formats, runtime, shards
from pipeline.layout import Layout
from stages import _run


def run(layout: Layout, *, data: config.Data, shard: int) -> None:
    """Write samples.csv, truth.csv and what else only scoring may see, the class list, counts."""
    found = dataset.read(data)
    samples, truth = [], []
    shutil.rmtree(layout.labels("full"), ignore_errors=True)  # only if run without DVC
    layout.labels("full").mkdir(parents=True)
    checked = dataset.check(found)
    for sample, label in runtime.track(checked, total=len(found.entries), what="prepare"):
        samples.append(sample)
        if label is not None:
            path = layout.labels("full") / f"{sample.id}.png"
            formats.write_label(path, label)
            truth.append((sample.id, path.as_posix()))
    if shard:
        shards.pack(layout.labels("full"), per_shard=shard)
    formats.write_samples(layout.samples, samples)
    formats.write_table(layout.truth, truth, columns=("id", "mask"))
    difficult = [(e.id, " ".join(e.difficult)) for e in found.entries if e.difficult]
    formats.write_table(layout.difficult, difficult, columns=("id", "tags"))
    formats.write_json(layout.classes, list(found.classes))
    counts = dataset.counts(samples, found, masks=len(truth))
    formats.write_json(layout.counts, counts)
    runtime.say(f"prepare: {counts}")


if __name__ == "__main__":
    _run.main(run, data=("data", config.Data), shard=_run.SHARD)
