"""Train the class-agnostic saliency network on boxes (or masks) of other classes."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
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
from pipeline.inference.sizes import Photo
from pipeline.nets import checkpoint
from pipeline.saliency import training_set
from pipeline.saliency.boxes import Boxed
from pipeline.saliency.config import SaliencyNet
from pipeline.segment import deeplab
from pipeline.segment.deeplab import DeepLab
from pipeline.training import fit
from pipeline.training.state import Epoch
from pipeline.training.views import Views
from stages import _resume, _run

SLICES: _run.Slices = {
    "net": ("saliency.options.net", SaliencyNet),
    "sets": ("crf", CrfSets),
    "random_seed": ("random_seed", int),
}
SHARED = True


def run(layout: Layout, *, net: SaliencyNet, sets: CrfSets, random_seed: int) -> None:
    """Make masks from boxes and train; in each denoising round, make new masks and train again."""
    train_set = _read_train_set(net, target_classes=formats.read_json(layout.classes))
    _write_first_labels(train_set, net, layout.saliency_labels)
    crf = dense.chosen(sets, net.denoise.crf)
    trainings = 1 + (net.denoise.rounds if net.train_set == "boxes" else 0)
    train = partial(_train, layout, train_set, net, random_seed=random_seed, crf=crf)
    model, epochs = train(title=f"train_saliency, round 1 of {trainings}")
    for number in range(2, trainings + 1):
        _write_next_labels(train_set, net, layout.saliency_labels, model, crf, number=number)
        model, more_epochs = train(title=f"train_saliency, round {number} of {trainings}")
        epochs += more_epochs
    checkpoint.save(layout.saliency_model, model, _spec(net), epochs)


def _read_train_set(net: SaliencyNet, *, target_classes: Sequence[str]) -> list[Boxed]:
    """Read the images to train on. Labels are named after them, so their names must differ.

    Raises:
        UserError: two images have the same name.
    """
    train_set, left_out = training_set.read_training_set(net, target_classes=target_classes)
    name, count = Counter(b.image.stem for b in train_set).most_common(1)[0]
    if count > 1:
        raise UserError(f"{net.root}: two images are called '{name}'; rename one")
    runtime.say(f"train_saliency: {len(train_set)} images, {left_out} left out (target classes)")
    return train_set


def _label_file(boxed: Boxed, folder: Path) -> Path:
    return folder / f"{boxed.image.stem}.png"


def _write_first_labels(train_set: Sequence[Boxed], net: SaliencyNet, folder: Path) -> None:
    write = partial(_write_first_label, net=net, folder=folder)
    list(runtime.pool_map(write, ranks.mine(train_set), title="boxes to masks"))
    ranks.barrier()


def _write_first_label(boxed: Boxed, *, net: SaliencyNet, folder: Path) -> None:
    formats.write_label(_label_file(boxed, folder), training_set.first_label(boxed, net))


def _write_next_labels(
    train_set: Sequence[Boxed],
    net: SaliencyNet,
    folder: Path,
    model: DeepLab,
    crf: Crf,
    *,
    number: int,
) -> None:
    """Replace the labels by those of round `number`; `model` was trained on them."""
    network = infer.Pass(model, net.infer)
    batches = ranks.mine(network.batches([_photo(b) for b in train_set]))
    photos = [photo for batch in batches for photo in batch]
    outputs = runtime.track(network(photos), total=len(photos), title="denoise: predict")
    maps = {photo.id: infer.foreground(logits).numpy() for photo, logits in outputs}
    pairs = [(b, maps[b.image.stem]) for b in train_set if b.image.stem in maps]  # this rank's
    write = partial(_write_next_label, net=net, folder=folder, crf=crf, number=number)
    list(runtime.pool_map(write, pairs, title="denoise: CRF"))
    ranks.barrier()


def _photo(boxed: Boxed) -> Photo:
    height, width = formats.read_image(boxed.image).shape[:2]
    return Photo(boxed.image.stem, boxed.image, height, width)


def _write_next_label(
    pair: tuple[Boxed, Float], *, net: SaliencyNet, folder: Path, crf: Crf, number: int
) -> None:
    boxed, probability = pair
    path = _label_file(boxed, folder)
    # Round 2 finds the first label in the folder. Later rounds make it again.
    first = formats.read_label(path) if number == 2 else training_set.first_label(boxed, net)
    label = training_set.next_label(boxed, first, probability, net, crf)
    formats.write_label(path, label)


def _spec(net: SaliencyNet) -> checkpoint.Spec:
    return deeplab.deeplab_spec(net, head=net.head, classes=["salient"])


def _train(
    layout: Layout,
    train_set: Sequence[Boxed],
    net: SaliencyNet,
    *,
    random_seed: int,
    crf: Crf,
    title: str,
) -> tuple[DeepLab, list[Epoch]]:
    """Train a new network on the present labels."""
    runtime.seed_all(random_seed)
    model = DeepLab.from_spec(_spec(net), weights=net.weights)
    labels = [_label_file(b, layout.saliency_labels) for b in train_set]
    views = Views([b.image for b in train_set], labels, net.train, random_seed)
    resume = _resume.folder(
        layout,
        weights=net.weights,
        inputs=[layout.saliency_labels],
        params_key=fingerprint(net, crf, str(random_seed)),
    )

    def loss_of(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
        return deeplab.pixel_loss(model(image), label, stride=net.loss_stride)

    return model, fit.fit(model, views, loss_of, resume=resume, title=title)
