"""Read photographs from tars in the layout of WebDataset.

ID.jpg (or another suffix of photographs) is the image, ID.mask.png its mask, and ID.json has its
tags. `tars` says what an id is. The tars lie in a folder, or at an address that fsspec opens.
"""

import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core import remote, tars
from pipeline.core.errors import UserError, listing
from pipeline.core.formats import SUFFIXES
from pipeline.dataset.config import Data, ShardsData
from pipeline.dataset.entries import Entry, Read
from pipeline.dataset.folder import check_train, val_ids
from pipeline.dataset.names import fault_of, nearest, words
from pipeline.dataset.tag_table import SPLITS, Row, read_tags

MASK, TAGS = "mask.png", "json"


@dataclass(frozen=True)
class Member:
    """A file of a tar. `kind` is its suffix in lower case."""

    tar: Path
    name: str
    id: str
    kind: str

    @property
    def path(self) -> Path:
        """The path by which `shards.open_file` finds the file."""
        return self.tar / self.name


def read_packed(data: Data) -> Read:
    """Match the images, masks and tags of all tars.

    If data.tags is a folder, ID.json holds the tags of each image: an object with `tags`, a list or
    a text, and optionally `split`. Otherwise data.tags is a tags.csv with the columns id, tags and
    optionally split. Index i + 1 of a mask is class i of the class list. Without data.classes, the
    class list is all tags in alphabetical order.

    Raises:
        UserError: there is no tar, a tar is damaged, an id has two images, the tags of an image are
            wrong, or a line of tags.csv has no image.
    """
    images, masks, notes, others = _sorted_out(_members(data))
    if from_json := data.tags.is_dir():
        rows = _noted([note for key, note in notes.items() if key in images])
        repairs = dict[str, int]()
    else:
        rows, repairs = _listed(data, images)
    classes = _classes(data, rows)
    val = val_ids([row.id for row in rows], _options(data).val_fraction)
    entries = [
        Entry(r.id, images[r.id].path, r.split or ("val" if r.id in val else "train"), r.tags,
              masks[r.id].path if r.id in masks else None, classes)
        for r in rows
    ]  # fmt: skip
    check_train(data, rows, entries)
    left_out = {
        "images without tags": len(images) - len(rows),
        "masks without an image": len(masks.keys() - images.keys()),
        "tags without an image": len(notes.keys() - images.keys()) if from_json else 0,
        "other files in the tars": others,
    }
    return Read(entries, classes, left_out, repairs)


def _options(data: Data) -> ShardsData:
    options = data.option()
    assert isinstance(options, ShardsData)
    return options


def _listed(data: Data, images: Collection[str]) -> tuple[list[Row], dict[str, int]]:
    """Read tags.csv, and what was corrected there.

    Raises:
        UserError: the table is wrong, or a line has no image.
    """
    rows, repairs = read_tags(data.tags, id_column="id")
    if missing := [row.name for row in rows if row.id not in images]:
        raise UserError(
            f"{data.tags}: no image in the tars of {_home(data)} for id {listing(missing)}; "
            "correct or remove the line"
        )
    return rows, dict(repairs)


def _members(data: Data) -> Iterator[Member]:
    """Yield the files of all tars, without hidden ones.

    Raises:
        UserError: there is no tar, or one is damaged.
    """
    paths, pattern = _paths(data), _options(data).tars
    if not paths and _is_address(data):
        raise UserError(f"{_home(data)}: no tar there; correct data.options.shards.tars")
    if not paths:
        raise UserError(
            f"{data.root}: holds no tar that fits {pattern!r}; correct data.root or "
            "data.options.shards.tars"
        )
    for tar in paths:
        for name in tars.index(tar):
            key, kind = tars.parts(name)
            if key.rpartition("/")[2]:
                yield Member(tar, name, key, kind.lower())


def _is_address(data: Data) -> bool:
    return remote.MARK in _options(data).tars


