"""A killed or failed `prepare` checks again only what it must, and writes the same bytes."""

from pathlib import Path

import pytest

from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.dataset import checks
from pipeline.dataset.config import Data
from stages import _resume, prepare
from tests.conftest import photo

OUTS = [Path("data/prepared"), Path("data/labels/full")]


@pytest.fixture
def checked(folder_params, tmp_path, monkeypatch):
    """The ids of the images that were checked, in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stages", "prepare"])
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    monkeypatch.setenv("DVC_STAGE", "prepare")  # so that .resume stays
    ids, real = [], checks.check

    def check(entry, classes):
        ids.append(entry.id)
        return real(entry, classes)

    monkeypatch.setattr(checks, "check", check)
    return ids


@pytest.fixture
def run(folder_params, checked, monkeypatch):
    def prepare_all(*, shard=0):
        checked.clear()
        monkeypatch.setenv("GUIDELABEL_SHARD", str(shard))
        prepare.run(Layout(), data=section(folder_params, "data", Data))
        return formats.digest(*OUTS)

    return prepare_all


def kill(monkeypatch, run, *, at, **kw):
    """Run, and stop as an interrupt does before the image `at` is checked."""
    real = checks.check

    def dies(entry, classes):
        if entry.id == at:
            raise KeyboardInterrupt
        return real(entry, classes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checks, "check", dies)
        run(**kw)


def log():
    return next(Path(".resume").glob(f"prepare-*/{prepare.CHECKED}"))


def test_a_killed_prepare_checks_only_the_rest_and_writes_the_same_bytes(run, checked, monkeypatch):
    kill(monkeypatch, run, at="p2")
    with log().open("a") as file:
        file.write('["p2", "0123')  # a line that was cut off
    digest = run()
    assert checked == ["p2", "p3"]
    monkeypatch.setattr(prepare, "CHECKED", "none.jsonl")  # nothing is known
    assert run() == digest and checked == ["p0", "p1", "p2", "p3"]


def test_bad_images_are_named_together_and_only_they_are_checked_again(
    run, checked, folder_set, capsys
):
    for key in ("p0", "p2"):
        (folder_set / f"images/{key}.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"p0\.png.*2 such errors"):
        run()
    assert "p2.png" in capsys.readouterr().err and not OUTS[0].exists()
    for key in ("p0", "p2"):
        photo(folder_set / f"images/{key}.png", seed=int(key[1]))
    run()
    assert checked == ["p0", "p2"]


def test_what_changed_since_the_kill_is_checked_again(run, checked, folder_set, monkeypatch):
    """One image has other bytes, one lost its label, and one is gone with its label."""
    kill(monkeypatch, run, at="p3")
    photo(folder_set / "images/p0.png", seed=9)
    (log().parent / "data/labels/full/p1.png").unlink()
    rows = (folder_set / "tags.csv").read_text().splitlines()
    (folder_set / "tags.csv").write_text("\n".join(r for r in rows if "p2" not in r) + "\n")
    run()
    assert checked == ["p0", "p1", "p3"]
    labels = sorted(p.name for p in OUTS[1].iterdir())
    assert labels == ["p0.png", "p1.png", "p3.png"]


@pytest.mark.parametrize("changed", [False, True])
def test_killed_after_it_packed_archives(run, checked, folder_set, monkeypatch, changed):
    """An archive cannot take a new label, so a change then costs all checks."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(_resume, "_replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(shard=2)
    if changed:
        photo(folder_set / "images/p0.png", seed=9)
    digest = run(shard=2)
    assert len(checked) == (4 if changed else 0)
    monkeypatch.setattr(prepare, "CHECKED", "none.jsonl")
    assert run(shard=2) == digest


def test_without_masks_and_without_a_kill_the_outputs_are_those_of_before(run, folder_set):
    for mask in (folder_set / "masks").iterdir():
        mask.unlink()
    run(shard=2)
    assert [p.name for p in OUTS[1].iterdir()] == ["no_masks.txt"]
    assert run(shard=2) == run()
