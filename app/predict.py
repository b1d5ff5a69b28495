"""A trained segmenter on any photographs: label PNG and overlay for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from pipeline.core import formats, runtime
from pipeline.core.arrays import Float
from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.core.formats import SUFFIXES
from pipeline.core.params import fingerprint
from pipeline.crf import dense
from pipeline.crf.config import Crf
from pipeline.inference import infer
from pipeline.inference.whole import Photo
from pipeline.nets import checkpoint
from pipeline.report import drawing
from pipeline.segment.deeplab import DeepLab

RECORD = "made_of.json"  # among the results: of which network, params and files they were made
ENDINGS = ("_overlay.jpg", ".png")  # of an image's results; the last one is written last
CHUNK = 8  # images a process refines before the network goes on


@dataclass(frozen=True)
class Applied:
    """How many images have results and how many had them before, and a line for each bad file.

    `classes` are the names of the masks' indices; empty if there are no masks.
    """

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
        said = f"holds no image ({', '.join(SUFFIXES)}); subfolders are not read"
        raise UserError(f"{paths[0]}: {said}")
    return found


def segment(
    model: Path, images: Sequence[Path], out: Path, *, how: Infer, refine: Crf | None
) -> Applied:
    """Write NAME.png (class indices, VOC palette) and NAME_overlay.jpg into `out`.

    A file that cannot be decoded, or whose name was taken, is skipped and named. What an earlier
    call made of the same file stays.

    Raises:
        UserError: nothing was trained yet, or `out` holds the images, files made elsewhere, or
            the results of another network or other params.
    """
    refuse_folder_of(images, out)
    net, spec = checkpoint.load(model, DeepLab.from_spec)
    samples, bad = readable(images)
    classes = ("background", *spec["classes"])
    made_by = fingerprint(formats.digest(model), how, refine or "")
    about = {"made_by": made_by, "classes": [*classes]}
    kept = begin(out, samples, about, ENDINGS) if samples else set()
    found = infer.run(net, samples, how, title="predict", done=kept)
    count = max(1, min(runtime.workers(), len(samples) - len(kept)))
    with runtime.processes(count, initializer=_alone) as pool:
        # in turn, as a network and a CRF beside each other fight for the cores
        while some := list(islice(found, CHUNK * count)):
            jobs = [(s, infer.merge([o[None] for o in each])[0].numpy()) for s, each in some]
            list(pool.map(_write, [(*job, out, refine) for job in jobs if job[0].id not in kept]))
    return Applied(len(samples), len(kept), classes, tuple(bad))


def refuse_folder_of(images: Sequence[Path], out: Path) -> None:
    """Check that `out` holds none of the images.

    Raises:
        UserError: it holds one.
    """
    for path in images:
        if path.parent.resolve() == out.resolve():
            raise UserError(f"{out}: holds {path.name}; choose another folder for the results")


def readable(images: Sequence[Path]) -> tuple[list[Photo], list[str]]:
    """The images as samples, and a line for each that cannot be one."""
    samples: dict[str, Photo] = {}
    bad = []
    for path, size in zip(images, runtime.pool_map(_size, list(images), title="open"), strict=True):
        if isinstance(size, str):
            bad.append(size)
        elif path.stem in samples:
            bad.append(f"{path}: another image is already called '{path.stem}'; rename it")
        else:
            samples[path.stem] = Photo(path.stem, path, *size)
    return list(samples.values()), bad


def _size(path: Path) -> tuple[int, int] | str:
    """Height and width in px, or why the file has none."""
    try:
        height, width, _ = formats.read_image(path).shape
    except UserError as e:
        return str(e)
    return height, width


def begin(
    out: Path, samples: Sequence[Photo], about: dict[str, Any], endings: Sequence[str]
) -> set[str]:
    """The ids that have their results already; the results of another image are removed.

    Args:
        out: the folder of the results and their record.
        samples: the images.
        about: what the record says of their making: `made_by` and the classes.
        endings: what an image's results add to its id.

    Raises:
        UserError: a file that is not on record would be overwritten.
    """
    record, now = out / RECORD, {s.id: _identity(s.image) for s in samples}
    old = _on_record(record, about["made_by"])
    results = {i: [out / f"{i}{ending}" for ending in endings] for i in now}
    for path in (p for i in now.keys() - old.keys() for p in results[i]):
        if path.exists():
            raise UserError(f"{path}: not made by predict; choose another folder")
    kept = {i for i in now if old.get(i) == now[i] and all(p.exists() for p in results[i])}
    for path in (p for i in now.keys() - kept for p in results[i]):
        path.unlink(missing_ok=True)
    formats.write_json(record, {**about, "files": old | now})
    return kept


def _identity(image: Path) -> list[str | int]:
    about = image.stat()
    return [str(image.resolve()), about.st_size, about.st_mtime_ns]


def _on_record(record: Path, made_by: str) -> dict[str, Any]:
    """What each result was made of."""
    if not record.exists():
        return {}
    try:
        before = formats.read_json(record)
        files, same = dict(before["files"]), before["made_by"] == made_by
    except (UserError, TypeError, KeyError, ValueError) as e:
        raise UserError(f"{record}: damaged; remove it and the results beside it") from e
    if not same:
        raise UserError(
            f"{record.parent}: made by another network or params; choose another folder"
        )
    return files


def _alone() -> None:
    runtime.leave_with_parent()
    cv2.setNumThreads(0)


def _write(job: tuple[Photo, Float, Path, Crf | None]) -> None:
    """The label comes last: where it is, the overlay is whole."""
    sample, logits, out, refine = job
    image = formats.read_image(sample.image)
    label = dense.label_of(image, logits, refine)
    formats.write_image(out / f"{sample.id}_overlay.jpg", drawing.overlay(image, label))
    formats.write_label(out / f"{sample.id}.png", label)
