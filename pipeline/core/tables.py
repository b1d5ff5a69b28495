"""Read texts and tables, also those that a person wrote."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core import files
from pipeline.core.errors import MissingFileError, UserError, at_lines

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
SAVE_AGAIN = "save the file again as UTF-8"
MAX_BYTES = 2 << 30  # of a text; COCO's largest file of annotations has half a GB


@dataclass(frozen=True)
class Table:
    """The rows below a table's first line, as text without blanks at either end.

    `lines[i]` is the line of the file on which `rows[i]` starts. `repairs` counts what the reader
    corrected, by its kind.
    """

    rows: list[dict[str, str]]
    lines: list[int]
    repairs: Counter[str]


def read_text(path: Path, *, hint: str = "") -> str:
    """Read a text in UTF-8, with or without a byte order mark.

    Args:
        path: the file.
        hint: what an error says if the file is missing.

    Raises:
        UserError: the file is missing, cannot be read, is not UTF-8, or has more than MAX_BYTES.
    """
    try:
        files.check(path, max_bytes=MAX_BYTES)
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as e:
        raise MissingFileError(path, hint) from e
    except UnicodeDecodeError as e:
        line = e.object[: e.start].count(b"\n") + 1
        raise UserError(f"{path}: is not UTF-8 (line {line}); {SAVE_AGAIN}") from e
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror}); it must be a text file") from e


def read(path: Path, *, columns: Sequence[str], sep: str | None = None) -> Table:
    """Read a table whose first line names at least `columns`. Blank lines are skipped.

    Args:
        path: the file.
        columns: the columns that it needs.
        sep: the separator of its fields. None: a comma, a semicolon or a tab, as the first line
            has it.

    Raises:
        UserError: the file cannot be read, a column is missing or repeated, a line has too few or
            too many fields, a quote is not closed, or there is a NUL character.
    """
    text = read_text(path, hint=f"it needs the columns {','.join(columns)}")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UserError(f"{path}: line {line}: contains a NUL character; {SAVE_AGAIN}")
    repairs = Counter[str]()
    if not sep:
        sep = _separator(text, columns)
        repairs[f"tables separated by {SEPARATORS[sep]}"] = int(sep != ",")
    records = _records(path, text, sep, repairs)
    _, first = next(records, (1, [""]))
    header = _header(path, first, columns)
    body = list(records)
    _check_lengths(path, body, len(header), sep)
    rows = [_row(header, fields, repairs) for _, fields in body]
    return Table(rows, [line for line, _ in body], +repairs)


def _separator(text: str, columns: Sequence[str]) -> str:
    """Return the separator with which the first line names all `columns`; a comma if none does."""
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    names = {sep: {name.strip(' "') for name in first.split(sep)} for sep in SEPARATORS}
    return next((sep for sep in SEPARATORS if names[sep].issuperset(columns)), ",")


def _records(
    path: Path, text: str, sep: str, repairs: Counter[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each record starts, and its fields. Blank records are skipped."""
    reader = csv.reader(io.StringIO(text), delimiter=sep, strict=True, skipinitialspace=True)
    line = 1
    try:
        for fields in reader:
            if any(map(str.strip, fields)):
                yield line, fields
            else:
                repairs["blank lines skipped"] += 1
            line = reader.line_num + 1
    except csv.Error as e:
        fix = "close each quote, and write a quote inside a quoted field twice"
        if "limit" in str(e):
            fix = "shorten the field, or close its quote"
        raise UserError(f"{path}: line {line}: cannot be read ({e}); {fix}") from e


def _header(path: Path, first: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the names in the first line, without unnamed columns at its end."""
    header = [name.strip() for name in first]
    while header and not header[-1]:
        header.pop()
    if missing := [c for c in columns if c not in header]:
        got = ",".join(first)[:60]
        raise UserError(
            f"{path}: column '{missing[0]}' is missing from the first line; write "
            f"{','.join(columns)} there (got {got!r})"
        )
    if double := [name for name in header if name and header.count(name) > 1]:
        raise UserError(f"{path}: the first line names column '{double[0]}' twice; remove one")
    return header


def _check_lengths(
    path: Path, records: Sequence[tuple[int, list[str]]], columns: int, sep: str
) -> None:
    """Check that each record has a field for each column, and that further fields are empty."""
    if short := [line for line, fields in records if len(fields) < columns]:
        fix = f"write {columns} fields, one for each column of the first line"
        raise UserError(f"{path}: {at_lines(short)}: too few fields; {fix}")
    if long := [line for line, fields in records if any(map(str.strip, fields[columns:]))]:
        fix = f"put quotes around a field that contains {SEPARATORS[sep]}"
        raise UserError(f"{path}: {at_lines(long)}: too many fields; {fix}")


def _row(header: Sequence[str], fields: Sequence[str], repairs: Counter[str]) -> dict[str, str]:
    """Return the value of each named column, and count those that had blanks at an end."""
    values = [field.strip() for field in fields]
    repairs["blanks around values removed"] += sum(map(str.__ne__, fields, values))
    return {name: value for name, value in zip(header, values, strict=False) if name}
