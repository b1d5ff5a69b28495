"""The photographs of a new project: which of a folder can be used, with which tags."""

import filecmp
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.findings import Finding
from app.tag_sources import folders, readers
from app.tag_sources.matching import Matcher
from app.tag_sources.tagged import Tagged, TagList, tag_list
from pipeline.core import decoding, formats, runtime
from pipeline.core.errors import UserError
from pipeline.dataset import checks
from pipeline.dataset.image_files import id_of, list_files
from pipeline.dataset.names import (
    MAX_ID_BYTES,
    RESERVED,
    fault_of,
    id_fault,
    is_too_long,
    matched,
)

LEAST_PX = 64  # a JPEG is decoded at an eighth of its size, to see whether it is complete
NO_TAGS = "images without tags"
NO_IMAGE = "names in the tags that fit no image, or several"
SAME_ID = "images whose name differs from another one only in the suffix"
RESERVED_TAGS = f"tags that no class can have, such as {RESERVED[0]}"


@dataclass(frozen=True)
class Photograph:
    """A photograph that can be used. `path` is the original file."""

    id: str
    path: Path
    tags: tuple[str, ...]
    split: str
    height_px: int
    width_px: int


@dataclass(frozen=True)
class Gathered:
    """The photographs of a folder.

    `left_out` lists the files or names that cannot be used, by the reason. `counts` has further
    reasons and how often each holds. `notes` lists the ids of images that are odd but used.
    """

    photographs: list[Photograph]
    left_out: dict[str, list[str]]
    counts: dict[str, int]
    notes: dict[str, list[str]]


