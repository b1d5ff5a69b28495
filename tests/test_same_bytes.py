"""Each stage of the chain, twice from the same inputs, and with one and with two threads of torch.

`pytest -m slow -s tests/test_same_bytes.py` prints what docs/reproducible.md shows.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load

from tests.contracts.dvc_files import command, entries
from tests.project import CHAIN

STAGES = [stage.rpartition(":")[2].partition("@")[0] for stage in CHAIN]


@pytest.fixture
def threads():
    """Return a function that sets the number of torch's threads. At the end it is as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def outputs(project, name):
    """Run a stage in this process, and read all files that it makes."""
    module, variant = command(name)
    project.stages(" ".join([module, *variant]))
    outs = sorted(entries(name, "outs") | entries(name, "metrics"))
    paths = [p for out in outs for p in (project.root / out, *(project.root / out).rglob("*"))]
    return {p.relative_to(project.root).as_posix(): p.read_bytes() for p in paths if p.is_file()}


def arrays(path, content):
    """Read a file as arrays by name; other formats than images and arrays give nothing."""
    if path.endswith(".safetensors"):
        return load(content)
    if path.endswith(".npz"):
        return dict(np.load(io.BytesIO(content)))
    if path.endswith(".png"):
        return {"pixels": np.asarray(Image.open(io.BytesIO(content)))}
    return {}


def apart(path, *contents):
    """Return the norm of the difference of two files' numbers, as a share of the first's norm."""
    one, other = (arrays(path, content) for content in contents)
    if not one:
        return 0.0
    size, gap = (
        np.concatenate([numbers.astype(float).ravel() for numbers in by_name])
        for by_name in (one.values(), [one[k].astype(float) - other[k] for k in one])
    )
    return np.linalg.norm(gap) / np.linalg.norm(size)


def describe(one, other):
    """Say in a line which files differ, and by how much those with numbers do."""
    differ = [path for path in one if one[path] != other[path]]
    if not differ:
        return "the same bytes"
    largest = max(apart(path, one[path], other[path]) for path in differ)
    return f"{len(differ)} of {len(one)} files differ, by up to {100 * largest:.2g} %: {differ[:3]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_gives_the_same_bytes_twice_on_the_cpu(project, name, threads):
    """With another number of threads, sums have another order; what differs then is printed."""
    made = {}
    for count in (1, 2):
        threads(count)
        made[count] = outputs(project, name)
        assert made[count] and outputs(project, name) == made[count]
    assert made[1].keys() == made[2].keys()
    print(f"\n{name}, 1 and 2 threads: {describe(made[1], made[2])}")
