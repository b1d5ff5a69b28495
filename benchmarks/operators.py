"""`python -m benchmarks.operators`: where a training step goes, by kind of operator.

Profiles two steps of the segmenter (EfficientNet-Lite0 with the v3plus head, 16 views of 320 px,
two frozen stages) on a batch in memory. Convolutions are compared with a product of two large
matrices in the same run, by their multiplications a second.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import machine
from benchmarks.networks import bare_step, mask_loss, train_params, trunk
from pipeline.core import runtime
from pipeline.core.config import Train
from pipeline.segment.deeplab import DeepLab

STEPS = 2  # the profiler's own memory slows down more of them
SIDE = 2048  # of the matrices
KINDS = {  # the start of an operator's name, without `aten::` -> its kind
    "native_batch_norm_backward": "batch normalisation, backward",
    "native_batch_norm": "batch normalisation, forward",
    "hardtanh": "activations",
    "threshold": "activations",
    "relu": "activations",
    "clamp": "activations",
    "upsample": "resizing",
    "copy_": "copies and zeros",
    "fill_": "copies and zeros",
    "zero_": "copies and zeros",
    "cat": "copies and zeros",
    "clone": "copies and zeros",
}
FORWARD, BACKWARD = "mkldnn_convolution", "convolution_backward"


def main() -> None:
    """Print the table, and the machine."""
    net, train = DeepLab(trunk(False), head="v3plus", outputs=6), train_params(320, 16)
    label = torch.zeros(train.batch, train.size_px, train.size_px, dtype=torch.uint8)
    runtime.keep_memory()
    step, before = bare_step(net, mask_loss, train, label), matrix_speed()
    for _ in range(2):
        step()
    plain_s = seconds(step)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        profiled_s = seconds(step)
    times: Counter[str] = Counter()
    for event in profiled.key_averages(group_by_input_shape=True):
        times[kind_of(event.key, event.input_shapes)] += event.self_cpu_time_total / 1e6 / STEPS
    peak, products = max(before, matrix_speed()), multiplications(net, train)
    print("| kind | share of the step | share of a matrix product's speed |\n|---|---:|---:|")
    for kind, used in times.most_common():
        share = f"{products[kind] / used / peak:.0%}" if products[kind] else ""
        print(f"| {kind} | {used / profiled_s:.0%} | {share} |")
    print(f"\nA step takes {plain_s:.2f} s, with the profiler {profiled_s:.2f} s.")
    print(f"Its convolutions: {sum(products.values()) / 1e9:.0f} billion multiplications.")
    print(f"A matrix product: {peak / 1e9:.0f} billion a second.\n{json.dumps(machine())}")


def seconds(step: Callable[[], None]) -> float:
    """Run STEPS steps. Return the seconds of one."""
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - start) / STEPS


def kind_of(name: str, shapes: Sequence[Sequence[int]]) -> str:
    """Return the kind of an operator, from its name and the shapes of its arguments."""
    name = name.removeprefix("aten::")
    if name in (FORWARD, BACKWARD):
        weight = shapes[1 if name == FORWARD else 2]
        return f"{_convolution(weight)}, {'forward' if name == FORWARD else 'backward'}"
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), "other")


def _convolution(weight: Sequence[int]) -> str:
    outputs, inputs, *kernel = weight
    if inputs == 1 < outputs:
        return "depthwise convolutions"
    return "1x1 convolutions" if kernel == [1, 1] else "other convolutions"


def multiplications(net: nn.Module, train: Train) -> Counter[str]:
    """Count the multiplications of a step's convolutions, by kind.

    A trained convolution has twice as many on the way back: for its weights and for its input.
    """
    counts: Counter[str] = Counter()

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        number, kind = out.numel() * layer.weight[0].numel(), _convolution(layer.weight.shape)
        counts[f"{kind}, forward"] += number
        counts[f"{kind}, backward"] += 2 * number * layer.weight.requires_grad

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net(torch.zeros(train.batch, 3, train.size_px, train.size_px, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return counts


def matrix_speed() -> float:
    """Multiplications a second of a product of two matrices, in the precision of the training."""
    a, b, times = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE), []
    for _ in range(5):
        start = time.perf_counter()
        with runtime.autocast(a.device):
            a @ b
        times.append(time.perf_counter() - start)
    return SIDE**3 / min(times)


if __name__ == "__main__":
    main()
