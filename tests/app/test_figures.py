"""The figure of precision over recall, from records made by hand."""

import numpy as np
import pytest

from app import figures, tables
from pipeline.core import formats

SPEC = {
    "title": "seeders",
    "rows": {"low": "LowRes", "high": "HighRes", "failed": "ROI", "segmenter": "no seeds"},
    "columns": {"mAP, val": "classifier.val.mAP", "mP, val": "maps.val.mP"},
    "paper": {"high": {"mP, val": 80.7, "mAP, val": 99.0}},
}
# threshold, mIoU, foreground precision and recall, background precision and recall
LOW = [["0.00", "30", "10", "90", "100", "0"], ["0.50", "40", "30", "21", "90", "81"],
       ["0.99", "20", "50", "20", "60", "99"]]  # fmt: skip
HIGH = [["0.00", "30", "40", "95", "100", "5"], ["0.50", "50", "60", "50", "80", "80"],
        ["0.99", "20", "70", "30", "70", "90"]]  # fmt: skip


def cell(curve, seed=0):
    return {"scores": {}, "curve": curve, "random_seed": seed}


@pytest.fixture
def table():
    return tables.read("T10", SPEC)


@pytest.fixture
def records():
    return {"low": [cell(LOW), cell(HIGH, seed=1)], "high": [cell(HIGH)], "segmenter": [cell([])]}


def lines(axes):
    """(recall, precision, index of the dot) of every curve."""
    return [
        (*line.get_data(), line.get_markevery()) for line in axes.lines if len(line.get_xdata()) > 2
    ]


def test_points_are_where_the_records_say_and_dots_where_mp_reads(table, records):
    """LOW: foreground recall 21 > 20, background 81 > 80. HIGH: the last of each."""
    figure = figures.draw("title", figures.read_curves(table, records))
    foreground, background = map(lines, figure.axes)
    assert len(foreground) == len(background) == 3  # two random seeds of LowRes, one of HighRes
    for axes, recall, precision in ((foreground, 3, 2), (background, 5, 4)):
        for found, curve in zip(axes, (LOW, HIGH, HIGH), strict=True):
            expected = np.array(curve, float).T
            np.testing.assert_allclose(found[0], expected[recall])
            np.testing.assert_allclose(found[1], expected[precision])
    assert [dots for *_, dots in foreground] == [[1], [2], [2]]
    assert [dots for *_, dots in background] == [[1], [2], [2]]
    marks = [line.get_xdata() for axes in figure.axes for line in axes.lines[:1]]
    assert marks == [[20, 20], [80, 80]]


def test_the_legend_holds_mp_over_random_seeds_and_the_published_value(table, records):
    """LOW: (30 + 90) / 2 = 60. HIGH: (70 + 70) / 2 = 70."""
    figure = figures.draw("title", figures.read_curves(table, records))
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == ["LowRes: mP 65.0", "HighRes: mP 70.0 (published 80.7)"]


def test_a_curve_that_never_reaches_a_mark_has_no_mp(table):
    never = [[*point[:3], "10", *point[4:]] for point in LOW]
    (row,) = figures.read_curves(table, {"low": [cell(never)]})
    assert row.label == "LowRes: mP undefined"
    assert [dots for *_, dots in lines(figures.draw("title", [row]).axes[0])] == [[]]


def test_a_table_without_curves_has_no_figure(table, records, tmp_path):
    path = tmp_path / "T10.curves.png"
    figures.write_curves(path, table, records)
    first = path.read_bytes()
    figures.write_curves(path, table, records)
    assert path.read_bytes() == first  # the same records, the same bytes
    assert formats.read_image(path).shape[1] == 1200
    figures.write_curves(path, table, {"segmenter": [cell([])], "low": []})
    assert not path.exists()
