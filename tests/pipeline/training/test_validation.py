"""The validation loss: its value by hand, in loss.tsv, and that it changes nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.core import formats
from pipeline.core.config import Train
from pipeline.nets import checkpoint
from pipeline.training import fit
from pipeline.training.views import Views
from tests.small_fit import Trunk

TRAIN = Train(
    epochs=3, batch=4, size_px=32, optimizer="sgd", lr=0.1, weight_decay=0.0, schedule="poly",
    head_lr_factor=1, scale=(0.5, 1.5), jitter=0.5, frozen_stages=0,
)  # fmt: skip
BRIGHTNESS = np.array([0, 0.1, 0.2, 0.3, 0.5])  # of the five validation images
TAGS = np.array([1, 0, 0, 1, 1])


class Brightness(nn.Module):
    """One weight times the mean brightness of each image."""

    def __init__(self):
        super().__init__()
        self.trunk, self.weight = Trunk(1, 1, 1), nn.Parameter(torch.tensor(1.0))

    def forward(self, image):
        return self.weight * image.float().mean((1, 2, 3)) / 255


class Random(nn.Module):
    """A network with dropout and batch statistics."""

    def __init__(self):
        super().__init__()
        self.trunk = Trunk(3, 4, 3)
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 1, 1))

    def forward(self, image):
        return self.head(self.trunk(image.float() / 255)).mean((1, 2, 3))


def squared_error(net, image, tags):
    return ((net(image) - tags[:, 0]) ** 2).mean()


@pytest.fixture
def val(tmp_path):
    """Images of 32x32 px whose left half is black. The last one does not fill a batch of four."""
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path, brightness in zip(paths, BRIGHTNESS, strict=True):
        image = np.zeros((32, 32, 3), np.uint8)
        image[:, 16:] = round(510 * brightness)
        formats.write_image(path, image)
    return Views(paths, [np.array([t], np.float32) for t in TAGS], TRAIN, seed=0)


@pytest.fixture
def views(tmp_path):
    """Eight training images, bright if their tag is 1."""
    paths = [tmp_path / f"train{i}.png" for i in range(8)]
    for i, path in enumerate(paths):
        noise = np.random.default_rng(i).integers(0, 100, (32, 32, 3)) + 150 * (i % 2)
        formats.write_image(path, noise.astype(np.uint8))
    return Views(paths, [np.array([i % 2], np.float32) for i in range(8)], TRAIN, seed=0)


def fitted(model, views, resume, *, val=None, loss=squared_error):
    torch.manual_seed(0)
    net = model()
    epochs = fit.fit(net, views, loss, resume=resume, title="test", val=val)
    return net, epochs


def test_the_validation_loss_by_hand_and_in_the_table_of_losses(views, val, tmp_path):
    """The mean over five images, with the weight at the end of each epoch."""
    weights = []

    def loss(net, image, tags):
        if not net.training:
            weights.append(net.weight.item())
        return squared_error(net, image, tags)

    net, epochs = fitted(Brightness, views, tmp_path / "resume", val=val, loss=loss)
    at_end = weights[1::2]  # an epoch validates two batches
    assert len(set(at_end)) == len(epochs) == 3 and at_end[-1] == net.weight.item()
    expected = [((w * BRIGHTNESS - TAGS) ** 2).mean() for w in at_end]
    assert [e.val_loss for e in epochs] == pytest.approx(expected, rel=1e-5)
    checkpoint.save(tmp_path, net, {}, epochs)
    columns = ("epoch", "loss", "val_loss")
    rows = formats.read_table(tmp_path / "loss.tsv", columns=columns, sep="\t")
    assert [float(r["val_loss"]) for r in rows] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_resumed_training_has_the_same_validation_losses(views, val, tmp_path, where):
    """Each epoch has two training steps and two validation batches. The second one is killed."""
    expected = fitted(Random, views, tmp_path / "a", val=val)[1]
    batches = []

    def killed(net, image, tags):
        batches.append(net.training)
        if len(batches) == (6 if where == "training" else 7):
            assert batches[-1] == (where == "training")
            raise KeyboardInterrupt
        return squared_error(net, image, tags)

    with pytest.raises(KeyboardInterrupt):
        fitted(Random, views, tmp_path / "b", val=val, loss=killed)
    resumed = fitted(Random, views, tmp_path / "b", val=val)[1]
    assert resumed == expected and all(e.val_loss is not None for e in resumed)


def test_validation_changes_neither_weights_nor_random_numbers(views, val, tmp_path):
    results = []
    for folder, images in (("without", None), ("with", val)):
        net, epochs = fitted(Random, views, tmp_path / folder, val=images)
        weights = {k: v.numpy().tobytes() for k, v in net.state_dict().items()}
        losses = [e.loss for e in epochs]
        results.append((weights, losses, torch.get_rng_state().numpy().tobytes()))
    assert results[0] == results[1]
