import pytest
from ruamel.yaml import YAML

from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.core.params import differences, fingerprint, lay_over, read_yaml, section, validate
from pipeline.crf.config import Crf
from pipeline.params import Params, load_params
from pipeline.saliency.config import Saliency
from pipeline.seeds.config import SeedModel
from tests.conftest import ROOT


def test_params_yaml_is_valid_and_frozen():
    chosen = load_params(ROOT / "presets/shapes.yaml")
    with pytest.raises(ValueError, match="frozen"):
        chosen.random_seed = 3


def test_numbers_in_short_form_are_numbers(tmp_path):
    (tmp_path / "p.yaml").write_text("a: 1e-4\n")
    assert read_yaml(tmp_path / "p.yaml") == {"a": 1e-4}


@pytest.mark.parametrize("change, said", [
    ({"seed": {"backbonne": "vgg16"}},
     r"^params.yaml: seed\.backbonne: no such param; did you mean backbone\?$"),
    ({"fuse": {"zzz": 1}}, r"^params.yaml: fuse\.zzz: no such param; check the spelling$"),
    ({"saliency": {"options": {"net": {"trian": 1}}}},
     r"^params.yaml: saliency: options\.net\.trian: no such param; did you mean train\?$"),
    ({"refine": {"crf": "deplab"}}, r"^params.yaml: refine\.crf: 'deplab' is not one of deeplab, "),
    ({"seed": {"train": {"epochs": 0}}}, r"seed\.train\.epochs: .*greater than 0 \(got 0\)"),
    ({"seed": {"train": {"scale": [2, 1]}}}, r"seed\.train: scale: the first number"),
    ({"segment": {"supervision": ["guides"]}}, r"segment\.supervision\.0: .*'guide', 'full', "),
    ({"segment": {"supervision": ["guide", "round3"]}}, r"supervision: .*round3; add round2"),
    ({"saliency": {"source": "magic"}}, r"saliency: source: 'magic' is not one of classical"),
    ({"saliency": {"options": {"net": {"train": {"epochs": 0}}}}},
     r"saliency: options\.net\.train\.epochs: .*greater than 0"),
    ({"segment": {"loss": "sce"}}, r"segment: loss: 'sce' is not one of cross_entropy, sec"),
    ({"segment": {"loss": "sec", "options": {"sec": {"decay_tags": 2}}}},
     r"segment: options\.sec\.decay_tags: .*less than or equal to 1"),
    ({"seed": {"weights": "none"}}, r"frozen_stages must be 0"),
    ({"seed": {"weights": "pretext"}},
     r"^params.yaml: seed\.weights: pretext needs a trunk; set pretext.task to rotation or s"),
    ({"pretext": {"task": "simclr", "backbone": "resnet50"}, "segment": {"weights": "pretext"}},
     r"^params.yaml: segment\.weights: pretext trains resnet50, not efficientnet_lite0; set "),
    ({"pretext": {"task": "rotation"}, "saliency": {"options": {"net": {"weights": "pretext"}}}},
     r"^params.yaml: saliency\.options\.net\.weights: only seed and segment start from pretext; "),
    ({"pretext": {"train": {"frozen_stages": 1}}}, r"^params.yaml: pretext\.train: frozen_stages"),
    ({"pretext": {"task": "jigsaw"}}, r"pretext: task: 'jigsaw' is not one of none, rotation"),
    ({"segment": {"supervision": ["guide", "guide"]}}, "supervision: duplicate value 'guide'"),
    ({"data": {"classes": ["a", "a"]}}, "data: classes: duplicate name 'a'"),
    ({"fuse": {"min_seed_area_px": "many"}}, r"fuse\.min_seed_area_px"),
    ({"segment": {"predict": {"size_px": "own"}}},
     r"^params.yaml: segment\.predict\.size_px: must be 'native' or .* 32 to 16384 \(got 'own'\)$"),
    ({"seed": {"maps": {"size_px": 31}}}, r"seed\.maps\.size_px: .*from 32 to 16384 \(got 31\)$"),
    ({"fuse": {"rule": "g1"}},
     r"^params.yaml: fuse: rule g1 cannot use maps; set evidence: component_scores$"),
    ({"fuse": {"rule": "g0", "evidence": "component_scores"}},
     r"^params.yaml: fuse: rule g0 cannot use component_scores; set evidence: maps$"),
])  # fmt: skip
def test_errors_name_the_param(tmp_path, params, change, said):

    lay_over(params, change)
    with (tmp_path / "p.yaml").open("w") as f:
        YAML().dump(params, f)
    with pytest.raises(UserError, match=said):
        load_params(tmp_path / "p.yaml")


