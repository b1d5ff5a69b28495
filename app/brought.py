"""Checks of the masks that the user brings, before a run."""

from collections.abc import Iterator
from pathlib import Path

from app import findings, inputs
from app.findings import MASK, Finding
from pipeline.brought import masks as brought
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.supervision import MASKS
from pipeline.dataset import checks, masks
from pipeline.dataset.entries import Entry
from pipeline.params import Params, load_params


def require(layout: Layout) -> str:
    """Check that the chosen supervisions have masks of train images. This opens no file.

    Raises:
        UserError: a folder is missing, or holds no mask of a train image.
    """
    params, said = load_params(layout.params), []
    for supervision, folder in _folders(params):
        if (content := inputs.read(layout, params)) is None:  # the ids are not known yet
            if not folder.is_dir():
                brought.find(folder, [], supervision=supervision)
            continue
        found, _ = brought.find(folder, [e.id for e in content.entries], supervision=supervision)
        train = [e.id in found for e in content.entries if e.split == "train"]
        if not any(train):
            raise UserError(
                f"{folder}: none of its {len(found)} masks is of a train image; add some, or "
                f"remove {supervision} from segment.supervision"
            )
        said.append(f"{supervision}: {sum(train)} of {len(train)} train images have a mask")
    return "; ".join(said) or "none needed"


def check(layout: Layout) -> str:
    """Read every mask that the chosen supervisions need, and compare it with its image.

    Raises:
        UserError: masks are missing, or some are refused.
    """
    said, params = require(layout), load_params(layout.params)
    content = inputs.read(layout, params)
    for supervision, folder in _folders(params) if content else ():
        assert content
        found, _ = brought.find(folder, [e.id for e in content.entries], supervision=supervision)
        entries = [
            _masked(e, found[e.id], content.classes) for e in content.entries if e.id in found
        ]
        brought.raise_refused(folder, list(_faults(layout, entries)), total=len(entries))
    return said


def _folders(params: Params) -> list[tuple[str, Path]]:
    """List the chosen supervisions by brought masks, and the folder of each."""
    folders = dict(zip(MASKS, (params.brought.path, params.brought.corrections), strict=True))
    return [(name, folders[name]) for name in params.segment.supervision if name in folders]


def _masked(entry: Entry, mask: Path, classes: tuple[str, ...]) -> Entry:
    return Entry(entry.id, entry.image, entry.split, entry.tags, mask, classes)


def _faults(layout: Layout, entries: list[Entry]) -> Iterator[str]:
    images = findings.collect(layout, findings.IMAGE, [e.image for e in entries])
    found = findings.collect(layout, MASK, [e.mask for e in entries if e.mask])
    for entry, image, mask in zip(entries, images, found, strict=True):
        try:
            _check_mask(entry, image, mask)
        except UserError as e:
            yield str(e)


def _check_mask(entry: Entry, image: Finding, mask: Finding) -> None:
    if "error" in mask:
        raise UserError(mask["error"])
    if "size" in image:
        checks.check_size(entry, mask["size"], image["size"])
    masks.index_table(entry, entry.mask_classes, mask["values"])
