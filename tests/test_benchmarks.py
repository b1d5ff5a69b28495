"""The numbers that the benchmarks compute from measured times."""

from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import brought, headline, headline_runs, measure, per_image, scale
from pipeline.core import formats
from pipeline.core.arrays import VOID
from pipeline.core.layout import Layout
from pipeline.core.params import read_yaml
from pipeline.guide import rules
from tests.conftest import ROOT


def test_the_ratio_is_our_speed_over_the_peers(monkeypatch):
    now = 0.0
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now)

    def side(seconds):
        def work():
            nonlocal now
            now += seconds
            return 10

        return work

    row = measure.compare("x", side(1), side(3), peer="y", unit="images/s", reach="3")
    assert (row.ours, row.low, row.ratio, row.high) == pytest.approx((10, 3, 3, 3))
    assert "| x | 10 images/s | y | 3.33 | **3.00**" in measure.markdown(
        {"machine": {}, "rows": [vars(row)]}
    )


def test_exponent_of_linear_and_quadratic_growth():
    def runs(power):
        return {
            str(n): {"stages": {"fuse": {"seconds": (n / 1000) ** power}}}
            for n in (250, 1000, 2000, 4000)
        }

    assert scale.exponent(runs(1), "fuse") == pytest.approx(1)
    assert scale.exponent(runs(2), "fuse") == pytest.approx(2)


def test_the_plain_guide_labels_equal_ours(rng):
    """One saliency component holds seeds of one class, the other of two."""
    seeds, salient = np.zeros((24, 64), np.uint8), np.zeros((24, 64), bool)
    salient[4:20, 4:20] = salient[4:20, 30:60] = True
    seeds[8:14, 8:14], seeds[6:18, 32:40], seeds[6:18, 50:58] = 1, 1, 2
    image = np.repeat((seeds * 80)[..., None], 3, axis=2)
    fused = rules.fuse(seeds, salient, per_image.FUSE, tags=[1], rng=rng)
    assert (fused.label_HW == per_image.CONTESTED).any()
    ours = per_image.diffusion.diffuse(image, fused, per_image.DIFFUSE, per_image.DEEPLAB)
    assert (per_image._plain_guide(image, seeds, salient) == ours).all()
    assert set(np.unique(ours)) == {0, 1, 2}


def _save_counts(folder, *, wrong=()):
    """Counts of 12 images of two classes; those in `wrong` are mistaken in every pixel."""
    images = np.tile(np.array([[[5, 0, 0], [0, 5, 0]]], np.int32), (12, 1, 1))
    images[list(wrong)] = [[0, 5, 0], [5, 0, 0]]
    for file in ("guide", "segment"):
        keys = {key for name, key in headline.LINES.values() if name == file}
        (folder / file).mkdir(parents=True)
        np.savez(folder / file / "counts.npz", **dict.fromkeys(keys, images))
    return folder


def test_headline_scores_without_the_images_that_chose_thresholds(tmp_path):
    scores = headline.scores([_save_counts(tmp_path / "a", wrong=[0, 6])])
    assert scores["guide labels, train"].seeds_S == pytest.approx(100 * 50 / 70)
    assert scores["guide labels, train, without the tuning sixth"].seeds_S == 100


def test_headline_pairs_the_images_of_two_runs(tmp_path):
    folders = [_save_counts(tmp_path / name, wrong=[3]) for name in "ab"]
    one, other = headline.scores(folders[:1]), headline.scores(folders)
    assert one["FS%, val"].text() == "100.0 (100.0 to 100.0)"
    assert other["segmenter, val"].minus(one["segmenter, val"]) == "+0.0 (+0.0 to +0.0)"
    assert " ± 0.0 (" in other["segmenter, val"].text()


def test_headline_runs_are_kept_one_by_one_and_continue(tmp_path, monkeypatch, capsys):
    """The fourth run fails. The next call starts with it, and ends with a table for each source."""
    monkeypatch.chdir(tmp_path)
    _save_counts(headline_runs.SCORES)
    calls, fails = [], [4]

    def run(command, check):
        calls.append(command[2:])
        runs = [c for c in calls if c[0] == "run"]
        return SimpleNamespace(returncode=int(command[2] == "run" and len(runs) in fails))

    monkeypatch.setattr(headline_runs.subprocess, "run", run)
    with pytest.raises(SystemExit):
        headline_runs.main("shapes", "seed.train.epochs=1")
    assert {p.name for p in headline_runs.KEPT.iterdir()} == {"net-0", "net_paper-0", "onnx-0"}
    fails.clear()
    headline_runs.main("shapes", "seed.train.epochs=1")
    uses, runs = calls[::2], calls[1::2]
    assert uses == [["use", "shapes"]] * 13 and len(list(headline_runs.KEPT.iterdir())) == 12
    assert runs[3] == runs[4] and all("seed.train.epochs=1" in r for r in runs)
    assert [r[2] for r in runs[:5]] == ["random_seed=0"] * 5 and runs[12][2] == "random_seed=2"
    assert capsys.readouterr().out.count("| FS% with CRF, val | 100.0") == 2


def test_headline_runs_change_params_that_exist():
    base = read_yaml(ROOT / "presets/shapes.yaml")
    for change in {c for changes in headline_runs.RUNS.values() for c in changes}:
        assert reduce(dict.__getitem__, change.partition("=")[0].split("."), base) is not None


def test_brought_masks_are_eroded_and_a_tenth_swapped(tmp_path):
    layout, ids = Layout(tmp_path), [f"i{n:02}" for n in range(20)]
    for n, key in enumerate(ids):
        label = np.zeros((12, 12 + n), np.uint8)
        label[2:9, 2:9], label[11] = 1 + n % 2, VOID
        formats.write_label(layout.labels("full") / f"{key}.png", label)
    truth = [(key, (layout.labels("full") / f"{key}.png").as_posix()) for key in ids]
    formats.write_table(layout.truth, truth, columns=("id", "mask"))
    other = brought.write(layout, tmp_path / "sam", width_px=2, share=0.1)
    assert len(other) == 2 and set(other) == set(other.values())
    assert all(key != value for key, value in other.items())
    for n, key in enumerate(ids):
        mask = formats.read_label(tmp_path / f"sam/{key}.png")
        assert mask.shape == (12, 12 + n)
        if key not in other:
            assert np.argwhere(mask == 1 + n % 2).tolist() == [
                [y, x] for y in range(4, 7) for x in range(4, 7)
            ]
            assert (mask[11] == VOID).all()
    first = formats.digest(tmp_path / "sam")
    brought.write(layout, tmp_path / "sam", width_px=2, share=0.1)
    assert formats.digest(tmp_path / "sam") == first
