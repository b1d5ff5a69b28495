"""The pretext tasks: their views, labels and losses, and the trunk that they leave."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from pipeline.core.config import Train
from pipeline.core.errors import UserError
from pipeline.nets import backbones, weights
from pipeline.pretext import tasks
from pipeline.pretext.config import SimClr
from pipeline.training import fit
from pipeline.training.views import Views
from tests.conftest import photo
from tests.pipeline.nets.test_backbones import NAMES, make_distinct
from tests.small_fit import Trunk as SmallTrunk

TRAIN = Train(
    epochs=3, batch=4, size_px=32, optimizer="adamw", lr=1e-3, weight_decay=0.01,
    schedule="one_cycle", head_lr_factor=1, scale=(1.0, 1.5), jitter=0.4, frozen_stages=0,
)  # fmt: skip
NOTHING = np.zeros(0, np.float32)


def naive_nt_xent(first, second, temperature):
    """Equation 1 of the paper, pair by pair, for every vector and its partner."""
    vectors, count, total = [*first, *second], len(first), 0.0
    for i, vector in enumerate(vectors):
        cosines = [
            sum(a * b for a, b in zip(vector, other, strict=True))
            / math.sqrt(sum(a * a for a in vector))
            / math.sqrt(sum(b * b for b in other))
            for other in vectors
        ]
        partner = i + count if i < count else i - count
        others = sum(math.exp(c / temperature) for k, c in enumerate(cosines) if k != i)
        total -= math.log(math.exp(cosines[partner] / temperature) / others)
    return total / len(vectors)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent_equals_the_formula(rng, temperature):
    first, second = rng.normal(size=(2, 5, 3))
    loss = tasks.nt_xent(torch.tensor(first), torch.tensor(second), temperature=temperature)
    assert float(loss) == pytest.approx(naive_nt_xent(first, second, temperature), rel=1e-9)


def test_nt_xent_is_as_exact_under_autocast(rng):
    first, second = torch.tensor(rng.normal(size=(2, 5, 3)), dtype=torch.float32)
    plain = tasks.nt_xent(first, second, temperature=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert tasks.nt_xent(first, second, temperature=0.1) == plain


def test_nt_xent_of_equal_pairs_that_are_orthogonal_to_all_others():
    vectors = torch.eye(4)
    loss = tasks.nt_xent(vectors, 3 * vectors, temperature=0.5)  # their length does not count
    assert float(loss) == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 6)), rel=1e-6)


def test_the_label_of_a_turned_image_is_its_number_of_quarter_turns():
    """Each quarter turn to the left moves the pixel at the top right to the next corner."""
    image = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    image[0, :, 0, 3], image[1, :, 0, 3] = 1, 2
    turned, turns = tasks.turn(image)
    assert turned.shape == (8, 3, 4, 4) and turns.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    corners = [(0, 3), (0, 0), (3, 0), (3, 3)]
    for i, (view, count) in enumerate(zip(turned, turns.tolist(), strict=True)):
        assert (view[:, *corners[count]] == 1 + i % 2).all() and view.sum() == 3 * (1 + i % 2)


@pytest.fixture
def images(tmp_path):
    for i in range(8):
        photo(tmp_path / f"{i}.png", size=(48, 40), seed=i)
    return [tmp_path / f"{i}.png" for i in range(8)]


def views(task, images):
    return tasks.TASKS[task].views(images, [NOTHING] * len(images), TRAIN, 0)


def test_a_pair_holds_two_views_of_one_image_that_no_other_epoch_holds(images):
    pairs, single = views("simclr", images), Views(images, [NOTHING] * 8, TRAIN, 0)
    seen = [view for epoch in range(3) for view in pairs[epoch, 5]]
    assert all((view == single[n, 5][0]).all() for n, view in enumerate(seen))
    assert all((a != b).any() for n, a in enumerate(seen) for b in seen[:n])


class Small(SmallTrunk):
    """A trunk of one convolution."""

    strides = (1,)

    def forward(self, image):
        return {1: super().forward(image.float() / 255).relu()}


OPTIONS = SimClr(temperature=0.5, outputs=8)


def fitted(task, images, resume, stop=0):
    """Train a small net; return the losses and the bytes. Interrupt it at batch `stop`."""
    torch.manual_seed(0)
    calls = []
    trunk = Small(3, 8, 3, padding=1)
    net = tasks.PretextNet(trunk, tasks.TASKS[task].head(8, OPTIONS))

    def loss(net, image, target):
        calls.append(len(image))
        if len(calls) == stop:
            raise KeyboardInterrupt
        return tasks.TASKS[task].loss(net, image, target, OPTIONS)

    losses = fit.fit(net, views(task, images), loss, resume=resume, title=task)
    return losses, {k: v.numpy().tobytes() for k, v in net.state_dict().items()}


@pytest.mark.parametrize("task", tasks.TASKS)
def test_a_killed_pretext_training_ends_with_the_same_bytes(task, images, tmp_path):
    whole = fitted(task, images, tmp_path / "a")
    assert len(whole[0]) == 3 and whole[0][-1].loss < whole[0][0].loss
    with pytest.raises(KeyboardInterrupt):
        fitted(task, images, tmp_path / "b", stop=4)  # in the second epoch
    assert fitted(task, images, tmp_path / "b") == whole


def test_simclr_contrasts_the_two_views_of_a_batch(images):
    """The loss of a batch is NT-Xent of the outputs of its images and of its targets."""
    pairs, net = views("simclr", images), torch.nn.Flatten()
    first, second = (
        torch.stack(v).double() for v in zip(*(pairs[0, i] for i in range(4)), strict=True)
    )
    loss = tasks.TASKS["simclr"].loss(net, first, second, OPTIONS)
    expected = naive_nt_xent(first.flatten(1).numpy(), second.flatten(1).numpy(), 0.5)
    assert float(loss) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_a_trunk_fits_each_stride(name, tmp_path):
    torch.manual_seed(0)
    build = partial(backbones.build, name, classify=True)
    trunk = make_distinct(build(output_stride=32, weights="none"))
    path = tmp_path / "w.safetensors"
    weights.write_weights(path, trunk.file_state())
    for stride in (8, 32):
        loaded = build(output_stride=stride, weights=str(path)).state_dict().values()
        for tensor, other in zip(trunk.state_dict().values(), loaded, strict=True):
            assert torch.equal(tensor, other) or tensor.ndim == 0  # a counter of batches


def test_a_trunk_of_another_backbone_is_one_line(tmp_path):
    trunk = backbones.build("efficientnet_lite0", output_stride=32, weights="none", classify=True)
    path = tmp_path / "w.safetensors"
    weights.write_weights(path, trunk.file_state())
    with pytest.raises(
        UserError, match=r"w\.safetensors: these weights do not fit this backbone: '"
    ):
        backbones.build("resnet50", output_stride=16, weights=str(path))
