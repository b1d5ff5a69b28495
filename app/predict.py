"""Apply a trained segmenter to any photographs: a label PNG and an overlay for each."""

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from pipeline.core import formats, runtime
from pipeline.core.arrays import Float
from pipeline.core.config import Infer
from pipeline.core.errors import UserError, unwritable
from pipeline.core.formats import SUFFIXES
from pipeline.core.params import fingerprint
from pipeline.crf import dense
from pipeline.crf.config import Crf
from pipeline.dataset.names import MAX_ID_BYTES, is_too_long
from pipeline.inference import infer
from pipeline.inference.whole import Photo
from pipeline.nets import checkpoint
from pipeline.report import drawing
from pipeline.segment.deeplab import DeepLab

RECORD = "made_of.json"  # in the output folder: network, params and files behind the results
ENDINGS = ("_overlay.jpg", ".png")  # of an image's results; the last one is written last
CHUNK = 8  # images that each process refines before the network continues


@dataclass(frozen=True)
class Results:
    """What a call made.

    `count` images have results, and `kept` of them had results before. `classes` starts with the
    background. It is empty if no mask was made. `skipped` holds a message for each file without
    results.
    """

    count: int
    kept: int
    classes: tuple[str, ...]
    skipped: tuple[str, ...]


def list_images(paths: Sequence[Path]) -> list[Path]:
    """List the files of `paths`. A folder counts as the images in it, without its subfolders.

    Raises:
        UserError: `paths` hold no image, or a folder cannot be read.
    """
    images: list[Path] = []
    for path in paths:
        if os.path.isdir(path):  # Path.is_dir fails on a name that is too long
            images += [p for p in _listed(path) if p.suffix.lower() in SUFFIXES]
        else:
            images.append(path)
    if not images:
        suffixes = ", ".join(SUFFIXES)
        raise UserError(f"{paths[0]}: holds no image ({suffixes}); subfolders are not read")
    return images


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as e:
        raise UserError(f"{folder}: cannot be read ({e.strerror}); choose another folder") from e


def segment(
    model: Path, images: Sequence[Path], out: Path, options: Infer, *, crf: Crf | None
) -> Results:
    """Write NAME.png (class indices, VOC palette) and NAME_overlay.jpg into `out`.

    Results that an earlier call made of the same file stay. A file is skipped if it cannot be
    decoded, or if another image has the same name.

    Args:
        model: the folder of a trained segmenter.
        images: the files.
        out: the output folder.
        options: size, scales and flip.
        crf: the parameters of the CRF that refines the masks; None switches it off.

    Raises:
        UserError: no segmenter was trained, or the model is damaged or of another kind; or `out`
            cannot be written, or holds the images, results of another network or other params, or
            files that predict did not make.
    """
    check_output(images, out)
    net, spec = checkpoint.load(model, DeepLab.from_spec)
    photos, skipped = readable(images)
    classes = ("background", *spec["classes"])
    made_by = fingerprint(formats.digest(model), options, crf or "")
    header = {"made_by": made_by, "classes": [*classes]}
    kept = begin(out, photos, header, ENDINGS) if photos else set()
    outputs = infer.run(net, photos, options, title="predict", done=kept)
    count = max(1, min(runtime.workers(), len(photos) - len(kept)))
    with runtime.processes(count, initializer=_start_worker) as pool:
        # The network and the CRF take turns: at the same time they would compete for the cores.
        while chunk := list(islice(outputs, CHUNK * count)):
            jobs = [
                (photo, infer.merge([scale[None] for scale in scales])[0].numpy(), out, crf)
                for photo, scales in chunk
                if photo.id not in kept
            ]
            list(pool.map(_write, jobs))
    return Results(len(photos), len(kept), classes, tuple(skipped))


def check_output(images: Sequence[Path], out: Path) -> None:
    """Check, before the network loads, that `out` can take the results of `images`.

    Raises:
        UserError: it holds one of the images, or no file can be written there.
    """
    for path in images:
        if path.parent.resolve() == out.resolve():
            raise UserError(f"{out}: holds {path.name}; choose another folder for the results")
    try:
        existing = next(p for p in (out, *out.absolute().parents) if p.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not shutil.disk_usage(existing).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as e:  # also from `exists`: the name is too long, or a folder cannot be read
        raise unwritable(out, e) from e


def readable(images: Sequence[Path]) -> tuple[list[Photo], list[str]]:
    """Return the images that can have results, and a message for each of the others."""
    photos: dict[str, Photo] = {}
    skipped = []
    sizes = runtime.pool_map(_size, list(images), title="open")
    for path, size in zip(images, sizes, strict=True):
        if isinstance(size, str):
            skipped.append(size)
        elif path.stem in photos:
            skipped.append(f"{path}: another image is already called '{path.stem}'; rename it")
        else:
            photos[path.stem] = Photo(path.stem, path, *size)
    return list(photos.values()), skipped


def _size(path: Path) -> tuple[int, int] | str:
    """Return height and width in px, or the reason why the file cannot have results."""
    if is_too_long(path.stem):
        return f"{path}: file name too long; shorten it to {MAX_ID_BYTES} bytes"
    try:
        height, width, _ = formats.read_image(path).shape
    except UserError as e:
        return str(e)
    return height, width


def begin(
    out: Path, photos: Sequence[Photo], header: dict[str, Any], endings: Sequence[str]
) -> set[str]:
    """Return the ids that already have results. Remove outdated results, and update the record.

    Args:
        out: the output folder.
        photos: the images.
        header: what else the record says: `made_by` and `classes`.
        endings: the ends of the names of an image's results, after its id.

    Raises:
        UserError: a file that is not on record would be overwritten.
    """
    record, now = out / RECORD, {p.id: _identity(p.image) for p in photos}
    before = _read_record(record, header["made_by"])
    results = {i: [out / f"{i}{ending}" for ending in endings] for i in now}
    for path in (p for i in now.keys() - before.keys() for p in results[i]):
        if path.exists():
            raise UserError(f"{path}: was not made by predict; choose another folder")
    kept = {i for i in now if before.get(i) == now[i] and all(p.exists() for p in results[i])}
    for path in (p for i in now.keys() - kept for p in results[i]):
        path.unlink(missing_ok=True)
    formats.write_json(record, {**header, "files": before | now})
    return kept


def _identity(image: Path) -> list[str | int]:
    """Return what identifies a file: its path, size and time."""
    stat = image.stat()
    return [str(image.resolve()), stat.st_size, stat.st_mtime_ns]


def _read_record(record: Path, made_by: str) -> dict[str, Any]:
    """Return the identity of the image behind each result.

    Raises:
        UserError: the record is damaged, or names another network or other params.
    """
    if not record.exists():
        return {}
    try:
        content = formats.read_json(record)
        files, fits = dict(content["files"]), content["made_by"] == made_by
    except (UserError, TypeError, KeyError, ValueError) as e:
        raise UserError(f"{record}: damaged; remove it and the results in its folder") from e
    if not fits:
        raise UserError(
            f"{record.parent}: holds results of another network or other params; choose another "
            "folder"
        )
    return files


def _start_worker() -> None:
    runtime.leave_with_parent()
    cv2.setNumThreads(0)


def _write(job: tuple[Photo, Float, Path, Crf | None]) -> None:
    """Write the label last, so that an image with a label also has a complete overlay."""
    photo, logits, out, crf = job
    image = formats.read_image(photo.image)
    label = dense.label_of(image, logits, crf)
    formats.write_image(out / f"{photo.id}_overlay.jpg", drawing.overlay(image, label))
    formats.write_label(out / f"{photo.id}.png", label)
