"""Training: learns, resumes to the same bytes, groups of the released solver."""

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
from pipeline.training import fit, optim
from pipeline.training.views import Views, epoch_keys, tag_vectors
from tests.conftest import photo

TRAIN = {
    "epochs": 3, "batch": 4, "size_px": 32, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01,
    "schedule": "one_cycle", "head_lr_factor": 5, "scale": [0.8, 1.2], "jitter": 0.1,
    "frozen_stages": 1,
}  # fmt: skip


@pytest.fixture
def views(tmp_path):
    """Eight images whose label is whether a pixel is bright."""
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


def test_learns_and_a_killed_run_ends_with_the_same_bytes(views, tmp_path):
    losses, whole = fitted(views, tmp_path / "a")
    assert len(losses) == 3 and losses[-1] < losses[0]
    assert fitted(views, tmp_path / "a") == (losses, whole)  # finished: nothing is trained again

    calls = []

    def dies(model, image, label):
        calls.append(1)
        if len(calls) == 4:  # in the second epoch
            raise KeyboardInterrupt
        return loss_of(model, image, label)

    with pytest.raises(KeyboardInterrupt):
        fitted(views, tmp_path / "b", dies)
    resumed_losses, resumed = fitted(views, tmp_path / "b")
    assert resumed_losses == losses and resumed == whole


def test_a_loss_of_labels_and_tags_gets_both_and_trains_as_well(views, tmp_path):
    """Tags beside the labels change neither the views nor the weights."""
    tags = [np.array([i % 2, 1], np.float32) for i in range(8)]
    both = Views(views.images, views.targets, views.train, seed=0, tags=tags)
    assert (both[(1, 3)][1][0] == views[(1, 3)][1]).all() and both[(1, 3)][1][1].tolist() == [1, 1]
    seen = []

    def pair_loss(model, image, target):
        seen.append(target[1].shape)
        return loss_of(model, image, target[0])

    assert fitted(both, tmp_path / "a", pair_loss) == fitted(views, tmp_path / "b")
    assert set(seen) == {(4, 2)}


def test_sec_resumes_to_the_same_bytes(views, tmp_path):
    """Its CRF leaves no trace in torch's random state, and gives the same result each time."""
    tags = [np.ones(1, np.float32)] * 8
    both = Views(views.images, views.targets, views.train, seed=0, tags=tags)
    rule = Crf(iterations=3, smooth_w=3, smooth_sxy=3, bilateral_w=10, bilateral_sxy=80,
                      bilateral_srgb=13)  # fmt: skip
    options = Sec(decay_tags=0.996, decay_background=0.999, crf=rule)
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


def test_tag_vectors_follow_the_class_list():
    samples = [Sample("a", None, "train", t, 1, 1, "") for t in (("dog", "cat"), ())]
    assert [v.tolist() for v in tag_vectors(samples, ["cat", "cow", "dog"])] == [
        [1, 0, 1], [0, 0, 0],
    ]  # fmt: skip


def test_fractional_epochs(views, tmp_path):
    train = views.train.model_copy(update={"epochs": 1.5})
    short = Views(views.images, views.targets, train, seed=0)
    assert len(fitted(short, tmp_path / "a")[0]) == 2


def test_a_view_depends_on_seed_epoch_and_index_alone(views):
    first = views[(1, 3)]
    views[(0, 5)]
    again = views[(1, 3)]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (views[(2, 3)][0] != first[0]).any()


def test_every_epoch_shuffles_and_visits_each_image_once(views):
    orders = [epoch_keys(views, batch=4, epoch=e) for e in (0, 1)]
    assert orders[0] != [[(0, i) for _, i in b] for b in orders[1]]
    assert sorted(i for b in orders[0] for _, i in b) == list(range(8))


@pytest.mark.parametrize("head, fc6, score", [
    ("v1", "head.hidden.0.weight", "head.score.weight"),
    ("v2", "head.hidden.3.0.weight", "head.score.3.weight"),
])  # fmt: skip
def test_groups_of_the_released_solver(head, fc6, score):
    """SGD: biases lr x2 without decay, the head lr x10."""
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


def test_a_loss_that_is_no_number_stops_with_the_param(views, tmp_path):
    with pytest.raises(UserError, match=r"lower train\.lr"):
        fitted(views, tmp_path / "a", lambda m, i, t: loss_of(m, i, t) * float("nan"))
