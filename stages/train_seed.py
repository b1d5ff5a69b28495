"""Train the image classifier on tags alone."""

import torch
from torch import Tensor, nn

from pipeline.core import formats, runtime
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import Sample, read_samples
from pipeline.nets import alignment, checkpoint
from pipeline.seeds import classifier
from pipeline.seeds.config import SeedModel
from pipeline.training import fit
from pipeline.training.views import Views, balanced, fixed, tag_vectors
from stages import _resume, _run

SLICES: _run.Slices = {
    "seed": ("seed", SeedModel),
    "task": ("pretext.task", str),
    "random_seed": ("random_seed", int),
}
SHARED = True
PICTURES = 32  # enough for whole px; a few seconds


def run(layout: Layout, *, seed: SeedModel, task: str, random_seed: int) -> None:
    """Write the classifier's weights, its description and its losses."""
    classes, samples = formats.read_json(layout.classes), read_samples(layout.samples)
    train, val = ([s for s in samples if s.split == name] for name in ("train", "val"))
    runtime.say(f"train_seed: {len(train)} images, {len(classes)} classes, {runtime.summary()}")
    runtime.seed_all(random_seed)
    spec = classifier.classifier_spec(seed, classes)
    weights = _run.trunk_weights(layout, seed.weights, task=task)
    net = classifier.Classifier.from_spec(spec, weights=weights)

    def views(subset: list[Sample], *, balance: bool) -> Views:
        tags = tag_vectors(subset, classes)
        chance = balanced(tags) if balance else None
        return Views([s.image for s in subset], tags, seed.train, random_seed, probabilities=chance)

    def loss_of(net: nn.Module, image: Tensor, tags_NK: Tensor) -> Tensor:
        return classifier.LOSSES[seed.loss](net.scores(image), tags_NK)  # type: ignore[operator]

    resume = _resume.folder(
        layout,
        weights=weights,
        inputs=[layout.samples],
        params_key=fingerprint(seed, str(random_seed)),
    )
    epochs = fit.fit(
        net,
        views(train, balance=seed.balanced),
        loss_of,
        resume=resume,
        title="train_seed",
        val=views(val, balance=False) if val else None,
    )
    spec["offset_px"] = _measure_offset(net, fixed(views(train, balance=False)))
    checkpoint.save(layout.seed_model, net, spec, epochs)


@torch.inference_mode()
def _measure_offset(net: nn.Module, views: Views) -> alignment.Offset:
    """Measure how far the class maps lie from what they show, on the first train images."""
    pictures = torch.stack([views[0, i][0] for i in range(min(PICTURES, len(views)))])
    device = runtime.device()
    with runtime.autocast(device):
        return alignment.measure_offset(net, pictures.to(device))
