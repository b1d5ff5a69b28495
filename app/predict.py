"""Apply a trained segmenter to any photographs: a label PNG and an overlay for each."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from app.nets import Net, load_net, logits_of
from app.segmenter import LABEL, OVERLAY, PROBABILITIES, Prediction, label_of
from app.sources import RECORD, Source, readable
from pipeline.core import formats, runtime
from pipeline.core.arrays import Float
from pipeline.core.errors import UserError, unwritable
from pipeline.inference.sizes import Photo

if TYPE_CHECKING:  # an exported model needs neither torch nor pydantic
    from pipeline.core.config import Infer
    from pipeline.crf.config import Crf

CHUNK = 8  # images that each process refines before the network continues


@dataclass(frozen=True)
class Options:
    """What to make of each image.

    Args:
        crf: the parameters of the CRF that refines the masks; None switches it off.
        tile_px: if above 0, images keep their size, and the network sees tiles of this side.
        probabilities: also write the probabilities of all classes.
    """

    crf: "Crf | None" = None
    tile_px: int = 0
    probabilities: bool = False

    @property
    def endings(self) -> tuple[str, ...]:
        """The ends of the names of an image's results. The last one is written last."""
        return (OVERLAY, *([PROBABILITIES] if self.probabilities else []), LABEL)


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

    def __add__(self, other: "Results") -> "Results":
        """Add up two calls."""
        return Results(
            self.count + other.count,
            self.kept + other.kept,
            self.classes or other.classes,
            self.skipped + other.skipped,
        )


class Predictor:
    """A segmenter that writes NAME.png (class indices, VOC palette) and NAME_overlay.jpg."""

    def __init__(
        self, model: Path, out: Path, options: Options, *, infer: "Infer | None" = None
    ) -> None:
        """Load the network.

        Args:
            model: the folder of a trained segmenter, or an exported model.
            out: the output folder.
            options: what to make.
            infer: size, scales and flip of a trained segmenter. An exported model has its own.

        Raises:
            UserError: there is no segmenter, or the model is damaged or of another kind; or the
                CRF's package is not installed.
        """
        if options.crf:
            from pipeline.crf import dense

            dense.field_type()
        self.net: Net = load_net(model, infer)
        self.out, self.options = out, options
        self.header = {"made_by": _made_by(model, options, infer), "classes": [*self.net.classes]}

    def segment(self, sources: Sequence[Source]) -> Results:
        """Segment photographs. Results that an earlier call made of the same file stay.

        A file is skipped if it cannot be decoded, or if another image has the same id.

        Raises:
            UserError: the output folder cannot be written, or holds the images, results of another
                network or other params, or files that predict did not make.
        """
        check_output([source.path for source in sources], self.out)
        if not sources:
            return Results(0, 0, self.net.classes, ())
        photos, skipped = readable(sources)
        options = self.options
        kept = begin(self.out, photos, self.header, options.endings) if photos else set()
        outputs = self._logits(photos, kept)
        count = max(1, min(runtime.workers(), len(photos) - len(kept)))
        with runtime.processes(count, initializer=_start_worker) as pool:
            # The network and the CRF take turns: at the same time they would compete for the cores.
            while chunk := list(islice(outputs, CHUNK * count)):
                jobs = [
                    (photo, logits, self.out, options, self.net.classes)
                    for photo, logits in chunk
                    if photo.id not in kept
                ]
                list(pool.map(_write, jobs))
        return Results(len(photos), len(kept), self.net.classes, tuple(skipped))

    def _logits(self, photos: Sequence[Photo], kept: set[str]) -> Iterator[tuple[Photo, Float]]:
        """Yield photographs with their logits: in batches where the network can, or one by one."""
        in_batches = getattr(self.net, "run", None)
        if in_batches and not self.options.tile_px:
            yield from in_batches(photos, done=kept)
            return
        todo = [photo for photo in photos if photo.id not in kept]
        for photo in runtime.track(todo, total=len(todo), title="predict"):
            image = formats.read_image(photo.image)
            yield photo, logits_of(self.net, image, tile_px=self.options.tile_px)


def _made_by(model: Path, options: Options, infer: "Infer | None") -> str:
    """Return what identifies the network and the params that decide a mask."""
    digest = formats.digest(model)
    tiles = [f"tile {options.tile_px}"] if options.tile_px else []
    if infer is None and options.crf is None:
        return " ".join([digest, *tiles])
    from pipeline.core.params import fingerprint

    return fingerprint(digest, *([infer] if infer else []), options.crf or "", *tiles)


def check_output(images: Sequence[Path], out: Path) -> None:
    """Check, before the network loads, that `out` can take the results of `images`.

    Raises:
        UserError: it holds one of the images, or no file can be written there.
    """
    try:
        for path in images:
            if path.parent.resolve() == out.resolve():
                raise UserError(f"{out}: holds {path.name}; choose another folder for the results")
        existing = next(p for p in (out, *out.absolute().parents) if p.exists())
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not shutil.disk_usage(existing).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as e:  # also from `exists`: the name is too long, or a folder cannot be read
        raise unwritable(out, e) from e
    except RuntimeError as e:  # before Python 3.13, `resolve` raises this for a link to itself
        raise UserError(f"{out}: is a link to itself; choose another folder") from e


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


def _write(job: tuple[Photo, Float, Path, Options, tuple[str, ...]]) -> None:
    photo, logits, out, options, classes = job
    image = formats.read_image(photo.image)
    prediction = Prediction(image, label_of(image, logits, options.crf), logits, classes)
    prediction.save(out / f"{photo.id}{LABEL}", with_probabilities=options.probabilities)
