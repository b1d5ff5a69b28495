"""Choose the two thresholds of section `fuse` without masks: by the colours of the photographs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from pipeline.core import formats, runtime, shards
from pipeline.core.arrays import VOID, Float
from pipeline.core.errors import COMMAND, UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, read_samples
from pipeline.guide import colour_energy, labels
from pipeline.guide.config import Fuse
from pipeline.params import Params

SEED = (0.1, 0.2, 0.3, 0.4, 0.5)
SALIENCY = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
IMAGES = 400  # at most, evenly drawn from the train images


@dataclass(frozen=True)
class Choice:
    """Mean energies by (seed threshold, saliency threshold), and the number of images."""

    energies: dict[tuple[float, float], float]
    images: int

    @property
    def best(self) -> tuple[float, float]:
        """The thresholds with the lowest energy."""
        return min(self.energies, key=self.energies.__getitem__)


def choose(layout: Layout, params: Params) -> Choice:
    """Score guide labels of every pair of thresholds on train images, without any mask or tag.

    Raises:
        UserError: train images, class maps or saliency maps are missing; or the guide rule has no
            seed threshold.
    """
    fuse, source = params.fuse, params.saliency.source
    if fuse.evidence != "maps" or fuse.seed_rule != "threshold":
        raise UserError(
            "params.yaml: fuse: this rule has no seed threshold; set evidence: maps and "
            "seed_rule: threshold"
        )
    samples = [s for s in read_samples(layout.samples) if s.split == "train"]
    samples = samples[:: max(1, -(-len(samples) // IMAGES))]
    for folder in (layout.maps, layout.saliency(source)):
        if not shards.exists(folder):
            raise UserError(f"{folder} is missing; run `{COMMAND} run fuse` first")
    if not samples:
        raise UserError(f"{layout.samples}: lists no train image; run `{COMMAND} run prepare`")
    score = partial(_energies, layout=layout, fuse=fuse, source=source)
    each = runtime.pool_map(score, samples, title="energies of guide labels")
    mean = np.mean(list(each), axis=0).tolist()
    return Choice(dict(zip(product(SEED, SALIENCY), mean, strict=True)), len(samples))


def _energies(sample: Sample, *, layout: Layout, fuse: Fuse, source: str) -> Sequence[float]:
    """Compute the energy of one image's fused labels for every pair of thresholds."""
    colours = colour_energy.Colours.of(formats.read_image(sample.image))
    maps, classes = formats.read_maps(layout.maps / f"{sample.id}.npz")
    saliency: Float = formats.read_grey(layout.saliency(source) / f"{sample.id}.png")
    out = []
    for seed, salient in product(SEED, SALIENCY):
        options = fuse.model_copy(update={"seed_threshold": seed, "saliency_threshold": salient})
        label = labels.fused(maps, classes, saliency, options, chance=(0, sample.id)).label_HW
        out.append(colours.energy((label > 0) & (label != VOID)))
    return out
