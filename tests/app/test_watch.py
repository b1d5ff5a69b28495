"""`predict --watch`: which files of a folder are new and complete."""

import os

import numpy as np
import pytest

from app import predict, watch
from app.sources import Source
from pipeline.core import formats
from pipeline.core.errors import UserError
from tests.conftest import photo


class Fake:
    """A network with one class, whose logits are 0."""

    classes, grid_px = ("background",), 1

    def logits(self, image_HW3):
        return np.zeros((1, 3, 4), np.float32)


@pytest.fixture
def steps(monkeypatch):
    """What happens between two looks: a list of functions. After the last one, Ctrl-C."""
    steps = []

    def sleep(_):
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr(watch, "sleep", sleep)
    return steps


def looks(folder):
    found = []
    try:
        for sources in watch.new_sources(folder):
            found.append([source.id for source in sources])
    except KeyboardInterrupt:
        return found


def nothing():
    pass


def test_a_file_is_complete_once_two_looks_see_the_same(tmp_path, steps):
    (tmp_path / "a.png").write_bytes(b"1")
    steps += [
        nothing,
        (tmp_path / "sub").mkdir,
        lambda: (tmp_path / "sub/b.png").write_bytes(b"1"),
        lambda: (tmp_path / "sub/b.png").write_bytes(b"12"),  # it still grows
        nothing,
        nothing,
    ]
    assert looks(tmp_path) == [["a"], ["sub/b"]]


def test_a_changed_file_is_given_again_and_a_removed_one_is_forgotten(tmp_path, steps):
    (tmp_path / "a.png").write_bytes(b"1")
    steps += [nothing, lambda: os.utime(tmp_path / "a.png", (1, 1)), nothing, nothing]
    steps += [(tmp_path / "a.png").unlink, nothing]
    assert looks(tmp_path) == [["a"], ["a"]]


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match="nowhere: is no folder"):
        next(watch.new_sources(tmp_path / "nowhere"))


def test_new_photographs_get_masks_and_bad_ones_a_line(tmp_path, steps, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_WORKERS", "1")
    monkeypatch.setattr(predict, "load_net", lambda *_: Fake())
    (tmp_path / "model.onnx").touch()
    folder, out, said = tmp_path / "in", tmp_path / "in/masks", []
    photo(folder / "a.png")
    steps += [
        nothing,
        lambda: photo(folder / "more/b.png"),
        lambda: (folder / "bad.png").write_bytes(b"no image"),
        lambda: photo(folder / "a.jpg"),
        nothing,
        nothing,
    ]
    predictor = predict.Predictor(tmp_path / "model.onnx", out, predict.Options())
    results = watch.segment_new(predictor, folder, say=said.append)
    assert (results.count, results.classes, len(results.skipped)) == (2, ("background",), 2)
    assert (out / "a.png").exists() and (out / "more/b.png").exists()
    bad, clash = (line for line in said if line.startswith("skipped"))
    assert "bad.png: cannot be decoded" in bad
    assert "a.jpg: another image is already called 'a'" in clash
    assert formats.read_json(out / predict.RECORD)["files"].keys() == {"a", "more/b"}
    assert Source("a", folder / "a.png") in set(watch._look(folder))
