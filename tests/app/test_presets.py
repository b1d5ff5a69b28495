"""`use`: a preset also mends a params.yaml that nothing else can read."""

import shutil

import pytest

from app import presets
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.params import load_params
from tests.conftest import ROOT


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A folder with the presets and without params.yaml."""
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return Layout(tmp_path)


@pytest.mark.parametrize("content", [
    b"", b"# nothing\n", b"seed: [1\n", b"- a\n", "seed: Größe\n".encode("latin-1"),
    "seed: 1\n".encode("utf-16"), b"\0\1\2", b"[" * 3000,
])  # fmt: skip
@pytest.mark.parametrize("preset", ["shapes", "photos"])
def test_a_preset_replaces_what_cannot_be_read_and_keeps_a_copy(layout, content, preset):
    layout.params.write_bytes(content)
    changed = presets.use(layout, preset)
    assert ("random_seed", None, 0) in changed
    assert load_params(layout.params).data.source == {"photos": "folder"}.get(preset, preset)
    assert layout.params_before.read_bytes() == content


def test_a_preset_makes_a_missing_file_and_leaves_an_older_copy(layout):
    layout.params_before.parent.mkdir()
    layout.params_before.write_text("older")
    presets.use(layout, "shapes")
    assert layout.params.read_bytes() == (ROOT / "presets/shapes.yaml").read_bytes()
    assert layout.params_before.read_text() == "older"


@pytest.mark.parametrize("name", ["nothing", "", "../params", "a/b", "shapes.yaml", "x\x1b"])
def test_a_name_that_is_no_preset_is_one_line_and_changes_nothing(layout, name):
    layout.params.write_text("mine")
    with pytest.raises(UserError) as e:
        presets.use(layout, name)
    assert "'; choose one of photos, shapes, " in str(e.value) and str(e.value).isprintable()
    assert layout.params.read_text() == "mine" and not layout.params_before.exists()


def test_a_disk_that_fills_up_leaves_params_yaml_as_it_was(layout):
    layout.params.write_text("mine")
    (layout.root / "params.yaml.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"params\.yaml: cannot be written \(No space left"):
        presets.use(layout, "photos")
    assert layout.params.read_text() == "mine"
