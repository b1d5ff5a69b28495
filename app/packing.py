"""Pack tagged photographs, of a folder or a list, into tars in the layout of WebDataset."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app import addresses
from app.exports.files import new_folder
from app.photographs import Gathered, Photograph, gather
from pipeline.core import formats, runtime, shards, tars
from pipeline.core.errors import UserError
from pipeline.dataset import masks
from pipeline.dataset.names import matched
from pipeline.dataset.packed import MASK, TAGS

COPIES = "copies of another image"
BAD_MASKS = "masks that cannot be read, or whose size is not that of their image"


@dataclass(frozen=True)
class Packed:
    """What `pack` wrote, and what it left out. `unread`: a line for each bad entry of the list."""

    folder: Path
    gathered: Gathered
    tars: int
    masks: int
    unread: list[str]


def pack(
    images: Path,
    folder: Path,
    *,
    tags: Path | None = None,
    tags_from: str | None = None,
    masks_from: Path | None = None,
    per_shard: int = 1000,
) -> Packed:
    """Write photographs, their tags and their masks into tars, all of them or none.

    Args:
        images: the folder of photographs, or a list of their paths and addresses (`addresses`).
        folder: where the tars go; empty, or not there yet.
        tags: the file with their tags; None: each one's folder is its tag. A list needs the file.
        tags_from: one of `readers.KINDS`; None: detect it.
        masks_from: a folder of masks ID.png.
        per_shard: how many photographs a tar holds at most.

    Raises:
        UserError: the photographs or the tags cannot be used, or the folder cannot be written.
    """
    is_list = images == addresses.STDIN or images.is_file()
    if is_list and tags is None:
        raise UserError(f"{images}: is a list, so its tags are in a file; add --tags FILE")
    with new_folder(folder) as work:
        collected = work.with_name(f"{work.name}.images") if is_list else images
        unread = addresses.collect(images, collected) if is_list else []
        gathered = _without_copies(_gather(images, collected, tags, tags_from))
        usable = _masks(gathered, masks_from)
        photographs = sorted(gathered.photographs, key=lambda photograph: photograph.id)
        groups = shards.divided(photographs, per_shard)
        for number, group in enumerate(runtime.track(groups, total=len(groups), title="tars")):
            tars.write(work / shards.TAR.format(number), _files(group, usable))
    return Packed(folder, gathered, len(groups), len(usable), unread)


def _gather(source: Path, folder: Path, tags: Path | None, kind: str | None) -> Gathered:
    """Gather the photographs of `folder`. An error names `source` in its place."""
    try:
        return gather(folder, tags=tags, kind=kind)
    except UserError as e:
        raise UserError(*(str(line).replace(str(folder), str(source)) for line in e.args)) from e


def _without_copies(gathered: Gathered) -> Gathered:
    """Leave out each photograph whose bytes are those of an earlier one."""
    first, kept, copies = dict[str, str](), list[Photograph](), list[str]()
    digests = runtime.pool_map(_digest, [p.path for p in gathered.photographs], title="copies")
    for photograph, digest in zip(gathered.photographs, digests, strict=True):
        if (other := first.setdefault(digest, photograph.id)) == photograph.id:
            kept.append(photograph)
        else:
            copies.append(f"{photograph.id} (of {other})")
    if not copies:
        return gathered
    return replace(gathered, photographs=kept, left_out={**gathered.left_out, COPIES: copies})


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _masks(gathered: Gathered, folder: Path | None) -> dict[str, Path]:
    """Return the mask of each photograph that has a good one. Add the bad ones to `left_out`."""
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; give the folder of masks as --masks")
    by_id, usable = masks.by_id(folder), dict[str, Path]()
    pairs = [(p, by_id[matched(p.id)]) for p in gathered.photographs if matched(p.id) in by_id]
    faults = runtime.pool_map(_fault_of_mask, pairs, title="masks")
    for (photograph, path), fault in zip(pairs, faults, strict=True):
        if fault:
            gathered.left_out.setdefault(BAD_MASKS, []).append(fault)
        else:
            usable[photograph.id] = path
    return usable


def _fault_of_mask(pair: tuple[Photograph, Path]) -> str:
    photograph, path = pair
    try:
        height, width = formats.read_label(path).shape
    except UserError as e:
        return str(e)
    same = (height, width) == (photograph.height_px, photograph.width_px)
    return "" if same else f"{path} ({width}x{height} px)"


def _files(
    photographs: Sequence[Photograph], usable: Mapping[str, Path]
) -> Iterator[tuple[str, Path | bytes]]:
    """Yield the name and the content of each file of a tar."""
    for photograph in photographs:
        stem = tars.member(f"{photograph.id}.")
        note: dict[str, object] = {"tags": list(photograph.tags)}
        if photograph.split:
            note["split"] = photograph.split
        yield f"{stem}{photograph.path.suffix.lower()[1:]}", photograph.path
        yield f"{stem}{TAGS}", (json.dumps(note, ensure_ascii=False) + "\n").encode()
        if photograph.id in usable:
            yield f"{stem}{MASK}", usable[photograph.id]
