"""The training loop of the classifier, the saliency network and the segmenter.

Each epoch seeds torch from (seed, epoch). The state is saved after each epoch, and within a long
epoch about every ten minutes. So a killed run resumes there, and ends with the same bytes as an
uninterrupted run.

Shapes: N batch, S side of a view in px.
"""

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.core import ranks, runtime
from pipeline.core.config import Train
from pipeline.core.errors import UserError
from pipeline.training import state
from pipeline.training.optim import optimizer_for, set_lr
from pipeline.training.state import Epoch, Run
from pipeline.training.views import Target, Views, batches_of, epoch_keys, fixed, fixed_keys

LossOf = Callable[[nn.Module, Tensor, Any], Tensor]
Batches = Iterator[tuple[list[tuple[int, int]], tuple[Tensor, Target]]]  # keys, then their batch


def fit(
    net: nn.Module,
    views: Views,
    loss_of: LossOf,
    *,
    resume: Path,
    title: str,
    val: Views | None = None,
) -> list[Epoch]:
    """Train `net` in place.

    Args:
        net: a module with a `trunk`, whose first stages may be frozen.
        views: the training set.
        loss_of: computes the loss, a scalar, from net, images (N, 3, S, S) and target. The target
            is what `views` return.
        resume: folder for the state. It is kept after the last epoch, too. So a stage that is
            killed between its training and its end does not train again. `stages/_run.py` removes
            the folder.
        title: the title of progress bars and messages.
        val: images for a validation loss after each epoch. The loss is for people: nothing learns
            from it, and nothing is chosen by it.

    Returns:
        The losses of each epoch.

    Raises:
        UserError: there are too few images, the ranks cannot share a batch, or a loss is not
            finite. Such a loss never changes the weights.
    """
    train = views.train
    batch = _batch_size(len(views), train, title=title)
    epoch_steps = len(views) // batch
    path = resume / "state.pt"
    run = _start(net, train, epoch_steps=epoch_steps, path=path, title=title)
    compute_loss = _with_loss(net, loss_of)
    epochs = range(len(run.epochs), math.ceil(run.steps / epoch_steps))
    keys = [key for e in epochs for key in epoch_keys(views, batch=batch, epoch=e)]
    keys = keys[run.done - len(run.epochs) * epoch_steps :][: run.steps - run.done]
    batches = zip(keys, batches_of(views, keys), strict=True)
    for epoch in epochs:
        first_step, name = epoch * epoch_steps, f"{title}, epoch {epoch + 1}"
        run.start_epoch(views.seed, first_step=first_step)
        steps, done = min(epoch_steps, run.steps - first_step), run.done - first_step
        start = time.monotonic()
        left = islice(batches, steps - done)
        _train_epoch(run, compute_loss, left, views, path, steps=steps - done, title=name)
        rate = (steps - done) * batch / (time.monotonic() - start)
        loss = float(ranks.mean(torch.tensor(run.total / steps, device=runtime.device())))
        val_loss = _validate(net, compute_loss, val, batch=batch) if val else None
        run.epochs.append(Epoch(loss, val_loss))
        val_text = "" if val_loss is None else f", on val {val_loss:.4f}"
        runtime.say(f"{name}: loss {loss:.4f}{val_text}, {rate:.1f} images/s")
        run.save(path)
    ranks.take_first(net.buffers())  # each rank has batch statistics of its own
    net.eval()
    return run.epochs


def _train_epoch(
    run: Run,
    compute_loss: nn.Module,
    batches: Batches,
    views: Views,
    path: Path,
    *,
    steps: int,
    title: str,
) -> None:
    """Train on the `steps` batches that are left of an epoch. Add their losses to `run.total`."""
    run.net.train()
    device, last_step = runtime.device(), run.done + steps
    for keys, (image, target) in runtime.track(batches, total=steps, title=title):
        set_lr(run.optimizer, views.train, progress=run.done / run.steps)
        loss = _batch_loss(compute_loss, image, target, device)
        read_loss = _start_reading(loss)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(value := read_loss()):
            images = ", ".join(views.images[i].name for _, i in keys)
            raise UserError(
                f"{title}: the loss of step {run.done + 1} of {run.steps} is not finite; lower "
                f"train.lr, or replace a bad image of its batch: {images}"
            )
        run.optimizer.step()
        run.total, run.done = run.total + value, run.done + 1
        if run.done < last_step and run.is_due():
            run.save(path)


def _start_reading(loss: Tensor) -> Callable[[], float]:
    """Return a function that reads a loss. A GPU can compute the gradients meanwhile."""
    if loss.device.type != "cuda":
        return loss.detach().item
    value, copied = loss.detach().to("cpu", non_blocking=True), torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def read() -> float:
        copied.synchronize()
        return float(value)

    return read


@torch.no_grad()
def _validate(net: nn.Module, compute_loss: nn.Module, val: Views, *, batch: int) -> float | None:
    """Return the mean loss over the validation images. Their views are the same in each epoch."""
    keys = fixed_keys(val, batch=batch)
    net.eval()
    device, total, count = runtime.device(), 0.0, 0
    for image, target in batches_of(fixed(val), keys):
        loss = _batch_loss(compute_loss, image, target, device)
        total, count = total + float(loss) * len(image), count + len(image)
    return float(ranks.mean(torch.tensor(total / count, device=device))) if count else None


def _start(net: nn.Module, train: Train, *, epoch_steps: int, path: Path, title: str) -> Run:
    """Freeze stages, move the network to the device, and restore its state if one was saved."""
    net.trunk.freeze(train.frozen_stages)  # type: ignore[operator,union-attr]
    runtime.keep_memory()
    net.to(runtime.device()).to(memory_format=torch.channels_last)
    run = Run(net, optimizer_for(net, train), steps=max(1, round(train.epochs * epoch_steps)))
    if saved := state.read(path):
        run.restore(saved)
        runtime.say(f"{title}: resumes after {run.done}/{run.steps} steps")
    elif path.exists():
        runtime.say(f"{title}: {path} is damaged; the training starts again")
    return run


def _batch_size(images: int, train: Train, *, title: str) -> int:
    """Return the batch size of the params, or the number of images if that is smaller."""
    batch, world = min(train.batch, images), ranks.world()
    if batch < 2:
        raise UserError(f"{title}: training needs at least 2 images, not {images}; add images")
    if batch % world or batch < 2 * world:
        raise UserError(
            f"{title}: {world} ranks cannot share batches of {batch}; set train.batch to a "
            f"multiple of {world}, at least {2 * world}"
        )
    return batch


def _batch_loss(
    compute_loss: nn.Module, image: Tensor, target: Target, device: torch.device
) -> Tensor:
    image = image.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
    with runtime.autocast(device):
        return compute_loss(image, _to(target, device))


def _to(target: Target, device: torch.device) -> Target:
    if isinstance(target, Tensor):
        return target.to(device, non_blocking=True)
    return [t.to(device, non_blocking=True) for t in target]


class _NetWithLoss(nn.Module):
    """A network and its loss in one module, as DistributedDataParallel needs it."""

    def __init__(self, net: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.net, self.loss_of = net, loss_of

    def forward(self, image_N3SS: Tensor, target: Target) -> Tensor:
        return self.loss_of(self.net, image_N3SS, target)


def _with_loss(net: nn.Module, loss_of: LossOf) -> nn.Module:
    """Make the module that computes the loss of a batch. Gradients are means over all ranks."""
    compute_loss = _NetWithLoss(net, loss_of)
    if ranks.world() == 1:
        return compute_loss
    return nn.parallel.DistributedDataParallel(compute_loss)
