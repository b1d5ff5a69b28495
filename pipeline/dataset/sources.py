"""The data sources: each one is a function from params to entries.

`read` checks lists, tags and file names, but opens no image. `checks.check` opens the files.
"""

from collections import Counter
from collections.abc import Callable

from pipeline.core.errors import UserError, listing
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Read
from pipeline.dataset.folder import read_folder
from pipeline.dataset.names import MAX_ID_BYTES, id_fault, is_too_long
from pipeline.dataset.packed import read_packed
from pipeline.dataset.voc import read_voc

SOURCES: dict[str, Callable[[Data], Read]] = {
    "shapes": read_folder,
    "folder": read_folder,
    "voc": read_voc,
    "shards": read_packed,
}


def read(data: Data) -> Read:
    """Read the source that `data` names, and check its lists, tags and file names.

    This function opens no image.

    Raises:
        UserError: a tag without a class, a missing image, an id that is a duplicate, too long or
            no relative path, or an empty split.
    """
    dataset = SOURCES[data.source](data)
    duplicates = [key for key, n in Counter(e.id for e in dataset.entries).items() if n > 1]
    if duplicates:
        raise UserError(
            f"duplicate id {listing(list(map(repr, duplicates)))} in the image lists; list each "
            "image only once"
        )
    if bad := [f"{e.id!r} {fault}" for e in dataset.entries if (fault := id_fault(e.id))]:
        raise UserError(
            f"id {listing(bad)}; rename the file: its results get the same name in other folders"
        )
    if long := [str(e.image) for e in dataset.entries if is_too_long(e.id)]:
        raise UserError(
            f"file name too long: {listing(long)}; shorten it to {MAX_ID_BYTES} bytes, as the "
            "names of the results are longer"
        )
    splits = Counter(e.split for e in dataset.entries)
    for split in () if data.source in ("folder", "shards") else ("train", "val"):
        if not splits[split]:
            raise UserError(
                f"split '{split}' has no image with any of the classes {list(dataset.classes)}; "
                "check the image lists, the tags and data.classes"
            )
    return dataset
