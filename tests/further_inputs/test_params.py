"""params.yaml, `-S` and presets."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from app import chain, presets
from pipeline.core.layout import Layout
from pipeline.core.params import lay_over, validate
from pipeline.params import Params, load_params
from tests.further_inputs.doors import refuses, write
from tests.project import ROOT

PRESET = ROOT / "presets/shapes.yaml"


def train(**changes):
    return {"seed": {"train": changes}}


BAD_PARAMS = {
    "epochs true": (train(epochs=True), "seed.train.epochs: must not be true or false"),
    "random_seed true": ({"random_seed": True}, "random_seed: must not be true or false"),
    "epochs of years": (train(epochs=1e9), "seed.train.epochs: Input should be less than or equal"),
    "a view of 16 million px": (train(size_px=16_000_000), "seed.train.size_px: Input should be"),
    "maps of 16 million px": (
        {"seed": {"maps": {"size_px": 16_000_000}}}, "seed.maps.size_px: must be 'native' or a who",
    ),
    "epochs 0": (train(epochs=0), "seed.train.epochs: Input should be greater than 0"),
    "lr 0": (train(lr=0), "seed.train.lr: Input should be greater than 0"),
    "batch 1": (train(batch=1), "seed.train.batch: Input should be greater than or equal to 2"),
    "size_px 16": (train(size_px=16), "seed.train.size_px: Input should be greater than or equal"),
    "no scale": ({"seed": {"maps": {"scales": []}}}, "seed.maps.scales: Tuple should have"),
    "a negative seed": ({"random_seed": -1}, "random_seed: Input should be greater than or equal"),
    "GrabCut's limits exchanged": (
        {"boxes": {"options": {"grabcut_plus": {"foreground": 0.1, "background": 0.9}}}},
        "boxes.options.grabcut_plus: foreground must be at least as large as background",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_PARAMS)
def test_params_beyond_their_limits(params, kind):
    change, message = BAD_PARAMS[kind]
    lay_over(params, change)
    refuses(lambda: validate(Params, params, where=""), rf"^params\.yaml: {message}")


@pytest.mark.parametrize("change", [
    train(epochs=0.01), {"random_seed": 10**30},
    {"data": {"classes": [f"c{i}" for i in range(253)]}},
    {"fuse": {"seed_threshold": 0, "saliency_threshold": 0}},
    {"fuse": {"seed_threshold": 1, "saliency_threshold": 1}}, {"data": {"classes": ["one"]}},
], ids=str)  # fmt: skip
def test_params_at_their_limits(params, change):
    lay_over(params, change)
    validate(Params, params, where="")


def yaml_bomb():
    """Write a param whose aliases stand for 9^9 values."""
    levels = [f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    lists = ", ".join(["&a0 [x, x, x, x, x, x, x, x, x]", *levels])
    return PRESET.read_text().replace("classes: [disc,", f"classes: [{lists}, disc,", 1)


@pytest.mark.parametrize("text, match", [
    ("[" * 5000, "not valid YAML: 51 brackets are open; close them"),
    ("{a: " * 5000, "not valid YAML: 51 brackets are open"),
    ("- " * 5000, "not valid YAML: "),
    (yaml_bomb(), "not valid YAML: its aliases stand for more than 100000 values"),
    ("a: &a [*a]", "not valid YAML: its aliases stand for more than"),
    (PRESET.read_text() + "---\na: 1\n", "not valid YAML: expected a single document"),
    (PRESET.read_text().replace("random_seed: 0", "random_seed: 1:30"), "random_seed: Input"),
], ids=["[", "{", "-", "aliases", "itself", "two documents", "1:30"])  # fmt: skip
def test_params_that_no_parser_should_see(text, match):
    signal.alarm(5)
    write("params.yaml", text)
    refuses(lambda: load_params(Path("params.yaml")), rf"^params\.yaml: {match}")


@pytest.mark.parametrize("change, match", [
    ("params.yaml:random_seed=-4", r"params\.yaml: random_seed: Input should be greater"),
    ("optional/dvc.yaml:x=1", r"optional/dvc\.yaml holds no params; name one of params\.yaml"),
    ("seed.train.epochs=1,2", "has no valid value"),
    ("seed.train.epochs=range(1,3)", "has no valid value"),
    ("data.root=${nope}", "has no valid value"),
    (" random_seed=3", "did you mean random_seed"),
    ("random_seed=", "random_seed: Input should be a valid integer"),
    ("=3", "no such param"),
])  # fmt: skip
def test_minus_s(change, match):
    shutil.copy(PRESET, "params.yaml")
    refuses(lambda: chain.changed_params(Layout(), [change]), match)


def test_minus_s_that_names_params_yaml():
    shutil.copy(PRESET, "params.yaml")
    assert chain.changed_params(Layout(), ["params.yaml:random_seed=7"]).random_seed == 7


def test_use_in_a_sub_folder():
    refuses(
        lambda: presets.use(Layout(), "photos"), "presets/shapes.yaml: not found; run from the p"
    )


@pytest.mark.parametrize("file, text, match", [
    ("presets/shapes.yaml", "a: [", r"^presets/shapes\.yaml: not valid YAML"),
    ("presets/shapes.yaml", "- a", r"^presets/shapes\.yaml: must contain sections"),
    ("presets/shapes.yaml", "random_seed: 0\n", r"^presets/shapes\.yaml: data is missing"),
    ("presets/photos.yaml", "", r"^presets/photos\.yaml: must contain sections"),
    ("presets/photos.yaml", "seed: {trian: 3}", r"^presets/photos\.yaml: seed\.trian: no such par"),
    ("data", "", r"^data/params_before\.yaml: cannot be written"),
])  # fmt: skip
def test_use_among_edited_files(file, text, match):
    shutil.copytree(ROOT / "presets", "presets")
    old = shutil.copy(PRESET, "params.yaml")
    before = Path(old).read_bytes()
    write(file, text)
    refuses(lambda: presets.use(Layout(), "photos"), match)
    assert Path(old).read_bytes() == before


@pytest.mark.parametrize("make_it, match", [(os.mkdir, "cannot be written"), (os.mkfifo, None)])
def test_use_where_params_yaml_is_no_file(make_it, match):
    shutil.copytree(ROOT / "presets", "presets")
    make_it("params.yaml")
    if match:
        refuses(lambda: presets.use(Layout(), "photos"), match)
    else:
        presets.use(Layout(), "photos")
        assert load_params(Path("params.yaml")).data.source == "folder"
