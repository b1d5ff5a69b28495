"""The sources of data: a source is a function from params to entries.

`read` checks what a source names without opening an image; `checks.check` opens the files.
"""

from collections import Counter
from collections.abc import Callable

from pipeline.core.errors import UserError
from pipeline.dataset.config import Data
from pipeline.dataset.entries import Read
from pipeline.dataset.folder import read_folder
from pipeline.dataset.voc import read_voc

SOURCES: dict[str, Callable[[Data], Read]] = {
    "shapes": read_folder,
    "folder": read_folder,
    "voc": read_voc,
}


def read(data: Data) -> Read:
    """What `data` names: lists, tags and file names are checked, no image is opened.

    Raises:
        UserError: a tag without a class, an image that is not there, a double id, an empty split.
    """
    found = SOURCES[data.source](data)
    double = [key for key, n in Counter(e.id for e in found.entries).items() if n > 1]
    if double:
        raise UserError(f"id '{double[0]}' stands twice in the lists; ids must be unique")
    splits = Counter(e.split for e in found.entries)
    for split in ("train",) if data.source == "folder" else ("train", "val"):
        if not splits[split]:
            raise UserError(
                f"split '{split}' holds no image with a class of {list(found.classes)}; "
                "check the list, the tags and data.classes"
            )
    return found
