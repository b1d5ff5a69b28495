"""What doctor sees in image files. It keeps this, so that a call on unchanged files is quick."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.core import decoding, formats, runtime, shards
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.dataset import checks, masks

IMAGE, MASK, MAP = "images", "masks", "maps"  # the kinds of files
# `error`: why the file is refused. Else `size`: [height, width] in px; of an image also `notes`, of
# a mask the `values` that it holds.
Finding = dict[str, Any]


def collect(layout: Layout, kind: str, paths: Sequence[Path]) -> list[Finding]:
    """Look at each file, or take what an earlier call saw in it. An interrupted call resumes.

    A file is looked at again if its size or time has changed, and every file if the code has.
    """
    made_by = _code_key()
    kept = _read(layout.findings, made_by)
    now = {path: _identity(path) for path in paths}
    changed = [p for p in paths if kept.get(_key(kind, p), {}).get("identity") != now[p]]
    looks = runtime.pool_map(_look, [(kind, path) for path in changed], title=kind)
    try:
        for path, finding in zip(changed, looks, strict=True):
            kept[_key(kind, path)] = {"identity": now[path], **finding}
    finally:
        if changed:
            formats.write_json(layout.findings, {"made_by": made_by, "files": kept})
    return [kept[_key(kind, path)] for path in paths]


def _key(kind: str, path: Path) -> str:
    return f"{kind} {path}"


def _identity(path: Path) -> list[int | str] | str:
    """Return what changes when a file does: its size and time."""
    try:
        return shards.state(path)
    except OSError as e:  # a broken link
        return str(e)


def _look(job: tuple[str, Path]) -> Finding:
    """Read the header of an image or a saliency map, or the values of a mask."""
    kind, path = job
    try:
        if kind == MASK:
            mask = formats.read_label(path)
            return {"size": list(mask.shape), "values": masks.values_of(mask)}
        header = decoding.read_header(path)
        notes = checks.image_notes(path) if kind == IMAGE else ()
    except UserError as e:
        return {"error": str(e)}
    return {"size": [header.height_px, header.width_px], "notes": list(notes)}


def _code_key() -> str:
    """Hash what decides whether a file is accepted."""
    files = [Path(str(module.__file__)) for module in (decoding, formats, checks, masks)]
    return f"{formats.digest(*files, Path(__file__))} {decoding.max_megapixels()}"


def _read(path: Path, made_by: str) -> dict[str, Finding]:
    """Read the findings of earlier calls; none if the file is damaged or other code made it."""
    try:
        record = formats.read_json(path)
        return dict(record["files"]) if record["made_by"] == made_by else {}
    except (UserError, TypeError, KeyError, ValueError):
        return {}
