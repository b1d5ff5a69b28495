"""A trained segmenter on any photographs: label PNG and overlay for each."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2

from pipeline import crf, formats, infer, nets, params, runtime, viz
from pipeline.arrays import Float
from pipeline.blocks import Crf, Infer
from pipeline.errors import UserError
from pipeline.formats import SUFFIXES, Sample

RECORD = "made_of.json"  # among the results: of which network, params and files they were made
CHUNK = 16  # images per process between two passes of the network


@dataclass(frozen=True)
class Applied:
    """How many images have results and how many had them before, classes, a line a bad file."""

    done: int
    kept: int
    classes: tuple[str, ...]
    bad: tuple[str, ...]


def find(paths: Sequence[Path]) -> list[Path]:
    """The image files that `paths` name; a folder stands for the images in it."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
        else:
            found.append(path)
    if not found:
        raise UserError(f"{paths[0]}: holds no image ({', '.join(SUFFIXES)})")
    return found


def segment(
    model: Path, images: Sequence[Path], out: Path, *, how: Infer, refine: Crf | None
) -> Applied:
    """Write NAME.png (class indices, VOC palette) and NAME_overlay.jpg into `out`.

    A file that cannot be decoded, or whose name was taken, is skipped and named. What an earlier
    call made of the same file by the same network and params stays.

    Raises:
        UserError: a result would overwrite an image, or nothing was trained yet.
    """
    for path in images:
        if path.resolve().parent == out.resolve() and path.suffix.lower() == ".png":
            raise UserError(f"{out}: the results would overwrite {path}; choose another folder")
    net, spec = nets.load(model)
    samples, bad = _readable(images)
    kept = _begin(out, samples, params.fingerprint(formats.digest(model), how, refine or ""))
    found = infer.run(net, samples, how, what="predict", done=kept)
    count = runtime.workers()
    with ProcessPoolExecutor(count, initializer=_alone) as pool:
        # in turn, as a network and a CRF beside each other fight for the cores
        while some := list(islice(found, CHUNK * count)):
            jobs = [(s, infer.merge([o[None] for o in each])[0].numpy()) for s, each in some]
            list(pool.map(_write, [(*job, out, refine) for job in jobs if job[0].id not in kept]))
    return Applied(len(samples), len(kept), ("background", *spec["classes"]), tuple(bad))


def _readable(images: Sequence[Path]) -> tuple[list[Sample], list[str]]:
    """The images as samples, and a line for each that cannot be one."""
    samples: dict[str, Sample] = {}
    bad = []
    for path, size in zip(images, runtime.pool_map(_size, list(images), what="open"), strict=True):
        if isinstance(size, str):
            bad.append(size)
        elif path.stem in samples:
            bad.append(f"{path}: another image is already called '{path.stem}'; rename it")
        else:
            samples[path.stem] = Sample(path.stem, path, "", (), *size, "")
    return list(samples.values()), bad


def _size(path: Path) -> tuple[int, int] | str:
    """Height and width in px, or why the file has none."""
    try:
        height, width, _ = formats.read_image(path).shape
    except UserError as e:
        return str(e)
    return height, width


def _begin(out: Path, samples: Sequence[Sample], key: str) -> set[str]:
    """The ids that have their results already; those of other origin are removed."""
    record = out / RECORD
    before = formats.read_json(record) if record.exists() else {}
    files = {s.id: [str(s.image.resolve()), s.image.stat().st_mtime_ns] for s in samples}
    old = before["files"] if before.get("key") == key else {}
    kept = {i for i in files if old.get(i) == files[i] and (out / f"{i}.png").exists()}
    for i in files.keys() - kept:
        (out / f"{i}.png").unlink(missing_ok=True)
    formats.write_json(record, {"key": key, "files": old | files})
    return kept


def _alone() -> None:
    runtime.leave_with_parent()
    cv2.setNumThreads(0)


def _write(job: tuple[Sample, Float, Path, Crf | None]) -> None:
    """The label comes last: where it is, the overlay is whole."""
    sample, logits, out, refine = job
    image = formats.read_image(sample.image)
    label = crf.label_of(image, logits, refine)
    formats.write_image(out / f"{sample.id}_overlay.jpg", viz.overlay(image, label))
    formats.write_label(out / f"{sample.id}.png", label)
