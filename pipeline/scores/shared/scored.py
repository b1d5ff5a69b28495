"""The images that can be scored."""

from pathlib import Path

from pipeline.core.samples import Sample, read_samples, read_truth

Scored = list[tuple[Sample, Path]]  # samples that have a mask, and the mask


def read_scored(samples: Path, truth: Path) -> Scored:
    """The samples that have a mask, and the mask."""
    masks = read_truth(truth)
    return [(s, masks[s.id]) for s in read_samples(samples) if s.id in masks]
