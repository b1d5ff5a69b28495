"""Checks of the files that a run reads: images, masks and saliency maps."""

from collections.abc import Sequence

from app import findings
from app.findings import IMAGE, MAP, MASK, Finding
from pipeline.core.errors import MAX_NAMED, UserError, listing
from pipeline.core.layout import Layout
from pipeline.dataset import checks, masks, sources
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Entry, Read
from pipeline.params import Params, load_params
from pipeline.saliency import folder
from pipeline.saliency.config import SaliencyFolder

GENERATED = "the chain generates them"
INDENT = "\n" + " " * 15  # of the lines after the first one of a check


def are_generated(layout: Layout, data: Data) -> bool:
    """Whether the chain makes the files of the data set, or repairs them."""
    inside = data.tags.is_relative_to(data.root) or not data.root.exists()
    return data.root == layout.shapes and inside


def read(layout: Layout, params: Params) -> Read | None:
    """Read the entries of the data set; None if the chain generates it."""
    return None if are_generated(layout, params.data) else sources.read(params.data)


def check_images(layout: Layout) -> str:
    """Read the header of every image.

    Raises:
        UserError: some images are refused.
    """
    content = read(layout, load_params(layout.params))
    if content is None:
        return GENERATED
    found = findings.collect(layout, IMAGE, [entry.image for entry in content.entries])
    _raise_errors([f["error"] for f in found if "error" in f], total=len(found), kind=IMAGE)
    height, width = max((f["size"] for f in found), key=lambda size: size[0] * size[1])
    notes = checks.group(
        (e.id, tuple(f["notes"])) for e, f in zip(content.entries, found, strict=True)
    )
    return f"{len(found)} images, the largest has {width}x{height} px{_list_notes(notes)}"


def check_masks(layout: Layout) -> str:
    """Read every mask, and compare it with its image and the image's tags.

    Raises:
        UserError: some masks are refused.
    """
    content = read(layout, load_params(layout.params))
    if content is None:
        return GENERATED
    masked = [entry for entry in content.entries if entry.mask]
    if not masked:
        return "none, so the scores compare with tags alone"
    images = findings.collect(layout, IMAGE, [entry.image for entry in masked])
    found = findings.collect(layout, MASK, [entry.mask for entry in masked if entry.mask])
    errors, notes = [], []
    for entry, image, mask in zip(masked, images, found, strict=True):
        try:
            notes.append((entry.id, _mask_notes(entry, content.classes, image, mask)))
        except UserError as e:
            errors.append(str(e))
    _raise_errors(errors, total=len(masked), kind=MASK)
    return f"{len(masked)} masks{_list_notes(checks.group(notes))}"


def _mask_notes(
    entry: Entry, classes: Sequence[str], image: Finding, mask: Finding
) -> tuple[str, ...]:
    if "error" in mask:
        raise UserError(mask["error"])
    if "size" in image:
        checks.check_size(entry, mask["size"], image["size"])
    table = masks.index_table(entry, classes, mask["values"])
    return masks.notes(entry, classes, mask["values"], table)


def check_maps(layout: Layout) -> str:
    """Read the header of every saliency map that the user gives.

    Raises:
        UserError: a map is missing, or some maps are refused.
    """
    params = load_params(layout.params)
    require_maps(layout, params)
    option, content = params.saliency.option(), read(layout, params)
    if not isinstance(option, SaliencyFolder) or content is None:
        return f"made by the chain, source {params.saliency.source}"
    paths = [path for e in content.entries if (path := option.root / f"{e.id}.png").exists()]
    found = findings.collect(layout, MAP, paths)
    _raise_errors([f["error"] for f in found if "error" in f], total=len(found), kind=MAP)
    return f"{len(content.entries)} maps"


def require_maps(layout: Layout, params: Params) -> None:
    """Check that saliency.source folder has a map of every image. This opens no file.

    Raises:
        UserError: some images have no map.
    """
    option = params.saliency.option()
    if not isinstance(option, SaliencyFolder) or (content := read(layout, params)) is None:
        return
    folder.require_maps(option.root, [entry.id for entry in content.entries])


def require_masks(params: Params, entries: Sequence[Entry]) -> None:
    """Check that there are the masks that some params ask for. This opens no file.

    Raises:
        UserError: there are too few.
    """
    kinds = {params.saliency.source, *params.segment.supervision}
    without = [entry.id for entry in entries if not entry.mask]
    if "oracle" in kinds and without:
        raise UserError(
            f"{len(without)} of {len(entries)} images have no mask, and the oracle needs a mask of "
            f"every image: {listing(without)}; add the masks, choose another "
            "saliency.source, or remove oracle from segment.supervision"
        )
    if "full" in kinds and not any(e.mask for e in entries if e.split == "train"):
        raise UserError(
            "no train image has a mask; add masks, or remove full from segment.supervision"
        )


def _raise_errors(errors: Sequence[str], *, total: int, kind: str) -> None:
    """Raise the only error, or the number of errors and the first of them."""
    if len(errors) == 1:
        raise UserError(errors[0])
    if errors:
        named = errors[:MAX_NAMED]
        of_all = f"; the first {len(named)}" if len(errors) > len(named) else ""
        head = f"{len(errors)} of {total} {kind} are refused{of_all}:"
        raise UserError(head, *(INDENT[1:] + line for line in named))


def _list_notes(ids_by_note: dict[str, list[str]]) -> str:
    lines = [f"{n}: {len(ids)} ({listing(ids)})" for n, ids in ids_by_note.items()]
    return "".join(f"{INDENT}note: {line}" for line in lines)
