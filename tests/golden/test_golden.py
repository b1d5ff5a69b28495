"""The code of today computes the golden values."""

import pytest

from tests.golden import crf_cases, make, store
from tests.golden.cases import CASES, SLOW


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CASES]
)
def test_golden_values(name):
    differing = make.compare(name)
    assert not differing, "\n".join(
        [*differing[:20], f"to renew them: python -m tests.golden.make --renew {name}"]
    )


@pytest.mark.parametrize("name", [n for n in CASES if not CASES[n].trains])
def test_bytes_are_those_recorded(name):
    """A refactor changes no byte. Another machine may round differently and skips this test."""
    recorded = store.read(store.DIGESTS)["made_with"]
    if recorded != store.made_with():
        pytest.skip(f"recorded with {recorded}")
    assert make.compare_bytes(name) == []


def test_every_file_belongs_to_a_case_and_is_small():
    files = {p.stem: p.stat().st_size for p in store.VALUES.iterdir()}
    assert set(files) == {*CASES, store.DIGESTS}
    assert max(files.values()) < 100_000 and sum(files.values()) < 300_000


def test_make_writes_only_when_asked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "VALUES", tmp_path / "values")
    assert make.main(["cues"]) == 1
    assert "cues.0 of the image: stored nothing" in capsys.readouterr().out
    assert not store.VALUES.exists()
    assert make.main(["--renew", "cues"]) == 0
    assert make.main(["cues"]) == 0
    assert {p.stem for p in store.VALUES.iterdir()} == {"cues", store.DIGESTS}


@pytest.mark.parametrize("value, other, equal", [
    ({"a": [1.0, 2]}, {"a": [1.0 + 1e-7, 2]}, True),
    ({"a": [1.0, 2]}, {"a": [1.0 + 1e-5, 2]}, False),
    ({"a": [1.0, 2]}, {"a": [1.0, 3]}, False),
    ({"a": [1.0]}, {"a": [1.0, 1.0]}, False),
    ({"a": 1}, {"a": 1, "b": 1}, False),
    ({"a": "nan"}, {"a": 0.5}, False),
])  # fmt: skip
def test_a_difference_beyond_the_tolerance_is_reported(value, other, equal):
    case = store.Case(lambda: {}, abs=1e-6)
    assert (store.differences(value, other, case) == []) == equal


CRF_CHANGES = {
    "5 iterations": lambda s: {"iterations": 5},
    "bilateral width 60": lambda s: {"bilateral_sxy": 60.0},
    "colour width": lambda s: {"bilateral_srgb": s.bilateral_srgb + 1},
    "bilateral weight": lambda s: {"bilateral_w": s.bilateral_w + 0.5},
    "smooth weight": lambda s: {"smooth_w": s.smooth_w + 0.5},
    "smooth width": lambda s: {"smooth_sxy": s.smooth_sxy + 0.5},
}


@pytest.mark.parametrize("unary", crf_cases.UNARIES)
@pytest.mark.parametrize("image", crf_cases.IMAGES)
@pytest.mark.parametrize("name", ["deeplab", "seed", "unequal"])
@pytest.mark.parametrize("change", CRF_CHANGES)
def test_a_change_of_any_crf_param_changes_the_marginals(change, name, image, unary):
    """The change is over a hundred times the tolerance, so the golden values show it."""
    crf = crf_cases.sets()[name]
    other = crf.model_copy(update=CRF_CHANGES[change](crf))
    change_KHW = crf_cases.marginals(image, unary, other) - crf_cases.marginals(image, unary, crf)
    assert abs(change_KHW).max() > 100 * CASES["crf_marginals"].abs


def test_swapped_smooth_weight_and_width_change_the_marginals():
    crf = crf_cases.sets()["unequal"]
    swapped = crf.model_copy(update={"smooth_w": crf.smooth_sxy, "smooth_sxy": crf.smooth_w})
    before, after = (crf_cases.marginals("two_tone", "linear", c) for c in (crf, swapped))
    assert abs(before - after).max() > 0.1


def test_images_draw_different_tags():
    for rule, seeds in store.read("drawn_tags").items():
        for drawn in seeds.values():
            assert len({tuple(d) for d in drawn}) >= 4, rule
