"""Bring masks back from an annotation tool, as corrections of the last run's guide labels."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.exports.source import BACKGROUND, RUN, VOID_NAME
from app.imports import coco, cvat, label_studio, voc
from app.imports.drawn import Drawn, Names
from app.tag_sources.matching import Matcher, without_suffix
from app.tag_sources.tagged import tag_of
from pipeline.core import formats, runtime
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import MissingFileError, UserError, listing, unwritable
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample, read_samples

READERS: dict[str, Callable[[Path], list[Drawn]]] = {
    "coco": coco.read,
    "cvat": cvat.read,
    "labelstudio": label_studio.read,
    "voc": voc.read,
}
OTHER = "no image of this project has this name"
EMPTY = "nothing is drawn there; --keep-empty makes it background"
BLACK_AND_WHITE = "only background and void, which the chain would read as the image's only tag"


@dataclass(frozen=True)
class Imported:
    """What an import wrote.

    `count` masks, of which `replaced` replaced a file, and `with_void` hold void: where two classes
    overlap, two annotators disagree, or the label void is drawn. `left_out` has the names of images
    by reason.
    """

    count: int
    replaced: int
    with_void: int
    left_out: dict[str, list[str]]


def import_masks(
    source: Path, output: Path, *, name: str, layout: Layout, keep_empty: bool = False
) -> Imported:
    """Write ID.png for each image of the project on which something is drawn, all or nothing.

    Args:
        source: the file or folder that the tool exported.
        output: the folder for the masks; it may hold others.
        name: one of READERS.
        layout: the project's paths. Its images and classes are those of the last run.
        keep_empty: an image on which nothing is drawn is background. By default, it is left out:
            perhaps nobody has looked at it.

    Raises:
        UserError: the format is not known, a file is damaged, a label is not a class of the
            project, a mask differs in size from its image, or no mask is left.
    """
    if name not in READERS:
        raise UserError(f"no format '{name}'; choose one of {', '.join(READERS)}")
    if not layout.samples.is_file():
        raise MissingFileError(layout.samples, RUN)
    samples = read_samples(layout.samples)
    names = _names(source, formats.read_json(layout.classes))
    drawn, labels, left_out = READERS[name](source), dict[str, bool](), dict[str, list[str]]()
    matched = zip(drawn, _match(drawn, samples), strict=True)
    with _beside(output) as folder:
        for image, sample in runtime.track(matched, total=len(drawn), title="import"):
            label_HW = _draw(image, sample, source=source, names=names) if sample else None
            if reason := _fault(label_HW, keep_empty=keep_empty):
                left_out.setdefault(reason, []).append(image.image)
            elif sample and label_HW is not None:
                formats.write_label(folder / f"{sample.id}.png", label_HW)
                labels[sample.id] = bool((label_HW == VOID).any())
        if not labels:
            reasons = "; ".join(f"{reason}: {listing(v)}" for reason, v in left_out.items())
            raise UserError(f"{source}: gives no mask ({reasons or 'it lists no image'})")
        return Imported(len(labels), _move(folder, output, labels), sum(labels.values()), left_out)


def _names(source: Path, classes: Sequence[str]) -> Names:
    """Return the index of each label's name. A name of two words counts as its tag does."""
    of_classes = {tag_of(name): i for i, name in enumerate(classes, 1)}
    known = {BACKGROUND: 0, VOID_NAME: VOID, **of_classes}

    def index(name: str) -> int:
        if (tag := tag_of(name)) not in known:
            raise UserError(
                f"{source}: the label '{name}' is not a class of this project; rename it "
                f"in the tool to one of {listing(classes)}, or to {VOID_NAME}"
            )
        return known[tag]

    return index


def _match(drawn: Sequence[Drawn], samples: Sequence[Sample]) -> list[Sample | None]:
    """Find the image of the project that each image of the file is."""
    by_path = {f"{s.id}{s.image.suffix.lower()}": s for s in samples}
    matcher = Matcher(by_path)
    found = (matcher.find(d.image) or matcher.find(without_suffix(d.image)) for d in drawn)
    return [by_path[path] if path else None for path in found]


def _draw(image: Drawn, sample: Sample, *, source: Path, names: Names) -> UInt8:
    size = sample.height_px, sample.width_px
    if image.size not in (None, size):
        raise _wrong_size(source, image, sample, image.size or size)
    try:
        label_HW = image.draw(names, size)
    except (ValueError, KeyError, IndexError, TypeError) as e:
        raise UserError(
            f"{source}: the mask of {image.image} cannot be read ({e}); mend it in the tool, and "
            "export again"
        ) from e
    if label_HW.shape != size:
        raise _wrong_size(source, image, sample, label_HW.shape)
    return label_HW


def _wrong_size(source: Path, image: Drawn, sample: Sample, size: tuple[int, ...]) -> UserError:
    return UserError(
        f"{source}: the mask of {image.image} has {size[1]} x {size[0]} px, but {sample.image} has "
        f"{sample.width_px} x {sample.height_px}; correct the image that `export masks` wrote"
    )


def _fault(label_HW: UInt8 | None, *, keep_empty: bool) -> str:
    """Return why an image is left out; "" if its mask counts."""
    if label_HW is None:
        return OTHER
    if not label_HW.any():
        return "" if keep_empty else EMPTY
    return BLACK_AND_WHITE if np.array_equal(np.unique(label_HW), (0, VOID)) else ""


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """Yield a temporary folder on the disk of `output`."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as name:
            yield Path(name)
    except OSError as e:
        raise unwritable(output, e) from e


def _move(folder: Path, output: Path, ids: Iterable[str]) -> int:
    """Move the masks to their place, and return how many files they replaced."""
    replaced = 0
    for target in (output / f"{key}.png" for key in ids):
        replaced += target.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(folder / target.relative_to(output), target)
    return replaced