def _home(data: Data) -> str:
    """Return where the tars are, for a message."""
    return remote.shown(_options(data).tars) if _is_address(data) else str(data.root)


def _paths(data: Data) -> list[Path]:
    """Return the paths of the tars. An address without a pattern is that of a folder.

    Raises:
        UserError: the pattern is wrong, or the address cannot be reached.
    """
    pattern = _options(data).tars
    if _is_address(data):
        every = "" if pattern.endswith(tars.SUFFIX) else f"/*{tars.SUFFIX}"
        return remote.found(pattern.rstrip("/") + every)
    try:
        return sorted(path for path in data.root.glob(pattern) if path.suffix == tars.SUFFIX)
    except (ValueError, NotImplementedError) as e:
        raise UserError(
            f"params.yaml: data.options.shards.tars: {pattern!r} is no pattern below a folder; "
            "write one such as '*.tar'"
        ) from e


ById = dict[str, Member]


def _sorted_out(members: Iterator[Member]) -> tuple[ById, ById, ById, int]:
    """Return images, masks and tags by id, and the number of other files.

    Raises:
        UserError: an id has two files of one kind.
    """
    images, masks, notes, others = ById(), ById(), ById(), 0
    double: list[str] = []
    for member in members:
        if f".{member.kind}" in SUFFIXES:
            home = images
        elif member.kind in (MASK, TAGS):
            home = masks if member.kind == MASK else notes
        else:
            others += 1
            continue
        if (first := home.setdefault(member.id, member)) is not member:
            double.append(f"{member.id!r} ({first.path} and {member.path})")
    if double:
        raise UserError(f"duplicate id {listing(double)}; remove one of each pair")
    return images, masks, notes, others


def _noted(notes: Sequence[Member]) -> list[Row]:
    """Read the tags of images, those in one tar together.

    Raises:
        UserError: the tags of an image are not as they should be.
    """
    rows = []
    for tar, group in itertools.groupby(notes, key=lambda note: note.tar):
        members = list(group)
        contents = tars.read_all(tar, [note.name for note in members])
        rows += [_row(*pair) for pair in zip(members, contents, strict=True)]
    return rows


def _row(note: Member, content: bytes) -> Row:
    """Read the tags of one image.

    Raises:
        UserError: they are not as they should be.
    """
    try:
        value = json.loads(content)
        tags, split = _tags_of(value), value.get("split") or ""
    except (ValueError, RecursionError) as e:
        raise UserError(
            f'{note.path}: holds no tags ({e}); write {{"tags": ["cat"]}}, and pack again'
        ) from e
    if split not in ("", *SPLITS):
        raise UserError(f"{note.path}: split {split!r}: must be train or val")
    return Row(note.id, 1, tags, split)


def _tags_of(content: Any) -> tuple[str, ...]:
    """Return the tags in a JSON value, each once.

    Raises:
        ValueError: it has none.
    """
    tags = content.get("tags") if isinstance(content, Mapping) else None
    tags = words(tags) if isinstance(tags, str) else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("tags must be a list of names")
    return tuple(dict.fromkeys(tags))


def _classes(data: Data, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return data.classes, or all tags if it is empty.

    Raises:
        UserError: a tag is not in data.classes, or cannot be the name of a class.
    """
    first = {tag: row.id for row in reversed(rows) for tag in row.tags}
    if not data.classes:
        if fault := fault_of({tag: f"{tag!r} (of {key})" for tag, key in sorted(first.items())}):
            raise UserError(f"{data.tags}: {fault}")
        return tuple(sorted(first))
    if unknown := sorted(first.keys() - set(data.classes)):
        hints = [nearest(tag, data.classes) for tag in unknown]
        named = [
            f"{tag!r} (of {first[tag]}{'; ' * bool(hint)}{hint})"
            for tag, hint in zip(unknown, hints, strict=True)
        ]
        raise UserError(
            f"{data.tags}: tag {listing(named)}: not in data.classes; correct the tag or add the "
            "class"
        )
    return data.classes
