"""Training: it learns, resumes to the same bytes, and stops at a loss that is not finite."""

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.config import Train
from pipeline.core.errors import UserError
from pipeline.core.samples import Sample
from pipeline.crf.config import Crf
from pipeline.nets import backbones
from pipeline.segment import deeplab, sec
from pipeline.segment.config import Sec
from pipeline.training import fit, optim, state
from pipeline.training.views import Views, epoch_keys, tag_vectors
from tests.conftest import photo
from tests.small_fit import Small

TRAIN = {
    "epochs": 3, "batch": 4, "size_px": 32, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01,
    "schedule": "one_cycle", "head_lr_factor": 5, "scale": [0.8, 1.2], "jitter": 0.1,
    "frozen_stages": 1,
}  # fmt: skip


@pytest.fixture
def views(tmp_path):
    """Eight images. Label 0 is a dark strip at the left, label 1 the rest."""
    paths = []
    for i in range(8):
        photo(tmp_path / f"{i}.png", size=(40, 36), seed=i)
        image = formats.read_image(tmp_path / f"{i}.png").copy()
        image[:, : 10 + 2 * i] //= 4
        formats.write_image(tmp_path / f"{i}.png", image)
        label = np.ones(image.shape[:2], np.uint8)
        label[:, : 10 + 2 * i] = 0
        formats.write_label(tmp_path / f"l{i}.png", label)
        paths.append((tmp_path / f"{i}.png", tmp_path / f"l{i}.png"))
    train = Train.model_validate(TRAIN)
    return Views([p for p, _ in paths], [p for _, p in paths], train, seed=0)


def net():
    torch.manual_seed(0)
    trunk = backbones.build("efficientnet_lite0", output_stride=16, weights="imagenet")
    return deeplab.DeepLab(trunk, head="v3plus", outputs=2)


def loss_of(model, image, label):
    return deeplab.pixel_loss(model(image), label, stride=4)


def fitted(views, resume, loss=loss_of):
    model = net()
    losses = fit.fit(model, views, loss, resume=resume, title="test")
    return losses, {k: v.numpy().tobytes() for k, v in model.state_dict().items()}


def test_a_training_learns_and_a_killed_one_ends_with_the_same_bytes(views, tmp_path):
    losses, whole = fitted(views, tmp_path / "a")
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert fitted(views, tmp_path / "a") == (losses, whole)  # finished, so it does not train again

    calls = []

    def interrupted(model, image, label):
        calls.append(1)
        if len(calls) == 4:  # in the second epoch
            raise KeyboardInterrupt
        return loss_of(model, image, label)

    with pytest.raises(KeyboardInterrupt):
        fitted(views, tmp_path / "b", interrupted)
    resumed_losses, resumed = fitted(views, tmp_path / "b")
    assert resumed_losses == losses and resumed == whole


def test_a_loss_may_use_labels_and_tags(views, tmp_path):
    """Tags given with the labels change neither the views nor the weights."""
    tags = [np.array([i % 2, 1], np.float32) for i in range(8)]
    both = Views(views.images, views.targets, views.train, seed=0, tags=tags)
    assert (both[(1, 3)][1][0] == views[(1, 3)][1]).all() and both[(1, 3)][1][1].tolist() == [1, 1]
    shapes = []

    def pair_loss(model, image, target):
        shapes.append(target[1].shape)
        return loss_of(model, image, target[0])

    assert fitted(both, tmp_path / "a", pair_loss) == fitted(views, tmp_path / "b")
    assert set(shapes) == {(4, 2)}


def test_sec_resumes_to_the_same_bytes(views, tmp_path):
    """Its CRF draws nothing from torch's generator, and always gives the same result."""
    tags = [np.ones(1, np.float32)] * 8
    both = Views(views.images, views.targets, views.train, seed=0, tags=tags)
    crf = Crf(iterations=3, smooth_w=3, smooth_sxy=3, bilateral_w=10, bilateral_sxy=80,
              bilateral_srgb=13)  # fmt: skip
    options = Sec(decay_tags=0.996, decay_background=0.999, crf=crf)
    calls = []

    def sec_loss(model, image, target, last=0):
        calls.append(1)
        if len(calls) == last:
            raise KeyboardInterrupt
        logits, cue = deeplab.at_stride(model(image), target[0], stride=4)
        return sec.loss(logits, image, cue, target[1], options)

    losses, whole = fitted(both, tmp_path / "a", sec_loss)
    assert losses[-1] < losses[0]
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        fitted(both, tmp_path / "b", partial(sec_loss, last=4))
    assert fitted(both, tmp_path / "b", sec_loss) == (losses, whole)


@pytest.mark.parametrize("epochs", [2, 1.5])
def test_a_training_killed_within_an_epoch_goes_on_there(views, tmp_path, monkeypatch, epochs):
    """The net draws random numbers, so torch's generator must go on, too."""
    train = views.train.model_copy(update={"epochs": epochs, "batch": 2})  # 4 steps an epoch
    views, steps = dataclasses.replace(views, train=train), []

    def loss(model, image, label, last=0):
        steps.append(1)
        if len(steps) == last:
            raise KeyboardInterrupt
        return small_loss(model, image + torch.rand(len(image), 1, 1, 1), label)

    expected = small_fitted(views, tmp_path / "a", loss)
    monkeypatch.setattr(state, "SAVE_SECONDS", 0)
    assert small_fitted(views, tmp_path / "b", loss) == expected
    for last in (3, 6):  # in each of the two epochs
        steps.clear()
        folder = tmp_path / f"c{last}"
        with pytest.raises(KeyboardInterrupt):
            small_fitted(views, folder, partial(loss, last=last))
        steps.clear()
        assert small_fitted(views, folder, loss) == expected
        assert len(steps) == 4 * epochs - (last - 1)  # the killed step alone is computed again


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_damaged_state_is_said_and_the_training_starts_again(views, tmp_path, capsys, share):
    expected = small_fitted(views, tmp_path)
    path = tmp_path / "state.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert small_fitted(views, tmp_path) == expected
    assert f"{path} is damaged; the training starts again" in capsys.readouterr().err