@pytest.mark.parametrize("name, key, misspelt", [
    ("fuse", "seed_threshold", "seed_treshold"),
    ("seed", "train", "trian"),
    ("", "fuse", "fues"),
])  # fmt: skip
def test_a_misspelt_param_is_named_not_the_one_it_should_be(params, name, key, misspelt):

    part, dotted = (params[name], f"{name}.") if name else (params, "")
    part[misspelt] = part.pop(key)
    said = rf"^params.yaml: {dotted}{misspelt}: no such param; did you mean {key}\?$"
    with pytest.raises(UserError, match=said):
        validate(Params, params, where="")


def test_a_missing_param_is_one_short_line(params):

    del params["fuse"]["seed_threshold"]
    with pytest.raises(UserError, match=r"^params.yaml: fuse\.seed_threshold is missing$"):
        validate(Params, params, where="")
    del params["saliency"]["options"]["net"]["head"]
    with pytest.raises(UserError, match=r"^params.yaml: saliency: options\.net\.head is missing$"):
        section(params, "saliency", Saliency)


def test_options_that_are_not_chosen_are_not_read(params):

    params["saliency"]["options"]["onnx"] = {"nonsense": 1}
    validate(Params, params, where="")


def test_section_sees_its_own_slice_alone(params):

    del params["seed"]["maps"]
    seed = section(params, "seed", SeedModel)
    assert seed.backbone == "efficientnet_lite0"
    with pytest.raises(UserError, match=r"seed\.maps is missing"):
        section(params, "seed.maps", Infer)


def test_fingerprint_follows_every_value(params):

    crf = section(params, "crf.deeplab", Crf)
    again = Crf.model_validate(crf.model_dump())
    assert fingerprint(crf, "x") == fingerprint(again, "x")
    others = [crf.model_copy(update={k: v + 1}) for k, v in crf.model_dump().items()]
    names = {fingerprint(c, t) for c in (crf, *others) for t in "xy"}
    assert len(names) == 2 * (1 + len(Crf.model_fields))


def test_a_native_size_stays_a_word_and_changes_the_fingerprint(params):
    infer = section(params, "saliency.options.net.infer", Infer)
    native = Infer.model_validate(infer.model_dump(mode="json") | {"size_px": "native"})
    assert native.size_px == "native" and native.model_dump(mode="json")["size_px"] == "native"
    assert fingerprint(native) != fingerprint(infer)


@pytest.mark.parametrize("stride, size_px, message", [
    (8, 321, r"seed\.train\.size_px: Input should be a multiple of 16 \(got 321\)"),
    (32, 336, r"train\.size_px must be a multiple of 32, the stride"),
])  # fmt: skip
def test_training_and_test_share_a_grid(params, stride, size_px, message):
    """At test time every side is a multiple of 16 and of the stride."""
    params["seed"]["output_stride"] = stride
    section(params, "seed", SeedModel)
    params["seed"]["train"]["size_px"] = size_px
    with pytest.raises(UserError, match=message):
        section(params, "seed", SeedModel)


def test_differences_are_dotted():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == [
        ("a.c", 2, 3),
        ("d", None, 4),
    ]
