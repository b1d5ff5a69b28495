"""What people see in the terminal: names as they are, without markup and control characters."""

import pickle
from pathlib import Path

import pytest

from app.console import make_table
from app.plain import PlainConsole
from pipeline.core import runtime
from pipeline.core.errors import MissingFileError, UserError, printable

EVIL = "img[final][/b]:dog:\x1b[2J\r\x07\x9b1m\u202eabc\udce9"
SHOWN = r"img[final][/b]:dog:\x1b[2J\r\x07\x9b1m\u202eabc\udce9"


def test_a_line_shows_a_name_as_it_is(capsys):
    PlainConsole().print(f"skipped: {EVIL}\nnext")
    assert capsys.readouterr().out == f"skipped: {SHOWN}\nnext\n"


def test_a_cell_of_a_table_shows_a_name_as_it_is(capsys):
    table = make_table(EVIL, numbers=("n",))
    table.add_row(EVIL, "1")
    PlainConsole().print(table)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == [SHOWN, "n"] and row.split() == [SHOWN, "1"]


def test_an_error_is_one_printable_line():
    assert str(UserError(f"a\nb {EVIL}")) == rf"a\nb {SHOWN}"
    assert str(MissingFileError(Path(EVIL), "hint")) == f"{SHOWN}: not found; hint"


def test_letters_of_all_languages_stay():
    assert printable("Käse größe 写真 фото é") == "Käse größe 写真 фото é"


def test_the_lines_of_a_stage_show_no_control_characters(capsys):
    runtime.say(f"error: {EVIL}")
    assert capsys.readouterr().err == f"error: {SHOWN}\n"


@pytest.mark.parametrize("error", [UserError("a: b"), MissingFileError(Path("a/b"), "hint")])
def test_an_error_of_a_worker_process_keeps_its_message(error):
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))
    assert getattr(copied, "path", None) == getattr(error, "path", None)
