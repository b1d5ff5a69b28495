"""Calibration scores of one network by split, with a temperature fitted on a part of train.

Scores are in percent. K classes, N images, M pixels, B bins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.core import formats, runtime, shards
from pipeline.core.arrays import VOID, Float, Mask, UInt8
from pipeline.core.maps import resize
from pipeline.core.samples import Sample
from pipeline.scores.calibration import reliability
from pipeline.scores.shared.percent import Row, Score, percent
from pipeline.scores.shared.scored import Scored

FIT_EVERY = 5  # of the train images, in the order of their ids: the split that fits temperatures
FIT_STEP_PX = 16  # of the segmenter, every 16th pixel of every 16th row fits the temperature


@dataclass
class Calibration:
    """A network's temperature, and its answers by split.

    `plain` and `scaled` hold `reliability.count` before and after division by the temperature.
    Without a temperature, `scaled` is empty.
    """

    temperature: float | None
    plain: dict[str, Float] = field(default_factory=dict)
    scaled: dict[str, Float] = field(default_factory=dict)

    def scores(self) -> dict[str, Score]:
        """Return ECE by split; after scaling on val only, because train fits the temperature."""
        out: dict[str, Score] = {
            split: {"ECE": percent(reliability.ece(counts))} for split, counts in self.plain.items()
        }
        if "val" in self.scaled:
            out["val"]["ECE_scaled"] = percent(reliability.ece(self.scaled["val"]))
        return out

    def diagram(self) -> list[Row]:
        """Return the reliability diagram before scaling: of val, or of train if there is no val."""
        counts = self.plain.get("val", self.plain.get("train"))
        return [] if counts is None else reliability.diagram(counts)

    @property
    def rounded_temperature(self) -> float | None:
        """The temperature as score files hold it."""
        return None if self.temperature is None else round(self.temperature, 3)


def fit_ids(samples: Iterable[Sample]) -> set[str]:
    """Return the ids that fit temperatures: every fifth train image, in the order of the ids."""
    return set(sorted(s.id for s in samples if s.split == "train")[::FIT_EVERY])


def classifier(
    samples: Sequence[Sample],
    probability: Mapping[str, Float],
    classes: Sequence[str],
    *,
    difficult: Mapping[str, Sequence[str]],
) -> Calibration:
    """Calibrate the classifier by the tags. Each pair of an image and a class is an answer.

    Args:
        samples: all images.
        probability: the probability (K,) of every class, by image id.
        classes: the class list.
        difficult: the tags of an image that do not count, by image id.
    """

    def answers(chosen: Iterable[Sample]) -> tuple[Float, Mask]:
        pairs = [
            (probability[s.id][k], name in s.tags)
            for s in chosen
            for k, name in enumerate(classes)
            if name not in difficult.get(s.id, ())
        ]
        values, right = np.array(pairs, float).reshape(-1, 2).T
        return values, right > 0

    ids = fit_ids(samples)
    fitted = Calibration(reliability.fit_independent(*answers(s for s in samples if s.id in ids)))
    for split in sorted({s.split for s in samples}):
        values, right = answers(s for s in samples if s.split == split)
        fitted.plain[split] = reliability.count(values, right)
        assert fitted.temperature is not None
        scaled = reliability.scaled(values, fitted.temperature)
        fitted.scaled[split] = reliability.count(scaled, right)
    return fitted


def segmenter(
    folder: Path, samples: Sequence[Sample], scored: Scored, *, title: str
) -> Calibration:
    """Calibrate a segmenter by the masks. Each pixel that is not void is an answer.

    The confidence is the highest softmax output, before the CRF. Images without logits are left
    out. So there is a temperature only if the segmenter also predicted train.

    Args:
        folder: the logits, ID.npz.
        samples: all images.
        scored: the images that have a mask, and their masks.
        title: the name that the progress bar shows.
    """
    jobs = [(s, p, m) for s, m in scored if shards.exists(p := folder / f"{s.id}.npz")]
    ids = fit_ids(samples)
    fit_jobs = [(path, mask) for s, path, mask in jobs if s.id in ids]
    fitted = Calibration(_fit_segmenter(fit_jobs, title=f"{title}: fit"))
    each_image = runtime.pool_map(
        _count, [(path, mask, fitted.temperature) for _, path, mask in jobs], title=title
    )
    for (sample, _, _), (plain, scaled) in zip(jobs, each_image, strict=True):
        fitted.plain[sample.split] = fitted.plain.get(sample.split, 0) + plain
        if scaled is not None:
            fitted.scaled[sample.split] = fitted.scaled.get(sample.split, 0) + scaled
    return fitted


def _fit_segmenter(jobs: list[tuple[Path, Path]], *, title: str) -> float | None:
    """Fit the temperature of a segmenter; None if no image of the split has logits."""
    parts = [p for p in runtime.pool_map(_fit_pixels, jobs, title=title) if len(p[1])]
    if not parts:
        return None
    logits, truth = zip(*parts, strict=True)
    return reliability.fit_softmax(np.concatenate(logits), np.concatenate(truth))


def _fit_pixels(job: tuple[Path, Path]) -> tuple[Float, UInt8]:
    """Return the logits (M, C) and the true classes (M,) of the pixels that fit a temperature."""
    logits_CHW, truth_HW = _read(*job)
    start = FIT_STEP_PX // 2
    grid = (slice(start, None, FIT_STEP_PX), slice(start, None, FIT_STEP_PX))
    truth, logits = truth_HW[grid], logits_CHW[:, *grid]
    return logits[:, truth != VOID].T, truth[truth != VOID]


def _count(job: tuple[Path, Path, float | None]) -> tuple[Float, Float | None]:
    """Count an image's pixels by confidence, before and after scaling."""
    path, mask, temperature = job
    logits_CHW, truth_HW = _read(path, mask)
    known = truth_HW != VOID
    right = (logits_CHW.argmax(axis=0) == truth_HW)[known]
    below_top = (logits_CHW - logits_CHW.max(axis=0))[:, known]
    plain, scaled = (
        None if t is None else reliability.count(1 / np.exp(below_top / t).sum(axis=0), right)
        for t in (1.0, temperature)
    )
    assert plain is not None
    return plain, scaled


def _read(path: Path, mask: Path) -> tuple[Float, UInt8]:
    """Read an image's logits (C, H, W) at image size, and its truth."""
    truth = formats.read_label(mask)
    logits = formats.read_logits(path)
    return resize(logits, height_px=truth.shape[0], width_px=truth.shape[1]), truth
