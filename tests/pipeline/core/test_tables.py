"""Tables that people write: what is read, and what is refused with the line that is wrong."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.core import formats
from pipeline.core.errors import UserError

COLUMNS = ("id", "tags")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tags.csv"


def rows(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(r["id"], r["tags"]) for r in formats.read_table(path, columns=COLUMNS)]


SAME = {
    "byte order mark": b"\xef\xbb\xbfid,tags\na,dog\nb,\n",  # as Excel writes it
    "CRLF": "id,tags\r\na,dog\r\nb,\r\n",
    "CR": "id,tags\ra,dog\rb,",
    "no line end in the last line": "id,tags\na,dog\nb,",
    "blank lines": "id,tags\n\n  \na,dog\n\nb,\n\n",
    "blank lines first": "\n\nid,tags\na,dog\nb,\n",
    "lines of commas": "id,tags,,\n,,,\na,dog,,\nb,,,\n , , ,\n",  # a spreadsheet's empty cells
    "quotes everywhere": 'id,tags\n"a","dog"\n"b",""\n',
    "blanks around values": " id , tags \n a , dog \n b ,  \n",
    "other columns": "tags,note,id\ndog,x,a\n,,b\n",
    "column without a name": ",id,tags\n0,a,dog\n1,b,\n",  # the index that pandas writes
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_forms_of_the_same_table(path, content):
    assert rows(path, content) == [("a", "dog"), ("b", "")]


@pytest.mark.parametrize("field", ['"dog, cat"', ' "dog, cat"'])
def test_commas_inside_quotes(path, field):
    assert rows(path, f"id,tags\na,{field}\n") == [("a", "dog, cat")]


def test_a_quote_inside_quotes(path):
    assert rows(path, 'id,tags\na,"5"" dog"\n') == [("a", '5" dog')]


REFUSED = {
    "unclosed quote": ('id,tags\na,dog\nb,"dog\nc,cat\n', r"line 3: cannot be read .*; close each"),
    "unclosed quote, lines before": (
        'id,tags\na,"x\ny"\nb,"dog\nc,cat\n', r"line 4: cannot be read .*; close each quote",
    ),
    "unclosed quote, then a quote": (
        'id,tags\na,"dog\nb,"cat"\n', r"line 2: cannot be read .*; close each quote",
    ),
    "text after a quote": ('id,tags\na,"dog" x\n', r"line 2: cannot be read .*; close each quote"),
    "long field": (
        "id,tags\na,dog\nb," + "x" * 131_073, r"line 3: .*limit.*; shorten the field, or close",
    ),
    "no comma": ("id,tags\na\nb,\n", r"line 2: too few fields; write 2 fields"),
    "too few commas": (
        "id,tags,split\na,dog\nb,dog\nc,,\n", r"lines 2, 3: too few fields; write 3 fields",
    ),
    "semicolons below commas": ("id,tags\na;dog\n", r"line 2: too few fields"),
    "comma in tags": (
        "id,tags\na,dog,cat\n", r"line 2: too many fields; put quotes around .* contains commas",
    ),
    "comma in tags, nameless column": ("id,tags,\na,dog,cat\n", r"line 2: too many fields"),
    "tags twice": ("id,tags,tags\na,dog,cat\n", r"the first line names column 'tags' twice"),
    "id twice": ("id,id,tags\na,b,cat\n", r"the first line names column 'id' twice; remove one"),
    "NUL": ("id,tags\na,dog\nb,d\0g\n", r"line 3: contains a NUL character; save"),
    "UTF-16 without BOM": (
        "id,tags\na,dog\n".encode("utf-16-le"), r"line 1: contains a NUL character; .* UTF-8",
    ),
    "UTF-16": ("id,tags\na,dog\n".encode("utf-16"), r"is not UTF-8 \(line 1\); save the file"),
    "Latin-1": ("id,tags\na,dog\nb,café\n".encode("latin-1"), r"is not UTF-8 \(line 3\)"),
    "no first line": (
        "a,dog\nb,cat\n", r"column 'id' is missing .*; write id,tags there \(got 'a,dog'\)",
    ),
    "capitals": ("ID,Tags\na,dog\n", r"column 'id' is missing .* \(got 'ID,Tags'\)"),
    "empty file": ("", r"column 'id' is missing"),
}  # fmt: skip


@pytest.mark.parametrize("content, match", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(path, content, match):
    with pytest.raises(UserError, match=rf"tags\.csv: {match}") as e:
        rows(path, content)
    assert "\n" not in str(e.value)


def test_many_faults_are_counted(path):
    with pytest.raises(UserError, match=r"lines 2, 3, .*, 21, \.\.\. \(37 in all\): too few"):
        rows(path, "id,tags\n" + "a\n" * 37)


def test_a_folder_in_place_of_a_table(path):
    path.mkdir()
    with pytest.raises(UserError, match=r"tags\.csv: cannot be read \(Is a directory\); it must"):
        formats.read_table(path, columns=COLUMNS)


def test_a_missing_table(path):
    with pytest.raises(UserError, match=r"tags\.csv: not found; it needs the columns id,tags"):
        formats.read_table(path, columns=COLUMNS)


TABLE = st.text('ab,;\t"\n\r\0 \ufeff\x85é', max_size=40)
BYTES = st.one_of(
    st.binary(max_size=60),
    TABLE.map(lambda t: ("id,tags\n" + t).encode()),
    TABLE.map(lambda t: ("id,tags\n" + t).encode("utf-16")),
    st.text(max_size=40).map(str.encode),
)


@settings(max_examples=300, deadline=None)
@given(BYTES)
@example(b"id,tags\na," + b"x" * 140_000)
def test_any_bytes_are_a_table_or_an_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    try:
        values = rows(path, content)
    except UserError as e:
        assert str(e).startswith(str(path))
    else:
        assert all(v == v.strip() and "\0" not in v for row in values for v in row)