def test_tag_vectors_follow_the_list_of_classes():
    samples = [Sample("a", None, "train", t, 1, 1, "") for t in (("dog", "cat"), ())]
    assert [v.tolist() for v in tag_vectors(samples, ["cat", "cow", "dog"])] == [
        [1, 0, 1], [0, 0, 0],
    ]  # fmt: skip


def test_half_an_epoch_counts_as_an_epoch(views, tmp_path):
    train = views.train.model_copy(update={"epochs": 1.5})
    short = Views(views.images, views.targets, train, seed=0)
    assert len(fitted(short, tmp_path / "a")[0]) == 2


def test_a_view_depends_on_seed_epoch_and_index_alone(views):
    first = views[(1, 3)]
    views[(0, 5)]
    second = views[(1, 3)]
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (views[(2, 3)][0] != first[0]).any()


def test_every_epoch_shuffles_the_images_and_draws_each_once(views):
    orders = [epoch_keys(views, batch=4, epoch=e) for e in (0, 1)]
    assert orders[0] != [[(0, i) for _, i in b] for b in orders[1]]
    assert sorted(i for b in orders[0] for _, i in b) == list(range(8))


@pytest.mark.parametrize("head, fc6, score", [
    ("v1", "head.hidden.0.weight", "head.score.weight"),
    ("v2", "head.hidden.3.0.weight", "head.score.3.weight"),
])  # fmt: skip
def test_the_learning_rates_of_the_released_solver(head, fc6, score):
    """SGD doubles the rate of biases and does not decay them. The score layer learns x10."""
    train = Train.model_validate(
        TRAIN | {"optimizer": "sgd", "lr": 0.001, "head_lr_factor": 10, "weight_decay": 5e-4}
    )
    trunk = backbones.build("vgg16_deeplab", output_stride=8, weights="none")
    model = deeplab.DeepLab(trunk, head=head, outputs=3)
    groups = optim.param_groups(model, train)
    rates = sorted((round(g["lr"], 6), g["weight_decay"]) for g in groups)
    assert rates == [(0.001, 5e-4), (0.002, 0.0), (0.01, 5e-4), (0.02, 0.0)]
    rate = {id(p): g["lr"] for g in groups for p in g["params"]}
    named = dict(model.named_parameters())
    assert rate[id(named[fc6])] == 0.001
    assert rate[id(named[score])] == 0.01
    trainable = sum(p.requires_grad for p in model.parameters())
    assert sum(len(g["params"]) for g in groups) == trainable


@pytest.fixture
def optimizers(monkeypatch):
    """The optimizers that `fit` makes."""
    made = []

    def make(*args):
        made.append(optim.optimizer_for(*args))
        return made[-1]

    monkeypatch.setattr(fit, "optimizer_for", make)
    return made


def state_of(model, optimizer):
    """The bytes of each weight, and of each tensor in the state of the optimizer."""
    state = optimizer.state_dict()["state"].values()
    tensors = [*model.state_dict().values(), *(t for values in state for t in values.values())]
    return [t.numpy().tobytes() for t in tensors]


def small_loss(model, image, label):
    return deeplab.pixel_loss(model(image), label, stride=1)


def small_fitted(views, resume, loss=small_loss):
    torch.manual_seed(0)
    model = Small()
    losses = fit.fit(model, views, loss, resume=resume, title="test")
    return losses, [v.numpy().tobytes() for v in model.state_dict().values()]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_before_weights_and_optimizer_change(
    views, tmp_path, optimizers, value, optimizer
):
    """An epoch has two steps, so the fourth step is in epoch 2."""
    train = views.train.model_copy(update={"optimizer": optimizer})
    steps, before, models = [], [], []

    def loss(model, image, label):
        steps.append(1)
        if len(steps) < 4:
            return small_loss(model, image, label)
        models.append(model)
        before.extend(state_of(model, optimizers[0]))
        return small_loss(model, image, label) + value  # its gradient is finite

    with pytest.raises(UserError) as raised:
        small_fitted(dataclasses.replace(views, train=train), tmp_path, loss)
    batch = epoch_keys(views, batch=4, epoch=1)[1]
    assert str(raised.value) == (
        "test, epoch 2: the loss of step 4 of 6 is not finite; lower train.lr, or replace a bad "
        "image of its batch: " + ", ".join(f"{i}.png" for _, i in batch)
    )
    assert len(before) > len(models[0].state_dict())  # the optimizer has a state
    assert state_of(models[0], optimizers[0]) == before and len(steps) == 4


def test_a_run_with_a_loss_that_is_not_finite_resumes_after_its_last_epoch(views, tmp_path):
    expected = small_fitted(views, tmp_path / "a")
    steps = []

    def loss(model, image, label, bad_step=None):
        steps.append(1)
        return small_loss(model, image, label) + (math.nan if len(steps) == bad_step else 0)

    with pytest.raises(UserError, match="epoch 2"):
        small_fitted(views, tmp_path / "b", partial(loss, bad_step=4))
    steps.clear()
    assert small_fitted(views, tmp_path / "b", loss) == expected
    assert len(steps) == 4  # epochs 2 and 3
