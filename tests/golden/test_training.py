"""The golden losses equal the formulas, and a changed training changes them."""

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
    """Return, for a training, the first batch, its target and the small network's output."""

    def compute(name):
        values = training_cases.sections(name, small=True, changes={})
        setup = training_cases.TRAININGS[name](values, tmp_path)
        keys = epoch_keys(setup.views, batch=4, epoch=0)[0]
        image, target = next(batches_of(setup.views, [keys]))
        with store.steady(), torch.no_grad():
            net = setup.net(small=True)
            out = net.scores(image) if name == "classifier" else net(image)
        return image, target, out.double().numpy()

    return compute


def stored(name):
    return store.read("first_losses")[name]


def test_first_loss_of_the_classifier_by_its_formula(first_step):
    """Sigmoid cross-entropy: the sum over the classes, and the mean over the images."""
    _, tags, logits = first_step("classifier")
    probability = 1 / (1 + np.exp(-logits))
    losses = np.where(tags.numpy() > 0, -np.log(probability), -np.log(1 - probability))
    assert stored("classifier")[0] == pytest.approx(losses.sum(axis=1).mean(), rel=1e-4)


def cross_entropy(logits, label):
    """Average -log softmax at the true class over every fourth pixel that is not void."""
    label = label.numpy()[:, 2::4, 2::4]
    n, y, x = np.nonzero(label != 255)
    return -log_softmax(logits, axis=1)[n, label[n, y, x], y, x].mean()


@pytest.mark.parametrize("name", ["saliency", "segmenter"])
def test_first_loss_of_label_images_by_its_formula(first_step, name):
    _, label, logits = first_step(name)
    assert stored(name)[0] == pytest.approx(cross_entropy(logits, label), rel=1e-4)


def test_first_loss_of_sec_by_its_formulas(first_step):
    """Seed, expansion and boundary losses. The CRF is ours; test_independent checks it."""
    image, (label, tags), logits = first_step("sec")
    p = softmax(logits, axis=1) + sec.FLOOR
    p /= p.sum(axis=1, keepdims=True)
    cue, total = label.numpy()[:, 2::4, 2::4], 0.0
    small = image.numpy().reshape(4, 3, 16, 4, 16, 4).mean(axis=(3, 5))
    crf = sets()["seed"]
    widths = {"smooth_sxy": crf.smooth_sxy / 4, "bilateral_sxy": crf.bilateral_sxy / 4}
    crf = crf.model_copy(update=widths)
    for p_Chw, photo, cues, tags_K in zip(p, small, cue, tags.numpy(), strict=True):
        known = np.nonzero(cues != 255)
        if len(known[0]):
            total += -np.log(p_Chw[cues[known], known[0], known[1]]).mean() / 4
        total += independent.expansion(p_Chw, tags_K, decays=(0.996, 0.999), positions=41 * 41) / 4
        rgb = np.ascontiguousarray(np.round(photo).astype(np.uint8).transpose(1, 2, 0))
        smooth = dense.dense_crf(rgb, dense.energy_of(p_Chw), crf) + sec.FLOOR
        smooth /= smooth.sum(axis=0)
        total += (smooth * np.log(smooth / p_Chw)).sum(axis=0).mean() / 4
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
def test_a_changed_training_changes_the_losses_beyond_the_tolerance(change):
    """Other vector instructions of the processor change them only by 2e-7 of their value."""
    with store.steady():
        other = training_cases.first_losses("classifier", small=True, **CHANGES[change])
    case, plain = CASES["first_losses"], stored("classifier")
    assert len(other) == len(plain) == training_cases.STEPS
    assert not np.allclose(plain, other, rtol=2 * case.rel, atol=case.abs)
