"""Train the class-agnostic saliency network on boxes (or masks) of other classes."""

from collections import Counter
from pathlib import Path

from torch import Tensor, nn

from pipeline import (
    blocks,
    boxes,
    choices,
    crf,
    deeplab,
    fit,
    formats,
    infer,
    loader,
    nets,
    params,
    ranks,
    runtime,
    saliency,
)
from pipeline.arrays import Float
from pipeline.errors import UserError
from pipeline.formats import Sample
from pipeline.layout import Layout
from stages import _run


def _sample(boxed: boxes.Boxed) -> Sample:
    height, width = formats.read_image(boxed.image).shape[:2]
    return Sample(boxed.image.stem, boxed.image, "train", (), height, width, "")


def _first(job: tuple[boxes.Boxed, choices.SaliencyNet, Path]) -> None:
    boxed, options, folder = job
    formats.write_label(folder / f"{boxed.image.stem}.png", saliency.first_label(boxed, options))


def _next(job: tuple[boxes.Boxed, choices.SaliencyNet, Path, Float, blocks.Crf]) -> None:
    boxed, options, folder, probability, rule = job
    path = folder / f"{boxed.image.stem}.png"
    formats.write_label(
        path, saliency.next_label(boxed, formats.read_label(path), probability, options, rule)
    )


def run(
    layout: Layout, *, net: choices.SaliencyNet, sets: blocks.CrfSets, random_seed: int
) -> None:
    """Boxes -> masks -> network, then for each denoising round: masks -> network again."""
    classes = formats.read_json(layout.classes)
    train_set, left_out = saliency.read_training_set(net, target_classes=classes)
    stems = Counter(b.image.stem for b in train_set)
    if (double := stems.most_common(1)[0])[1] > 1:
        raise UserError(f"{net.root}: two images are called '{double[0]}'; rename one")
    runtime.say(f"train_saliency: {len(train_set)} images, {left_out} left out (target classes)")
    labels, spec = layout.saliency_labels, nets.deeplab_spec(net, ["salient"])
    paths = [labels / f"{b.image.stem}.png" for b in train_set]
    jobs = [(b, net, labels) for b in ranks.mine(train_set)]
    list(runtime.pool_map(_first, jobs, what="boxes to masks"))
    ranks.barrier()
    losses: list[float] = []
    rule = crf.chosen(sets, net.denoise.crf)
    rounds = net.denoise.rounds if net.train_set == "boxes" else 0
    for number in range(rounds + 1):
        runtime.seed_all(random_seed)
        model = nets.build(spec, weights=net.weights)
        views = loader.Views([b.image for b in train_set], paths, net.train, random_seed)
        resume = _run.resume_folder(
            layout,
            weights=net.weights,
            inputs=[labels],
            about=params.fingerprint(net, rule, str(random_seed)),
        )
        losses += fit.fit(
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
                    model, [_sample(b) for b in train_set], net.infer, what="denoise: predict"
                )
            }
            seen = [b for b in train_set if b.image.stem in maps]  # this rank's
            later = [(b, net, labels, maps[b.image.stem], rule) for b in seen]
            list(runtime.pool_map(_next, later, what="denoise: CRF"))
            ranks.barrier()
    nets.save(layout.saliency_model, model, spec, losses)


def _loss(stride: int) -> fit.LossOf:
    def loss_of(net: nn.Module, image: Tensor, label: Tensor) -> Tensor:
        return deeplab.pixel_loss(net(image), label, stride=stride)

    return loss_of


if __name__ == "__main__":
    _run.main(
        run,
        shared=True,
        net=("saliency.options.net", choices.SaliencyNet),
        sets=("crf", blocks.CrfSets),
        random_seed=("random_seed", int),
    )
