"""Train a small net without batch normalisation, in one process or as one of several ranks.

`python -m tests.small_fit FOLDER` reads images I.png and labels lI.png, and writes the weights of
each rank, and the losses. With a number of steps, each rank is killed in the step after them, and
the state is saved after each step.
"""

import os
import sys
from pathlib import Path

import torch
from torch import nn

from pipeline.core import ranks, runtime
from pipeline.core.config import Train
from pipeline.nets.weights import write_weights
from pipeline.segment import deeplab
from pipeline.training import fit, state
from pipeline.training.views import Views


class Trunk(nn.Conv2d):
    def freeze(self, count):
        pass


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.score = Trunk(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, image):
        return self.score(self.trunk(image.float() / 255).relu())


def main(folder, last_step=None):
    torch.manual_seed(0)
    steps = []
    if last_step is not None:
        state.SAVE_SECONDS, state.AGREE_STEPS = 0, 1

    def loss_of(net, image, label):
        if len(steps) == last_step:
            os._exit(137)
        steps.append(1)
        noise = 0 if last_step is None else torch.rand(len(image), 1, 1, 1)  # differs by rank
        return deeplab.pixel_loss(net(image) * (1 + noise), label, stride=1)

    train = Train(epochs=2, batch=4, size_px=32, optimizer="sgd", lr=0.1, weight_decay=0.0,
                         schedule="one_cycle", head_lr_factor=1, scale=(0.5, 1.5), jitter=0.1,
                         frozen_stages=0)  # fmt: skip
    images = sorted(folder.glob("[0-9].png"))
    labels = [folder / f"l{p.name}" for p in images]
    net, views = Small(), Views(images, labels, train, seed=0)
    with ranks.group(runtime.device):
        resume = folder / f"resume-{ranks.world()}"
        epochs = fit.fit(net, views, loss_of, resume=resume, title="small")
    (folder / f"losses-{ranks.rank()}-of-{ranks.world()}.txt").write_text(str(epochs))
    write_weights(
        folder / f"weights-{ranks.rank()}-of-{ranks.world()}.safetensors", net.state_dict()
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
