"""Section `brought` of params.yaml: the folders of masks that the user brings."""

from pathlib import Path

from pipeline.core.config import Frozen


class Brought(Frozen):
    """Section `brought`. Both folders hold ID.png, with indices of the class list.

    Supervision `brought` learns from the masks in `path` alone. Supervision `corrected` learns from
    guide labels, and from the masks in `corrections` where there is one.
    """

    path: Path
    corrections: Path
