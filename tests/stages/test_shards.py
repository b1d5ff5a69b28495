"""With GUIDELABEL_SHARD, the stages write and read tars, and the scores stay the same."""

import numpy as np
import pytest

from pipeline.core import formats, shards
from pipeline.core.layout import Layout
from stages import _resume

AFTER_GENERATE = (
    "prepare", "seed", "evaluate_seed", "saliency_net", "evaluate_saliency", "fuse", "diffuse",
    "evaluate_guide", "train_segment guide", "predict guide", "refine guide", "evaluate_segment",
    "report",
)  # fmt: skip
IDS = ["a", "b", "c", "d"]
TARS = {".tar", ".idx"}


def test_a_chain_of_tars_gives_the_same_scores(project):
    before, model = project.scores(), formats.digest(Layout().segmenter("guide"))
    project.stages(*AFTER_GENERATE, GUIDELABEL_SHARD="10")
    layout = Layout()
    for folder in (
        layout.maps, layout.saliency("net"), layout.seeds, layout.fused, layout.labels("full"),
        layout.labels("guide"), layout.logits("guide"), layout.refined("guide"),
    ):  # fmt: skip
        assert suffixes(folder) == TARS
    assert not list(layout.report.rglob("*.tar"))
    assert formats.digest(layout.segmenter("guide")) == model
    assert project.scores() == before


def test_stages_read_tars_and_single_files_beside_each_other(project):
    """Of single files fuse makes tars, and of these diffuse makes single files."""
    layout, scores = Layout(), project.scores()
    before = formats.digest(layout.labels("guide"))
    project.stages("fuse", GUIDELABEL_SHARD="10")
    assert suffixes(layout.fused) == suffixes(layout.seeds) == TARS
    assert suffixes(layout.maps) == {".npz"}
    project.stages("diffuse", "evaluate_guide")
    assert formats.digest(layout.labels("guide")) == before
    assert project.scores() == scores


def suffixes(folder):
    return {path.suffix for path in folder.iterdir()}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A call writes the labels that are not there yet, and packs them. It returns their ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stages", "fuse"])
    layout = Layout()

    def call(shard, *, kill=None):
        written = []
        monkeypatch.setenv("GUIDELABEL_SHARD", shard)
        with monkeypatch.context() as patch:
            if kill in ("pack", "_replace"):
                patch.setattr(shards if kill == "pack" else _resume, kill, stop)
            elif kill == "unlink":  # the first tar is there, and none of the others
                patch.setattr("pathlib.Path.unlink", stop)
            with _resume.outputs(
                layout, [layout.seeds, layout.fused], inputs=[], params_key="", ids=IDS,
                network=False,
            ) as work:  # fmt: skip
                for key in sorted({*IDS} - _resume.finished_ids(work.seeds, work.fused)):
                    for folder in (work.seeds, work.fused):
                        formats.write_label(folder / f"{key}.png", label(key))
                    written.append(key)
                    if kill == key:
                        stop()
        return written

    return call


def stop(*_, **__):
    raise KeyboardInterrupt


def label(key):
    return np.full((2, 3), IDS.index(key), np.uint8)


@pytest.mark.parametrize("first, kill, then, per_shard", [
    ("0", "b", "2", 2), ("2", "b", "0", 0), ("2", "pack", "0", 0), ("0", "_replace", "2", 2),
    ("2", "unlink", "0", 2), ("2", "_replace", "3", 2),
])  # fmt: skip
def test_a_killed_stage_goes_on_with_another_value(make, first, kill, then, per_shard):
    """No image is made twice. The last value decides, but tars that are there stay as they are."""
    with pytest.raises(KeyboardInterrupt):
        make(first, kill=kill)
    assert make(then) == (["c", "d"] if kill == "b" else [])
    layout = Layout()
    for folder in (layout.seeds, layout.fused):
        assert shards.ids(folder) == {*IDS} and suffixes(folder) in (TARS, {".png"})
        for key in IDS:
            assert (formats.read_label(folder / f"{key}.png") == label(key)).all()
    tars = sorted(path.stem for path in layout.seeds.glob("*.tar"))
    assert tars == [f"{i:05d}" for i in range(per_shard)]  # 4 images: 2 tars of 2
