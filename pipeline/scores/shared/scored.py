"""The images that have a mask and so can be scored."""

from pathlib import Path

from pipeline.core.samples import Sample, read_samples, read_truth

Scored = list[tuple[Sample, Path]]  # each sample that has a mask, with the mask's path


def read_scored(samples: Path, truth: Path) -> Scored:
    """Return each sample that has a mask, with the mask's path."""
    masks = read_truth(truth)
    return [(s, masks[s.id]) for s in read_samples(samples) if s.id in masks]
