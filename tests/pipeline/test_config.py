import pytest

from pipeline import blocks, config, params
from pipeline.errors import UserError
from tests.conftest import ROOT


def test_params_yaml_is_valid_and_frozen():
    chosen = params.load(ROOT / "presets/shapes.yaml")
    with pytest.raises(ValueError, match="frozen"):
        chosen.random_seed = 3


def test_numbers_in_short_form_are_numbers(tmp_path):
    (tmp_path / "p.yaml").write_text("a: 1e-4\n")
    assert params.read_yaml(tmp_path / "p.yaml") == {"a": 1e-4}


@pytest.mark.parametrize("change, said", [
    ({"seed": {"backbonne": "vgg16"}},
     r"^params.yaml: seed\.backbonne: no such param; did you mean backbone\?$"),
    ({"fuse": {"zzz": 1}}, r"^params.yaml: fuse\.zzz: no such param; check the spelling$"),
    ({"saliency": {"options": {"net": {"trian": 1}}}},
     r"^params.yaml: saliency: options\.net\.trian: no such param; did you mean train\?$"),
    ({"refine": {"crf": "deplab"}}, r"^params.yaml: refine\.crf: 'deplab' is none of deeplab, "),
    ({"seed": {"train": {"epochs": 0}}}, r"seed\.train\.epochs: .*greater than 0 \(got 0\)"),
    ({"seed": {"train": {"scale": [2, 1]}}}, r"seed\.train: scale: the first number"),
    ({"segment": {"supervision": ["guides"]}}, r"segment\.supervision\.0: .*'guide', 'full', "),
    ({"segment": {"supervision": ["guide", "round3"]}}, r"supervision: round3 .*; add round2"),
    ({"saliency": {"source": "magic"}}, r"saliency: source: 'magic' is none of classical"),
    ({"saliency": {"options": {"net": {"train": {"epochs": 0}}}}},
     r"saliency: options\.net\.train\.epochs: .*greater than 0"),
    ({"segment": {"loss": "sce"}}, r"segment: loss: 'sce' is none of cross_entropy, sec"),
    ({"segment": {"loss": "sec", "options": {"sec": {"decay_tags": 2}}}},
     r"segment: options\.sec\.decay_tags: .*less than or equal to 1"),
    ({"seed": {"weights": "none"}}, r"frozen_stages must be 0"),
    ({"segment": {"supervision": ["guide", "guide"]}}, "stands there twice"),
    ({"data": {"classes": ["a", "a"]}}, "data: classes: a name stands there twice"),
    ({"fuse": {"min_seed_area_px": "many"}}, r"fuse\.min_seed_area_px"),
])  # fmt: skip
def test_errors_name_the_param(tmp_path, params, change, said):
    from ruamel.yaml import YAML

    from pipeline import params as reading

    reading.lay_over(params, change)
    with (tmp_path / "p.yaml").open("w") as f:
        YAML().dump(params, f)
    with pytest.raises(UserError, match=said):
        reading.load(tmp_path / "p.yaml")


@pytest.mark.parametrize("section, key, misspelt", [
    ("fuse", "seed_threshold", "seed_treshold"),
    ("seed", "train", "trian"),
    ("", "fuse", "fues"),
])  # fmt: skip
def test_a_misspelt_param_is_named_not_the_one_it_should_be(params, section, key, misspelt):
    from pipeline import params as reading

    part, dotted = (params[section], f"{section}.") if section else (params, "")
    part[misspelt] = part.pop(key)
    said = rf"^params.yaml: {dotted}{misspelt}: no such param; did you mean {key}\?$"
    with pytest.raises(UserError, match=said):
        reading.validate(config.Params, params, where="")


def test_a_missing_param_is_one_short_line(params):
    from pipeline import params as reading

    del params["fuse"]["seed_threshold"]
    with pytest.raises(UserError, match=r"^params.yaml: fuse\.seed_threshold is missing$"):
        reading.validate(config.Params, params, where="")
    del params["saliency"]["options"]["net"]["head"]
    with pytest.raises(UserError, match=r"^params.yaml: saliency: options\.net\.head is missing$"):
        reading.section(params, "saliency", config.Saliency)


def test_options_that_are_not_chosen_are_not_read(params):
    from pipeline import params as reading

    params["saliency"]["options"]["onnx"] = {"nonsense": 1}
    reading.validate(config.Params, params, where="")


def test_section_sees_its_own_slice_alone(params):
    from pipeline import params as reading

    del params["seed"]["maps"]
    seed = reading.section(params, "seed", config.SeedModel)
    assert seed.backbone == "efficientnet_lite0"
    with pytest.raises(UserError, match=r"seed\.maps is missing"):
        reading.section(params, "seed.maps", blocks.Infer)


def test_fingerprint_follows_every_value(params):
    from pipeline import params as reading

    crf = reading.section(params, "crf.deeplab", blocks.Crf)
    again = blocks.Crf.model_validate(crf.model_dump())
    assert reading.fingerprint(crf, "x") == reading.fingerprint(again, "x")
    others = [crf.model_copy(update={k: v + 1}) for k, v in crf.model_dump().items()]
    names = {reading.fingerprint(c, t) for c in (crf, *others) for t in "xy"}
    assert len(names) == 2 * (1 + len(blocks.Crf.model_fields))


def test_differences_are_dotted():
    assert params.differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        ("a.c", 2, 3),
        ("d", None, 4),
    ]
