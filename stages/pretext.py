"""Pretrain a trunk on the train images alone, by the task that the command line names.

It reads neither tags nor masks.
"""

from functools import partial

import numpy as np

from pipeline.core import runtime
from pipeline.core.config import Frozen
from pipeline.core.layout import Layout
from pipeline.core.params import fingerprint
from pipeline.core.samples import read_samples
from pipeline.nets import backbones, checkpoint
from pipeline.pretext.config import PRETEXT_OPTIONS, PretextTrain
from pipeline.pretext.tasks import TASKS, PretextNet
from pipeline.training import fit
from stages import _resume, _run

SLICES: dict[str, _run.Slices] = {
    task: {
        "options": (f"pretext.options.{task}", PRETEXT_OPTIONS[task]),
        "backbone": ("pretext.backbone", str),
        "train": ("pretext.train", PretextTrain),
        "random_seed": ("random_seed", int),
    }
    for task in TASKS
}
SHARED = True
STRIDE = 32  # classifiers are pretrained at this stride; the weights fit any other


def run(
    layout: Layout,
    task: str,
    *,
    options: Frozen,
    backbone: str,
    train: PretextTrain,
    random_seed: int,
) -> None:
    """Write the trunk's weights, under the names of a weights file of its backbone, and losses."""
    images = [s.image for s in read_samples(layout.samples) if s.split == "train"]
    runtime.say(f"pretext {task}: {len(images)} images, {runtime.summary()}")
    runtime.seed_all(random_seed)
    trunk = backbones.build(backbone, output_stride=STRIDE, weights="none", classify=True)
    net = PretextNet(trunk, TASKS[task].head(trunk.channels[trunk.strides[-1]], options))
    no_targets = [np.zeros(0, np.float32)] * len(images)
    resume = _resume.folder(
        layout,
        weights="none",
        inputs=[layout.samples],
        params_key=fingerprint(options, train, backbone, str(random_seed)),
    )
    epochs = fit.fit(
        net,
        TASKS[task].views(images, no_targets, train, random_seed),
        partial(TASKS[task].loss, options=options),
        resume=resume,
        title=f"pretext ({task})",
    )
    spec = {"kind": "pretext", "task": task, "backbone": backbone}
    checkpoint.save_state(layout.pretext(task), trunk.file_state(), spec, epochs)
