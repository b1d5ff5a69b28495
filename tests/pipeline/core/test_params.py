"""Whatever params.yaml holds, it is valid, or one line says what to correct."""

import copy
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.core.errors import UserError
from pipeline.core.params import lay_over, read_yaml
from pipeline.params import Params, load_params
from tests.conftest import ROOT

DEMO = ROOT / "presets/shapes.yaml"
QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def load(folder, content):
    path = folder / "params.yaml"
    path.write_bytes(content)
    try:
        return load_params(path)
    except UserError as e:
        assert str(e).isprintable() and "params.yaml: " in str(e)
        return str(e)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252"])
def test_another_encoding_is_named(tmp_path, encoding):
    text = DEMO.read_text().replace("random_seed: 0", "random_seed: 0  # Größe")
    message = load(tmp_path, text.encode(encoding))
    assert message == f"{tmp_path}/params.yaml: is not UTF-8; save it again as UTF-8"


def test_a_byte_order_mark_is_allowed(tmp_path):
    assert load(tmp_path, DEMO.read_text().encode("utf-8-sig")) == load_params(DEMO)


@pytest.mark.parametrize("text, message", [
    ("", "must contain sections"),
    ("# nothing\n", "must contain sections"),
    ("- a\n", "must contain sections"),
    ("a: 1\na: 2\n", "not valid YAML: while constructing a mapping"),
    ("a:\tb\n\tc: d", "not valid YAML: "),
    ("a: \0", "not valid YAML: unacceptable character"),
    ("a: 2026-13-45\n", "not valid YAML: month must be in 1..12"),
    ("a: !!int x\n", "not valid YAML: invalid literal"),
    ("a: " + "9" * 5000, "not valid YAML: Exceeds the limit"),
    ("- " * 3000, "not valid YAML: maximum recursion depth"),
    ("a: !!python/object/apply:os.system [exit]\n", "not valid YAML: could not determine a constr"),
    ("a: &a {b: *a}\n", "not valid YAML: its aliases stand for more than"),
])  # fmt: skip
def test_a_file_that_is_no_params_is_one_line(tmp_path, text, message):
    assert message in load(tmp_path, text.encode())


def test_a_folder_in_its_place_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\); replace it$"):
        load_params(tmp_path)
    with pytest.raises(UserError, match=r"not found; run from the project's root folder$"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("change, message", [
    ({"seed": {"train": {"epochs": math.inf}}}, "seed.train.epochs: Input should be a finite num"),
    ({"seed": {"train": {"lr": math.nan}}}, "seed.train.lr: Input should be a finite number"),
    ({"segment": {"train": {"scale": [0.8, math.inf]}}}, "segment.train.scale.1: Input should be"),
    ({"seed": {"maps": {"scales": [1.0, math.nan]}}}, "seed.maps.scales.1: Input should be a fin"),
    ({"fuse": {"seed_threshold": math.nan}}, "fuse.seed_threshold: Input should be a finite num"),
    ({"crf": {"deeplab": {"bilateral_w": math.inf}}}, "crf.deeplab.bilateral_w: Input should be a"),
    ({"saliency": {"source": "onnx", "options": {"onnx": {"mean": [math.nan, 0, 0]}}}},
     "saliency: options.onnx.mean.0: Input should be a finite number"),
    ({"seed": {"pooling": "wildcat", "options": {"wildcat": {"alpha": math.inf}}}},
     "seed: options.wildcat.alpha: Input should be a finite number"),
    ({"data": {"classes": "dog"}}, "data.classes: write a list: [dog] (got 'dog')"),
    ({"data": {"classes": "dog, cat"}}, "data.classes: write a list: [dog, cat]"),
    ({"data": {"classes": None}}, "data.classes: write a list: [...] (got None)"),
    ({"data": {"classes": [1]}}, "data.classes.0: Input should be a valid string (got 1)"),
    ({"segment": {"supervision": "guide"}}, "segment.supervision: write a list: [guide]"),
    ({"seed": {"maps": {"scales": 1.0}}}, "seed.maps.scales: write a list: [1.0] (got 1.0)"),
    ({"seed": {"train": {"scale": [1, 2, 3]}}}, "seed.train.scale: "),
    ({"seed": {"train": {"epochs": "many"}}}, "seed.train.epochs: Input should be a valid number"),
    ({"seed": None}, "seed: Input should be a valid dictionary"),
    ({"seed": {"options": None}}, "seed.options: Input should be a valid dictionary"),
    ({"seed": {"pooling": ["gap"]}}, "seed.pooling: Input should be a valid string"),
])  # fmt: skip
def test_a_wrong_value_is_one_line_that_names_it(tmp_path, params, change, message):
    lay_over(params, change)
    assert f"params.yaml: {message}" in _load_values(tmp_path, params)


def _load_values(folder, values):
    with (folder / "values.yaml").open("wb") as f:
        YAML(typ="safe", pure=True).dump(values, f)
    return load(folder, (folder / "values.yaml").read_bytes())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@QUICK
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_any_bytes_are_valid_or_one_line(tmp_path, content):
    assert isinstance(load(tmp_path, content), str)


@QUICK
@given(st.integers(0, 4000), st.binary(max_size=6))
def test_the_file_with_damaged_bytes_is_valid_or_one_line(tmp_path, at, damage):
    whole = DEMO.read_bytes()
    assert isinstance(load(tmp_path, whole[:at] + damage + whole[at + 3 :]), str | Params)


def _places(values, path=()):
    """Yield the path of every section and param."""
    for key, value in values.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from _places(value, (*path, key))


@QUICK
@given(st.sampled_from(sorted(_places(read_yaml(DEMO)))), VALUES)
def test_any_value_of_any_param_is_valid_or_one_line(tmp_path, place, value):
    values = copy.deepcopy(read_yaml(DEMO))
    section = values
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    assert isinstance(_load_values(tmp_path, values), str | Params)
