"""Lay out a table: our values, the published ones, and the differences, as texts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from app import tables

Column = tuple[str, dict[str, str]]  # the header; row or method -> text
Intervals = Mapping[tuple[str, str], tables.Value]  # (row, title) -> value with a paired interval
NONE: Intervals = MappingProxyType({})


def on_voc2012(params: dict[str, Any]) -> bool:
    """Whether the scores are on all classes and the whole val list of VOC 2012."""
    data = params["data"]
    if data["source"] != "voc" or data["classes"]:
        return False
    return data["options"]["voc"]["val_list"] == "val"


def lines(
    table: tables.Table,
    records: tables.Records,
    *,
    same_data: bool,
    differences: Intervals = NONE,
    shares: Intervals = NONE,
) -> list[list[str]]:
    """Return the header and the rows as texts.

    The last column is the command that runs the row. It names the random seeds that the row's
    values come from. If the row has no values, it names none, and so runs all seeds.

    Args:
        table: The table.
        records: The cells of each row.
        same_data: Whether our scores are on the data of the published values. Only then is the
            difference to them shown.
        differences: The difference to the reference row, by row and title.
        shares: The values of the "share of ROW" columns with their intervals, by row and title.
    """
    columns = [
        column
        for title in table.columns
        for column in (
            _our_column(table, records, title, shares),
            *_published_columns(table, records, title, same_data=same_data),
            *_reference_column(table, title, differences),
        )
    ]
    out = [["row", *(head for head, _ in columns), "command"]]
    for row, label in table.rows.items():
        seeds = "".join(f" --seed {cell['random_seed']}" for cell in records.get(row, ()))
        command = f"python cli.py table {table.name} --row {row}{seeds}"
        out.append([label, *(texts.get(row, "") for _, texts in columns), command])
    for method in table.others:
        out.append([method, *(texts.get(method, "") for _, texts in columns), ""])
    return out


def _our_column(
    table: tables.Table, records: tables.Records, title: str, shares: Intervals
) -> Column:
    texts = {}
    for row in table.rows:
        ours = shares.get((row, title)) or _ours(table, records, row, title)
        ran = records.get(row) and not table.columns[title].startswith(tables.SHARE)
        texts[row] = ours.text() if ours else "none" if ran else "missing"
    return title, texts


def _published_columns(
    table: tables.Table, records: tables.Records, title: str, *, same_data: bool
) -> list[Column]:
    """Return the published values, and our difference to them where the data are the same."""
    methods = {**table.paper, **table.others}
    each = {method: _published(table, values, title) for method, values in methods.items()}
    published = {method: value for method, value in each.items() if value is not None}
    ours = {row: _ours(table, records, row, title) for row in table.rows if row in published}
    columns = []
    if published:
        head = f"{title}: paper, {table.published_on}"
        columns.append((head, {method: f"{value:.1f}" for method, value in published.items()}))
    if ours and same_data and table.published_on == "VOC 2012":
        apart = {row: f"{v.mean - published[row]:+.1f}" for row, v in ours.items() if v}
        columns.append((f"{title}: difference to the paper", apart))
    return columns


def _published(table: tables.Table, values: Mapping[str, float], title: str) -> float | None:
    """Return a method's published value; a share is computed from the published mIoU."""
    if not table.columns[title].startswith(tables.SHARE):
        return values.get(title)
    before, whole = tables.share_of(table, title)
    mine, bound = values.get(before), table.paper.get(whole, {}).get(before)
    return None if mine is None or bound is None else 100 * mine / bound


def _reference_column(table: tables.Table, title: str, differences: Intervals) -> list[Column]:
    texts = {row: value.text("+") for (row, name), value in differences.items() if name == title}
    reference = table.rows.get(table.reference, "")
    return [(f"{title}: difference to {reference}, paired 95 %", texts)] if texts else []


def _ours(
    table: tables.Table, records: tables.Records, row: str, title: str
) -> tables.Value | None:
    path = table.columns[title]
    if not path.startswith(tables.SHARE):
        return tables.value(records.get(row, ()), path)
    before, whole = tables.share_of(table, title)
    mine, bound = (_ours(table, records, r, before) for r in (row, whole))
    return tables.Value(100 * mine.mean / bound.mean) if mine and bound else None
