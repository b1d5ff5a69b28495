"""Train the class-agnostic saliency network on boxes (or masks) of other classes."""

from collections import Counter
from pathlib import Path

from torch import Tensor, nn

from pipeline.core import formats, ranks, runtime
from pipeline.core.arrays import Float
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.crf import dense
from pipeline.crf.config import Crf, CrfSets
from pipeline.inference import infer
from pipeline.inference.whole import Photo
from pipeline.nets import checkpoint
from pipeline.saliency import boxes, training_set
from pipeline.saliency.config import SaliencyNet
from pipeline.segment import deeplab
from pipeline.training import fit
from pipeline.training.views import Views
from stages import _resume, _run

SLICES: _run.Slices = {
    "net": ("saliency.options.net", SaliencyNet),
    "sets": ("crf", CrfSets),
    "random_seed": ("random_seed", int),
}
SHARED = True


def _photo(boxed: boxes.Boxed) -> Photo:
    height, width = formats.read_image(boxed.image).shape[:2]
    return Photo(boxed.image.stem, boxed.image, height, width)


def _first(job: tuple[boxes.Boxed, SaliencyNet, Path]) -> None:
    boxed, options, folder = job
    formats.write_label(
        folder / f"{boxed.image.stem}.png", training_set.first_label(boxed, options)
    )


def _next(job: tuple[boxes.Boxed, SaliencyNet, Path, Float, Crf]) -> None:
    boxed, options, folder, probability, rule = job
    path = folder / f"{boxed.image.stem}.png"
    formats.write_label(
        path, training_set.next_label(boxed, formats.read_label(path), probability, options, rule)
    )


def run(layout: Layout, *, net: SaliencyNet, sets: CrfSets, random_seed: int) -> None:
    """Boxes -> masks -> network, then for each denoising round: masks -> network again."""
    classes = formats.read_json(layout.classes)
    train_set, left_out = training_set.read_training_set(net, target_classes=classes)
    stems = Counter(b.image.stem for b in train_set)
    if (double := stems.most_common(1)[0])[1] > 1:
        raise UserError(f"{net.root}: two images are called '{double[0]}'; rename one")
    runtime.say(f"train_saliency: {len(train_set)} images, {left_out} left out (target classes)")
    labels, spec = (
        layout.saliency_labels,
        deeplab.deeplab_spec(net, head=net.head, classes=["salient"]),
    )
    paths = [labels / f"{b.image.stem}.png" for b in train_set]
    jobs = [(b, net, labels) for b in ranks.mine(train_set)]
    list(runtime.pool_map(_first, jobs, what="boxes to masks"))
    ranks.barrier()
    epochs: list[fit.Epoch] = []
    rule = dense.chosen(sets, net.denoise.crf)
    rounds = net.denoise.rounds if net.train_set == "boxes" else 0
    for number in range(rounds + 1):
        runtime.seed_all(random_seed)
        model = deeplab.DeepLab.from_spec(spec, weights=net.weights)
        views = Views([b.image for b in train_set], paths, net.train, random_seed)
        resume = _resume.folder(
            layout,
            weights=net.weights,
            inputs=[labels],
            params_key=fingerprint(net, rule, str(random_seed)),
        )
        epochs += fit.fit(
            model,
            views,
            _loss(net.loss_stride),
            resume=resume,
            what=f"train_saliency, round {number + 1} of {rounds + 1}",
        )
        if number < rounds:
            maps = {
                s.id: infer.foreground(out).numpy()
                for s, out in infer.run(
                    model, [_photo(b) for b in train_set], net.infer, what="denoise: predict"
                )
            }
            seen = [b for b in train_set if b.image.stem in maps]  # this rank's
            later = [(b, net, labels, maps[b.image.stem], rule) for b in seen]
            list(runtime.pool_map(_next, later, what="denoise: CRF"))
            ranks.barrier()
    checkpoint.save(layout.saliency_model, model, spec, epochs)


def _loss(stride: int) -> fit.LossOf:
    def loss_of(net: nn.Module, image: Tensor, label: Tensor) -> Tensor:
        return deeplab.pixel_loss(net(image), label, stride=stride)

    return loss_of
