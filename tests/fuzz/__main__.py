"""Fuzz one reader, or fusion: `python -m tests.fuzz TARGET SECONDS`.

A reader may accept an input or raise a UserError. Anything else is a finding: atheris prints it
and saves the input as crash-HASH in .fuzz/TARGET.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

PACKAGES = ["app", "pipeline"]

with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
    from app import fetch
    from pipeline.boxes import annotations
    from pipeline.core import formats, shards, tars
    from pipeline.core.arrays import CONTESTED, VOID
    from pipeline.core.errors import UserError
    from pipeline.core.params import read_yaml, validate
    from pipeline.guide import rules
    from pipeline.guide.config import Fuse
    from pipeline.params import Params
    from tests.fuzz.seeds import SEEDS

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))


def reader(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Return a target that writes its input as the file `name`, and reads it."""
    path = FOLDER / name

    def target(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(UserError):
            read(path)

    return target


def read_params(path: Path) -> None:
    validate(Params, read_yaml(path), where="")


def read_weights(path: Path) -> None:
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        from pipeline.nets import weights  # torch is slow to import, and only this needs it

    weights.read_weights(path)


def read_net(path: Path) -> None:
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        from pipeline.nets import checkpoint
        from pipeline.segment.deeplab import DeepLab

    state = path.parent / checkpoint.WEIGHTS
    if not state.exists():
        from torch import nn

        checkpoint.write_weights(state, nn.Linear(2, 2).state_dict())
    checkpoint.load(path.parent, DeepLab.from_spec)


def read_archive(path: Path) -> None:
    tars._index.cache_clear()
    (path.parent / shards.RANGES).write_text('["a"]')
    shards.ids(path.parent)
    with contextlib.suppress(FileNotFoundError):
        shards.open_file(path.parent / "a.png")


def unpack(path: Path) -> None:
    fetch.MAX_UNPACKED_BYTES, fetch.MAX_UNPACKED_FILES = 1 << 20, 100
    shutil.rmtree(path.parent / "unpacked", ignore_errors=True)
    fetch.unpack(path, path.parent / "unpacked")


def fuse(data: bytes) -> None:
    """Check that labels are a subset of the tags and of 0, VOID and CONTESTED."""
    source = atheris.FuzzedDataProvider(data)
    height, width = source.ConsumeIntInRange(1, 12), source.ConsumeIntInRange(1, 12)
    tags = sorted({source.ConsumeIntInRange(1, 20) for _ in range(source.ConsumeIntInRange(1, 4))})
    rule = source.PickValueInList([name for name in rules.RULES if name != "g1"])
    options = Fuse(
        rule=rule, evidence="maps", seed_rule="threshold", seed_threshold=0.2,
        saliency_threshold=0.5, unlabelled=source.PickValueInList(["background", "ignore"]),
        min_seed_area_px=source.ConsumeIntInRange(0, 9),
        min_saliency_fraction=source.ConsumeFloatInRange(0, 1),
    )  # fmt: skip
    rng = np.random.default_rng(source.ConsumeIntInRange(0, 99))
    size = height * width
    cells = np.frombuffer(source.ConsumeBytes(size).ljust(size, b"\0"), np.uint8)
    seed = np.array([0, *tags], np.uint8)[cells % (1 + len(tags))].reshape(height, width)
    salient = (cells >= 128).reshape(height, width)
    fused = rules.fuse(seed, salient, options, tags=tags, rng=rng)
    assert set(np.unique(fused.label_HW)) <= {0, VOID, CONTESTED, *tags}
    assert fused.label_HW.shape == seed.shape and fused.label_HW.dtype == np.uint8
    assert set(np.unique(fused.seeds_HW)) <= set(np.unique(seed)) | {0}


def read_table(path: Path) -> None:
    formats.read_table(path, columns=("id", "tags"))


TARGETS = {
    "table": reader("a.csv", read_table),
    "image": reader("a.png", formats.read_image),
    "label": reader("b.png", formats.read_label),
    "mask": reader("c.png", formats.read_grey),
    "params": reader("params.yaml", read_params),
    "boxes": reader("boxes.json", annotations.read_coco),
    "xml": reader("a.xml", annotations.read_voc),
    "net": reader("net/net.json", read_net),
    "weights": reader("w.pt", read_weights),
    "safetensors": reader("w.safetensors", read_weights),
    "arrays": reader("a.npz", formats.read_arrays),
    "archive": reader("folder/00000.tar", read_archive),
    "unpack": reader("a.tar", unpack),
    "fuse": fuse,
}


def main() -> None:
    name, seconds = sys.argv[1], sys.argv[2]
    if name not in TARGETS:
        sys.exit(f"no target '{name}'; choose one of {', '.join(TARGETS)}")
    corpus = Path(".fuzz") / name
    corpus.mkdir(parents=True, exist_ok=True)
    (FOLDER / "net").mkdir()
    (FOLDER / "folder").mkdir()
    for i, content in enumerate(SEEDS[name]()):
        (corpus / f"seed{i}").write_bytes(content)
        TARGETS[name](content)  # loads slow packages before the fuzzer counts seconds
    limits = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", "-timeout=30"]
    options = [f"-artifact_prefix={corpus}/", "-print_final_stats=1", *limits]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


main()
