"""Saliency maps that the user gives: all missing ones are named together."""

import numpy as np
import pytest

from pipeline.core import formats, shards
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.samples import Sample
from pipeline.saliency.config import SaliencyFolder
from pipeline.saliency.folder import require_maps
from stages import saliency

IDS = [f"p{i:02}" for i in range(25)]


def write_maps(root, ids):
    for key in ids:
        formats.write_grey(root / f"{key}.png", np.zeros((3, 4)))


def test_of_many_missing_maps_twenty_are_named(tmp_path):
    write_maps(tmp_path, IDS[:2])
    with pytest.raises(UserError, match=r"23 of 25 images have no map ID\.png: p02, ") as error:
        require_maps(tmp_path, IDS)
    assert "p21, ... (23 in all); add the maps" in str(error.value) and "p22" not in str(
        error.value
    )
    write_maps(tmp_path, IDS)
    require_maps(tmp_path, IDS)


def test_maps_in_archives_are_found(tmp_path):
    write_maps(tmp_path, IDS)
    shards.pack(tmp_path, IDS, per_shard=10)
    require_maps(tmp_path, IDS)
    with pytest.raises(UserError, match="1 of 1 images have no map"):
        require_maps(tmp_path, ["q"])


def test_the_stage_names_missing_maps_before_it_reads_one(tmp_path, monkeypatch):
    write_maps(tmp_path, IDS[:1])
    monkeypatch.setattr(formats, "read_grey", lambda _: 1 / 0)
    samples = [Sample(key, tmp_path / "x.png", "train", (), 3, 4, "") for key in IDS[:3]]
    monkeypatch.setattr(saliency, "read_samples", lambda _: samples)
    with pytest.raises(UserError, match="2 of 3 images have no map"):
        saliency.run(Layout(tmp_path), "folder", options=SaliencyFolder(root=tmp_path))
