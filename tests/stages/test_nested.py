"""The chain on images in sub-folders."""

import pytest

from pipeline.core.layout import Layout
from pipeline.core.samples import read_samples
from pipeline.core.tables import read
from tests.project import CHAIN

STAGES = [stage.rpartition(":")[2].replace("@", " ") for stage in CHAIN]
LEFT = [stage for stage in STAGES if stage not in ("generate", "train_saliency")]
RESULTS = {
    "maps": ".npz", "fused/labels": ".png", "labels/guide": ".png", "labels/full": ".png",
    "logits/guide": ".npz", "refined/guide": ".png",
}  # fmt: skip


def nest(project):
    """Move the images and masks of the generated data set into folders. Return the new ids."""
    root = project.root / "data/raw/shapes"
    table = read(root / "tags.csv", columns=("id", "tags", "split"))
    ids = {row["id"]: f"{'ab'[i % 2]}/{i % 3}/{row['id']}" for i, row in enumerate(table.rows)}
    for folder in ("images", "masks"):
        for path in list((root / folder).iterdir()):
            target = root / folder / f"{ids[path.stem]}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    lines = [f"{ids[row['id']]},{row['tags']},{row['split']}\n" for row in table.rows]
    (root / "tags.csv").write_text("id,tags,split\n" + "".join(lines))
    return ids


@pytest.mark.slow
def test_nested_images_give_the_results_of_flat_ones(finished, project):
    ids = nest(project)
    project.stages(*LEFT)
    flat, nested = Layout(finished.root), Layout(project.root)
    assert [s.id for s in read_samples(nested.samples)] == [
        ids[s.id] for s in read_samples(flat.samples)
    ]
    for folder, suffix in RESULTS.items():
        files = sorted((finished.root / "data" / folder).rglob(f"*{suffix}"))
        assert files
        for file in files:
            twin = project.root / "data" / folder / f"{ids[file.stem]}{suffix}"
            assert twin.read_bytes() == file.read_bytes(), twin
    assert project.scores()["refined_guide"] == finished.scores()["refined_guide"]
    # The panels of the flat run are still there, because nothing but DVC removes them.
    panels = [p for p in (nested.report / "panels").rglob("*.jpg") if p.parent.name.isdigit()]
    assert len(panels) == len([*(flat.report / "panels").rglob("*.jpg")])
    project.here("cli.py", "export", "masks", "guide", "--format", "voc", "-o", "voc")
    shown = (project.root / "voc/ImageSets/Segmentation/val.txt").read_text().split()
    assert all((project.root / f"voc/SegmentationClass/{key}.png").exists() for key in shown)
    assert {key.count("/") for key in shown} == {2}