def gather(folder: Path, *, tags: Path | None = None, kind: str | None = None) -> Gathered:
    """Find the photographs of a folder, match them with their tags, and open each of them.

    Args:
        folder: holds the photographs, also in sub-folders.
        tags: the file with the tags; None: each photograph's folder is its tag.
        kind: one of `readers.KINDS`; None: detect it.

    Raises:
        UserError: the folder or the tags cannot be read, no photograph has a tag, or the tags
            cannot be classes.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: folder not found; give the folder of photographs as --images")
    files = [f for f in list_files(folder, formats.SUFFIXES) if not _is_hidden(f)]
    if not files:
        known = " ".join(formats.SUFFIXES)
        raise UserError(f"{folder}: holds no image with one of the suffixes {known}")
    left_out: defaultdict[str, list[str]] = defaultdict(list)
    usable = _named_well(files, left_out)
    kind = kind or (readers.detect(tags) if tags else readers.FOLDERS)
    rows, counts = _match(usable, _read_tags(folder, usable, tags, kind), left_out)
    tagged = {row.image for row in rows}
    if kind != readers.FOLDERS and (without := [file for file in usable if file not in tagged]):
        left_out[NO_TAGS] = without
    _check_classes(tags or folder, rows)
    photographs, notes = _open(folder, rows, left_out)
    if not any(photograph.tags for photograph in photographs):
        raise UserError(_no_tag(folder, tags, left_out))
    return Gathered(photographs, dict(left_out), counts, notes)


def _is_hidden(file: str) -> bool:
    """Whether a tool hides a file. macOS writes such files beside images on foreign disks."""
    return PurePosixPath(file).name.startswith(".")


def _named_well(files: Sequence[str], left_out: defaultdict[str, list[str]]) -> list[str]:
    """Return the files whose path can be an id, each id once."""
    of_id: dict[str, str] = {}
    for file in files:
        key = id_of(file)
        if fault := id_fault(key) or ("has a line end" if "\n" in key or "\r" in key else ""):
            left_out[f"images whose name {fault}"].append(file)
        elif is_too_long(key):
            left_out[f"images whose name is longer than {MAX_ID_BYTES} bytes"].append(file)
        elif matched(key) in of_id:
            left_out[SAME_ID].append(file)
        else:
            of_id[matched(key)] = file
    return list(of_id.values())


def _read_tags(folder: Path, files: Sequence[str], tags: Path | None, kind: str) -> TagList:
    if kind not in readers.KINDS:
        raise UserError(f"no reader '{kind}'; choose one of {', '.join(readers.KINDS)}")
    if kind != readers.FOLDERS and tags is None:
        raise UserError(f"--tags-from {kind} needs the file of tags; add --tags FILE")
    if kind == readers.FOLDERS:
        return folders.tags_of_folders(files, _copies(folder, files))
    assert tags is not None
    return readers.READERS[kind](tags)


def _copies(folder: Path, files: Iterable[str]) -> dict[str, str]:
    """Return the first file with the same name and content, for each file that has one."""
    alike: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for file in files:
        path = folder / file
        size = path.stat().st_size if path.exists() else 0  # a broken link
        alike[PurePosixPath(file).name, size].append(file)
    return {
        copy: first
        for (_, size), (first, *others) in alike.items()
        for copy in others
        if size and filecmp.cmp(folder / first, folder / copy, shallow=False)
    }


def _match(
    files: Sequence[str], tags: TagList, left_out: defaultdict[str, list[str]]
) -> tuple[list[Tagged], dict[str, int]]:
    """Return the tags of each file that has a row, and the counts of the reader."""
    matcher, rows, reserved = Matcher(files), list[Tagged](), 0
    for row in tags.rows:
        if not (file := matcher.find(row.image)):
            left_out[NO_IMAGE].append(row.image)
            continue
        kept = tuple(tag for tag in row.tags if tag.casefold() not in RESERVED)
        reserved += len(row.tags) - len(kept)
        rows.append(Tagged(file, kept, row.split))
    joined = tag_list(rows, tags.dropped)
    counts = dict(joined.dropped) | ({RESERVED_TAGS: reserved} if reserved else {})
    return joined.rows, counts


def _check_classes(source: Path, rows: Iterable[Tagged]) -> None:
    """Check that the tags can be the names of classes.

    Raises:
        UserError: they cannot.
    """
    first = {tag: row.image for row in rows for tag in row.tags}
    if fault := fault_of({tag: f"{tag!r} (of {first[tag]})" for tag in sorted(first)}):
        raise UserError(f"{source}: {fault}")


def _open(
    folder: Path, rows: Sequence[Tagged], left_out: defaultdict[str, list[str]]
) -> tuple[list[Photograph], dict[str, list[str]]]:
    """Open the file of each row. Return the photographs that can be read, and notes."""
    photographs, notes = list[Photograph](), list[tuple[str, tuple[str, ...]]]()
    findings = runtime.pool_map(_examine, [folder / row.image for row in rows], title="images")
    for row, finding in zip(rows, findings, strict=True):
        if error := finding.get("error"):
            reason = error.removeprefix(f"{folder / row.image}: ")
            left_out["images that cannot be read"].append(f"{row.image} ({reason})")
            continue
        key, path = id_of(row.image), folder / row.image
        photographs.append(Photograph(key, path, row.tags, row.split, *finding["size"]))
        notes.append((key, tuple(finding["notes"])))
    return photographs, checks.group(notes)


def _examine(path: Path) -> Finding:
    """Decode an image, a JPEG at a small size."""
    try:
        header = decoding.read_header(path)
        notes = checks.image_notes(path)
        formats.read_image(path, least_px=LEAST_PX)
    except UserError as e:
        return {"error": str(e)}
    return {"size": [header.height_px, header.width_px], "notes": list(notes)}


def _no_tag(folder: Path, tags: Path | None, left_out: Mapping[str, Sequence[str]]) -> str:
    """Return the error of a folder in which no image can be used."""
    if broken := left_out.get("images that cannot be read"):
        return f"{folder}: no image with tags can be read, such as {broken[0]}"
    if tags is None:
        return (
            f"{folder}: no image lies in the folder of a class, such as {folder}/dog; give the "
            "file of tags as --tags"
        )
    if names := left_out.get(NO_IMAGE):
        return (
            f"{tags}: no image of {folder} is called as in this file, such as {names[0]!r}; give "
            "the folder of these images as --images"
        )
    return f"{tags}: no image of {folder} has a tag; write them into the file"
