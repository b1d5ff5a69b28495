"""The archive for VOC's test server, read back."""

import io
import itertools
import tarfile

import numpy as np
import pytest
from PIL import Image

from app.exports import voc_server
from app.predict import RECORD
from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.errors import UserError
from pipeline.dataset.voc import VOC_CLASSES

# ours: another order than VOC's, and a subset; VOC has cat 8, dog 12, train 19
CLASSES = ["background", "train", "dog", "cat"]
LABELS = {"2008_000001": [[0, 1], [2, 3]], "2008_000006": [[3, 0], [0, 0]]}
EXPECTED = {"2008_000001": [[0, 19], [12, 8]], "2008_000006": [[8, 0], [0, 0]]}


@pytest.fixture
def predictions(tmp_path):
    folder = tmp_path / "out"
    formats.write_json(folder / RECORD, {"classes": CLASSES, "made_by": "x", "files": {}})
    for key, label in LABELS.items():
        formats.write_label(folder / f"{key}.png", np.array(label, np.uint8))
    (folder / "2008_000001_overlay.jpg").touch()
    formats.write_label(folder / "not_listed.png", np.zeros((2, 2), np.uint8))
    (tmp_path / "test.txt").write_text("2008_000001\n2008_000006\n")
    return folder


def write(predictions, *, competition="comp6", name="results.tgz"):
    archive = predictions.parent / name
    listed = predictions.parent / "test.txt"
    return archive, voc_server.export_voc(predictions, listed, archive, competition=competition)


@pytest.mark.parametrize("competition", voc_server.COMPETITIONS)
def test_the_archive_holds_vocs_indices_in_the_servers_folders(predictions, competition):
    archive, count = write(predictions, competition=competition)
    assert count == 2
    with tarfile.open(archive, "r:gz") as tar:
        folder = f"results/VOC2012/Segmentation/{competition}_test_cls"
        assert tar.getnames() == [f"{folder}/{key}.png" for key in LABELS]
        for key, expected in EXPECTED.items():
            image = Image.open(io.BytesIO(tar.extractfile(f"{folder}/{key}.png").read()))
            assert image.mode == "P" and np.asarray(image).tolist() == expected
            assert image.getpalette()[: 3 * 21] == formats.PALETTE[: 3 * 21]


def test_all_of_vocs_classes_keep_their_indices(predictions):
    formats.write_json(predictions / RECORD, {"classes": ["background", *VOC_CLASSES]})
    every = np.arange(21, dtype=np.uint8)[None]
    for key in LABELS:
        formats.write_label(predictions / f"{key}.png", every)
    with tarfile.open(write(predictions)[0]) as tar:
        image = Image.open(io.BytesIO(tar.extractfile(tar.getnames()[0]).read()))
        assert (np.asarray(image) == every).all()


def test_equal_predictions_give_equal_bytes(predictions, monkeypatch):
    hours = itertools.count(3600, 3600)
    monkeypatch.setattr("time.time", lambda: float(next(hours)))
    first, second = (write(predictions, name=name)[0] for name in ("a.tgz", "b.tgz"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "value, words", [(VOID, "255, which is void"), (4, "4, which is no class")]
)
def test_indices_that_the_server_refuses_are_named(predictions, value, words):
    formats.write_label(predictions / "2008_000006.png", np.array([[0, value]], np.uint8))
    with pytest.raises(UserError, match=rf"2008_000006\.png: holds the index {words}"):
        write(predictions)
    assert not (predictions.parent / "results.tgz").exists()


def test_missing_predictions_are_counted_and_named(predictions):
    (predictions / "2008_000006.png").unlink()
    with pytest.raises(UserError, match=r"1 of 2 images of .* no prediction: 2008_000006; run"):
        write(predictions)


@pytest.mark.parametrize("classes, words", [
    (["background", "cat", "disc"], "'disc' is not a VOC class"),
    (["cat", "dog"], "holds no masks"),  # what predict --maps writes
])  # fmt: skip
def test_classes_that_are_not_vocs_are_refused(predictions, classes, words):
    formats.write_json(predictions / RECORD, {"classes": classes})
    with pytest.raises(UserError, match=words):
        write(predictions)


def test_what_else_is_missing_is_named(predictions):
    with pytest.raises(UserError, match="no competition 'comp7'; choose comp5 or comp6"):
        write(predictions, competition="comp7")
    (predictions.parent / "test.txt").write_text("\n")
    with pytest.raises(UserError, match="holds no id"):
        write(predictions)
    (predictions.parent / "test.txt").unlink()
    with pytest.raises(UserError, match=r"test\.txt: not found; give VOC's"):
        write(predictions)
    (predictions / RECORD).unlink()
    with pytest.raises(UserError, match=r"made_of\.json: not found; make the folder with"):
        write(predictions)


def test_the_command_writes_the_archive(predictions, copy):
    listed, archive = predictions.parent / "test.txt", predictions.parent / "mine.tgz"
    call = ("export", "voc-server", str(predictions), "--list", str(listed), "-o", str(archive))
    said = copy.here("cli.py", *call).stdout
    assert f"2 predictions in {archive}, for comp6" in said and archive.exists()
    done = copy.here("cli.py", *call, "--competition", "x", check=False)
    assert done.returncode == 1 and "no competition 'x'" in done.stderr
