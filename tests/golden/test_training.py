"""The golden losses: by the formulas, and how far a changed training takes them."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from pipeline.crf import dense
from pipeline.segment import sec
from pipeline.training.views import batches_of, epoch_keys
from tests.golden import independent, store, training_cases
from tests.golden.cases import CASES
from tests.golden.crf_cases import sets


@pytest.fixture
def first_step(tmp_path):
    """(name) -> the first batch, its target, and the small network's output for it."""

    def of(name):
        values = training_cases.sections(name, small=True, changes={})
        setup = training_cases.TRAININGS[name](values, tmp_path)
        keys = epoch_keys(setup.views, batch=4, epoch=0)[0]
        image, target = next(batches_of(setup.views, [keys]))
        with store.steady(), torch.no_grad():
            net = setup.net(small=True)
            out = net.scores(image) if name == "classifier" else net(image)
        return image, target, out.double().numpy()

    return of


def stored(name):
    return store.read("first_losses")[name]


def test_first_loss_of_the_classifier_by_its_formula(first_step):
    """Sigmoid cross-entropy, summed over the classes, mean over the images."""
    _, tags, logits = first_step("classifier")
    chance = 1 / (1 + np.exp(-logits))
    each = np.where(tags.numpy() > 0, -np.log(chance), -np.log(1 - chance))
    assert stored("classifier")[0] == pytest.approx(each.sum(axis=1).mean(), rel=1e-4)


def cross_entropy(logits, label):
    """Mean of -log softmax at the true class of every fourth pixel that is not void."""
    label = label.numpy()[:, 2::4, 2::4]
    n, y, x = np.nonzero(label != 255)
    return -log_softmax(logits, axis=1)[n, label[n, y, x], y, x].mean()


@pytest.mark.parametrize("name", ["saliency", "segmenter"])
def test_first_loss_of_label_images_by_its_formula(first_step, name):
    _, label, logits = first_step(name)
    assert stored(name)[0] == pytest.approx(cross_entropy(logits, label), rel=1e-4)


def test_first_loss_of_sec_by_its_formulas(first_step):
    """Seed, expansion and boundary losses; the CRF is ours, checked in test_independent."""
    image, (label, tags), logits = first_step("sec")
    p = softmax(logits, axis=1) + sec.FLOOR
    p /= p.sum(axis=1, keepdims=True)
    cue, total = label.numpy()[:, 2::4, 2::4], 0.0
    small = image.numpy().reshape(4, 3, 16, 4, 16, 4).mean(axis=(3, 5))
    rule = sets()["seed"]
    widths = {"smooth_sxy": rule.smooth_sxy / 4, "bilateral_sxy": rule.bilateral_sxy / 4}
    rule = rule.model_copy(update=widths)
    for one, photo, cues, there in zip(p, small, cue, tags.numpy(), strict=True):
        known = np.nonzero(cues != 255)
        if len(known[0]):
            total += -np.log(one[cues[known], known[0], known[1]]).mean() / 4
        total += independent.expansion(one, there, decays=(0.996, 0.999), positions=41 * 41) / 4
        grey = np.ascontiguousarray(np.round(photo).astype(np.uint8).transpose(1, 2, 0))
        smooth = dense.dense_crf(grey, dense.energy_of(one), rule) + sec.FLOOR
        smooth /= smooth.sum(axis=0)
        total += (smooth * np.log(smooth / one)).sum(axis=0).mean() / 4
    assert stored("sec")[0] == pytest.approx(total, rel=1e-3)


CHANGES = {
    "rate 5 % higher": {"lr": 0.0021},
    "schedule": {"schedule": "poly"},
    "optimizer": {"optimizer": "sgd"},
    "head's rate": {"head_lr_factor": 2.2},
    "weight decay": {"weight_decay": 0.6},
    "recolouring": {"jitter": 0.21},
    "scale": {"scale": [0.8, 1.6]},
    "batch": {"batch": 3, "epochs": 2.5},
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_training_moves_the_losses_beyond_the_tolerance(change):
    """Other vector instructions of the processor moved them by 2e-7 of their value."""
    with store.steady():
        other = training_cases.first_losses("classifier", small=True, **CHANGES[change])
    case, plain = CASES["first_losses"], stored("classifier")
    assert len(other) == len(plain) == training_cases.STEPS
    assert not np.allclose(plain, other, rtol=2 * case.rel, atol=case.abs)
