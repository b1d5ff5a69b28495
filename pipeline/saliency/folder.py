"""Saliency maps that the user gives: a folder with ID.png for each image."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.core import shards
from pipeline.core.errors import UserError, listing


def require_maps(root: Path, ids: Sequence[str]) -> None:
    """Check that there is a map for each id. This opens no map.

    Raises:
        UserError: some ids have no map.
    """
    if missing := [key for key in ids if not shards.exists(root / f"{key}.png")]:
        raise UserError(
            f"{root}: {len(missing)} of {len(ids)} images have no map ID.png: "
            f"{listing(missing)}; add the maps, or correct saliency.options.folder.root"
        )
