"""Bad input to `cli.py predict`: one line, and nothing that was computed is lost."""

import errno
import os
import shutil

import numpy as np
import pytest

from app.commands.predict import segment_photographs
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.params import section
from pipeline.nets import checkpoint
from pipeline.seeds.classifier import Classifier, classifier_spec
from pipeline.seeds.config import SeedModel
from pipeline.segment.deeplab import DeepLab
from tests.conftest import photo
from tests.project import ROOT

SEGMENTER = {
    "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v3plus",
    "classes": ["cat", "dog"],
}  # fmt: skip


@pytest.fixture
def here(copy, params, tmp_path):
    """The project with two photographs and two networks that were not trained."""
    copy.change({"segment": {"predict": {"size_px": 64}}, "seed": {"maps": {"size_px": 64}}})
    layout = Layout(copy.root)
    checkpoint.save(layout.segmenter("guide"), DeepLab.from_spec(SEGMENTER), SEGMENTER, [])
    spec = classifier_spec(section(params, "seed", SeedModel), ["cat", "dog"])
    checkpoint.save(layout.seed_model, Classifier.from_spec(spec), spec, [])
    for i in range(2):
        photo(copy.root / f"photos/p{i}.png", seed=i)
    return copy


def fails(project, *args):
    done = project.here("cli.py", "predict", *map(str, args), check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    return done.stderr


def test_the_network_must_be_of_the_kind_that_the_results_need(here, tmp_path):
    out, layout = tmp_path / "out", Layout(here.root)
    for args, message in (
        (("--model", layout.seed_model), "this network is of kind 'classifier', not 'deeplab'; ch"),
        (("--maps", "--classifier", layout.segmenter("guide")), "of kind 'deeplab', not 'classif"),
        (("--model", tmp_path / "nowhere"), "nowhere/net.json: not found; no network was trained"),
        (("--model", here.root / "cli.py"), "cli.py/net.json: not found; no network was trained"),
        (("--model", "x" * 300), "/net.json: not found; no network was trained"),
    ):
        assert message in fails(here, "photos", "-o", out, *args)
    assert not out.exists()


def test_a_damaged_model_stops_before_anything_is_written(here, tmp_path):
    spec = Layout(here.root).segmenter("guide") / "net.json"
    formats.write_json(spec, SEGMENTER | {"classes": ["cat"]})
    message = fails(here, "photos", "-o", tmp_path / "out")
    assert "net.json and weights.safetensors do not fit; copy the whole folder" in message
    assert not (tmp_path / "out").exists()


def test_names_with_brackets_and_control_characters_are_shown_as_they_are(here):
    odd = here.root / "in[/b]"
    photo(odd / "img[final]:dog:\x1b[2J.png")
    (odd / "[i].jpg").write_bytes(b"no image")
    done = here.here("cli.py", "predict", str(odd), "-o", "out[/b]", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "skipped: in[/b]/[i].jpg: cannot be decoded" in done.stdout.replace(f"{here.root}/", "")
    assert "1 images in out[/b]; class indices: 0 background, 1 cat, 2 dog" in done.stdout
    assert (here.root / "out[/b]/img[final]:dog:\x1b[2J.png").exists()
    (odd / "[i]\x1b[2J").touch()  # without a file of this name, it would be a glob
    message = fails(here, odd / "[i]\x1b[2J", "-o", odd)
    assert r"in[/b]: holds [i]\x1b[2J; choose another folder" in message


def test_a_name_is_no_option_and_no_command(here):
    """Names reach no shell: a file may be called like a command."""
    odd = here.root / "-x; touch pwned & $(touch pwned) `touch pwned`"
    photo(odd / "a' || touch pwned #.png")
    photo(odd / os.fsdecode(b"caf\xe9.png"))  # not UTF-8
    done = here.here("cli.py", "predict", "-o", "out", "--", odd.name)
    assert "2 images in out" in done.stdout
    assert (here.root / "out/a' || touch pwned #.png").exists()
    assert not list(here.root.rglob("pwned"))


# ---- the output folder, without a network


class NoNetworkError(Exception):
    pass


@pytest.fixture
def segment(tmp_path, monkeypatch):
    """Segment a photograph. It raises NoNetworkError where the network would load."""

    def load(*_):
        raise NoNetworkError

    monkeypatch.setattr(checkpoint, "load", load)
    photo(tmp_path / "in/a.png")
    monkeypatch.chdir(ROOT)  # for its params.yaml
    return lambda out: segment_photographs(out, [str(tmp_path / "in/a.png")], model=tmp_path)


def refuse(segment, out, message):
    with pytest.raises(UserError) as e:
        segment(out)
    assert f"{out}: {message}" in str(e.value), str(e.value)


UNWRITABLE = "cannot be written ({}); make room or choose another folder"


def test_an_output_folder_that_is_a_file_is_refused_before_the_network_loads(segment, tmp_path):
    (tmp_path / "file").write_text("mine")
    refuse(segment, tmp_path / "file", UNWRITABLE.format("Not a directory"))
    refuse(segment, tmp_path / "file/below/it", UNWRITABLE.format("Not a directory"))
    refuse(segment, tmp_path / ("x" * 300), UNWRITABLE.format("File name too long"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_new_output_folder_is_accepted_and_not_made_yet(segment, tmp_path):
    with pytest.raises(NoNetworkError):
        segment(tmp_path / "new/folder")
    assert not (tmp_path / "new").exists()


def test_a_read_only_output_folder_is_refused_before_the_network_loads(
    segment, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write
    refuse(segment, tmp_path / "out", UNWRITABLE.format("Permission denied"))


def test_a_full_disk_is_refused_before_the_network_loads(segment, tmp_path, monkeypatch):
    full = shutil._ntuple_diskusage(9, 9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    refuse(segment, tmp_path / "out", UNWRITABLE.format("No space left on device"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux alone")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.json", "a.npz"])
def test_a_disk_that_fills_up_is_one_line_and_the_old_file_stays(tmp_path, name):
    write = {
        ".png": lambda p: formats.write_label(p, np.zeros((300, 300), "uint8")),
        ".jpg": lambda p: formats.write_image(p, np.zeros((300, 300, 3), "uint8")),
        ".json": lambda p: formats.write_json(p, ["x"]),
        ".npz": lambda p: formats.write_logits(p, np.zeros((2, 300, 300))),
    }[os.path.splitext(name)[1]]
    write(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    (tmp_path / f"{name}.part").symlink_to("/dev/full")
    with pytest.raises(UserError) as e:
        write(tmp_path / name)
    assert str(e.value) == f"{tmp_path}/{name}: " + UNWRITABLE.format(os.strerror(errno.ENOSPC))
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before
