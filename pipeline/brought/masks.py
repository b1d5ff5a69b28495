"""Find and read the masks that the user brings. They follow the rules of the truth's masks."""

from collections.abc import Collection, Sequence
from pathlib import Path

from pipeline.core import formats
from pipeline.core.arrays import UInt8
from pipeline.core.errors import MissingFileError, UserError, listing
from pipeline.core.samples import Sample
from pipeline.dataset import checks, masks
from pipeline.dataset.entries import Entry
from pipeline.dataset.names import matched

PARAMS = {"brought": "brought.path", "corrected": "brought.corrections"}  # by supervision


def find(folder: Path, ids: Collection[str], *, supervision: str) -> tuple[dict[str, Path], int]:
    """Map the id of each image that has a mask FOLDER/ID.png to the mask. This opens no file.

    Args:
        folder: the folder of the masks.
        ids: the ids of all images.
        supervision: which supervision needs the masks; errors name its param.

    Returns:
        The masks by id, and the number of other files in the folder.

    Raises:
        UserError: there is no such folder, a name is not UTF-8, or no file is the mask of an image.
    """
    param = PARAMS[supervision]
    fix = f"correct {param}, or remove {supervision} from segment.supervision"
    if not folder.is_dir():
        raise MissingFileError(folder, f"put masks ID.png there, {fix}")
    files, pngs = masks.list_data(folder), masks.by_id(folder)
    found = {key: pngs[matched(key)] for key in ids if matched(key) in pngs}
    if not found:
        such = f", such as {files[0].name}," if files else ""
        raise UserError(
            f"{folder}: none of its {len(files)} files{such} is the mask of an image; save each "
            f"mask as ID.png, such as {min(ids, default='a')}.png, {fix}"
        )
    return found, len({*files} - {*found.values()})


def read(sample: Sample, mask: Path, classes: Sequence[str]) -> tuple[UInt8, tuple[str, ...]]:
    """Read a mask as a label (H, W) in indices of the class list, and say what is odd about it.

    Raises:
        UserError: it cannot be decoded, holds no indices, is not the size of its image, or holds an
            index without a class; or it has only 0 and 255, and its image has several tags.
    """
    mask_HW = formats.read_label(mask)
    entry = as_entry(sample, mask, classes)
    checks.check_size(entry, mask_HW.shape, (sample.height_px, sample.width_px))
    values = masks.values_of(mask_HW)
    table = masks.index_table(entry, classes, values)
    return table[mask_HW], masks.notes(entry, classes, values, table)


def as_entry(sample: Sample, mask: Path, classes: Sequence[str]) -> Entry:
    """Describe a sample and a mask as a data source describes an image and its mask."""
    return Entry(sample.id, sample.image, sample.split, sample.tags, mask, tuple(classes))


def raise_refused(folder: Path, errors: Sequence[str], *, total: int) -> None:
    """Raise one error that lists all refused masks, if there are any."""
    if errors:
        raise UserError(
            f"{folder}: {len(errors)} of {total} masks are refused: {listing(errors)}"
            if len(errors) > 1
            else errors[0]
        )
