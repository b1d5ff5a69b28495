"""Each stage of the chain, again from the same inputs, with one and with two threads of torch.

`pytest -m slow -s tests/test_same_bytes.py` prints what docs/reproducible.md shows.
"""

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load

from pipeline.core import formats
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
    return [project.root / out for out in sorted(entries(name, "outs") | entries(name, "metrics"))]


def read(project, name):
    """Read all files that a stage made."""
    paths = [p for out in outputs(project, name) for p in (out, *out.rglob("*")) if p.is_file()]
    return {p.relative_to(project.root).as_posix(): p.read_bytes() for p in paths}


def run(project, name):
    """Run a stage in this process without its old outputs, and read what it made."""
    for out in outputs(project, name):
        shutil.rmtree(out) if out.is_dir() else out.unlink()
    module, variant = command(name)
    project.stages(" ".join([module, *variant]))
    return read(project, name)


def has_network(project, name):
    """Whether the log of a stage says on which device its network ran."""
    module, variant = command(name)
    return "run_on" in formats.read_json(
        project.root / f"data/log/{'_'.join([module, *variant])}.json"
    )


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
    """Twice with two threads; with one, it gives what DVC's run gave in another folder.

    With another number of threads, sums have another order; what differs then is printed.
    """
    first = read(project, name)
    threads(1)
    assert first and run(project, name) == first
    if not has_network(project, name):
        return
    threads(2)
    twice = run(project, name)
    assert run(project, name) == twice and twice.keys() == first.keys()
    print(f"\n{name}, 1 and 2 threads: {describe(first, twice)}")
