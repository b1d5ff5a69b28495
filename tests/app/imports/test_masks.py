"""Masks from annotation tools: what `export masks` wrote comes back; faults are named."""

import json
import shutil
import zipfile

import numpy as np
import pytest
from matplotlib.path import Path as MplPath
from PIL import Image

from app.exports.label_studio import encode
from app.imports import masks
from app.imports.drawn import fill
from app.imports.label_studio import decode
from app.imports.masks import import_masks
from pipeline.core import formats
from pipeline.core.errors import UserError
from tests.app.exports.conftest import labels
from tests.project import ROOT, Project

NAMES = ("coco", "cvat", "labelstudio", "voc")


def without_void(mask):
    return np.where(mask == 255, 0, mask).astype(np.uint8)


def accept(folder):
    """Return the file that Label Studio exports after somebody has accepted all predictions."""
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    for task in tasks:
        (prediction,) = task.pop("predictions")
        task["annotations"] = [{"result": prediction["result"], "was_cancelled": False}]
    (folder / "exported.json").write_text(json.dumps(tasks))
    return folder / "exported.json"


def unpack(folder):
    """Return the folder that CVAT exports: its masks are colour images."""
    with zipfile.ZipFile(folder / "annotations.zip") as z:
        z.extractall(folder / "cvat")
    for path in (folder / "cvat/SegmentationClass").iterdir():
        Image.open(path).convert("RGB").save(path)
    return folder / "cvat"


SOURCES = {"coco": lambda folder: folder, "cvat": unpack, "labelstudio": accept,
           "voc": lambda folder: folder}  # fmt: skip


def bring(layout, source, name, **options):
    done = import_masks(source, layout.root / "out", name=name, layout=layout, **options)
    paths = sorted((layout.root / "out").rglob("*.png"))
    return done, {
        p.relative_to(layout.root / "out").as_posix()[:-4]: formats.read_label(p) for p in paths
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_was_exported_comes_back_the_same(layout, exported, name):
    source = SOURCES[name](exported(name, labels()))
    done, found = bring(layout, source, name, keep_empty=True)
    assert (done.count, done.replaced, done.left_out) == (4, 0, {})
    assert done.with_void == (name == "voc")
    assert found.keys() == labels().keys()
    for key, mask in labels().items():
        assert np.array_equal(found[key], mask if name == "voc" else without_void(mask)), key


def test_polygons_come_back_within_their_tolerance(layout, exported):
    """A pixel may differ only beside the outline, which the polygon may leave by 1 px."""
    ring = np.zeros((36, 24), np.uint8)
    rows, columns = np.ogrid[:36, :24]
    distance = np.hypot(rows - 17.5, columns - 11.5)
    ring[(distance < 11) & (distance > 4)] = 2
    square = np.zeros((17, 31), np.uint8)
    square[3:13, 4:20], square[5:11, 6:12] = 1, 0  # straight edges and a hole: exact
    source = exported("coco", {"turned": ring, "full": square}, polygons=True)
    _, found = bring(layout, source, "coco")
    assert np.array_equal(found["full"], square)
    wrong = found["turned"] != ring
    assert 0 < wrong.sum() < 0.1 * (ring > 0).sum()
    for radius in (4, 11):
        distance[np.abs(distance - radius) <= 1.5] = np.nan
    assert not (wrong & ~np.isnan(distance)).any()


def cvat_xml(*shapes, name="full.png", size=(17, 31)):
    """Return a file of CVAT with an image, and shapes: (tag, label, z_order, attributes)."""
    lines = "".join(
        f'<{tag} label="{label}" z_order="{z}" {attributes}/>'
        for tag, label, z, attributes in shapes
    )
    return (
        f'<annotations><image name="sub/{name}" height="{size[0]}" width="{size[1]}">{lines}'
        "</image></annotations>"
    )


def box_rle(mask, left, top):
    """Encode a mask as CVAT does: runs along the rows of its box, from a run of zeros."""
    runs, value = [0], 0
    for pixel in mask.ravel():
        if pixel != value:
            runs, value = [*runs, 0], pixel
        runs[-1] += 1
    height, width = mask.shape
    box = f'left="{left}" top="{top}" width="{width}" height="{height}"'
    return f'rle="{", ".join(map(str, runs))}" {box}'


def test_xml_of_cvat_has_masks_and_polygons_in_layers(layout, tmp_path):
    part = np.array([[1, 1, 0], [0, 1, 1]])
    (tmp_path / "annotations.xml").write_text(cvat_xml(
        ("mask", "cat", 1, box_rle(part, 4, 3)),
        ("polygon", "polar bear", 0, 'points="2.0,2.0;10.0,2.0;10.0,6.0;2.0,6.0"'),
        ("box", "cat", 5, 'xtl="0" ytl="0" xbr="9" ybr="9"'),
        ("tag", "cat", 0, ""),
    ))  # fmt: skip
    done, found = bring(layout, tmp_path / "annotations.xml", "cvat")
    expected = np.zeros((17, 31), np.uint8)
    expected[2:6, 2:10] = 2
    expected[3, 4:6] = expected[4, 5:7] = 1  # it lies above the polygon
    assert done.count == 1 and np.array_equal(found["full"], expected)


def test_pixels_that_two_classes_claim_are_void(layout, tmp_path):
    (tmp_path / "a.xml").write_text(cvat_xml(
        ("polygon", "cat", 0, 'points="0,0;4,0;4,4;0,4"'),
        ("polygon", "polar_bear", 0, 'points="2,0;6,0;6,4;2,4"'),
        ("polygon", "void", 0, 'points="0,8;2,8;2,9;0,9"'),
    ))  # fmt: skip
    done, found = bring(layout, tmp_path / "a.xml", "cvat")
    assert found["full"][0, :7].tolist() == [1, 1, 255, 255, 2, 2, 0]
    assert found["full"][8, :3].tolist() == [255, 255, 0] and done.with_void == 1


def brush(label, mask):
    height, width = mask.shape
    return {
        "type": "brushlabels", "original_width": width, "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode(mask), "brushlabels": [label]},
    }  # fmt: skip


def test_label_studios_annotators_decide_together_and_skipped_ones_do_not(layout, tmp_path):
    one, two = np.zeros((2, 17, 31), bool)
    one[:, :6], two[:, :4] = True, True
    triangle = {
        "type": "polygonlabels", "original_width": 31, "original_height": 17,
        "value": {"points": [[0, 0], [100, 0], [100, 100], [0, 100]], "polygonlabels": ["cat"]},
    }  # fmt: skip
    annotations = [
        {"result": [brush("cat", one), {"type": "choices", "value": {"choices": ["cat"]}}]},
        {"result": [brush("cat", two)]},
        {"result": [triangle], "was_cancelled": True},
    ]
    tasks = [
        {"data": {"image": "/data/upload/1/0a1b2c3d-full.png"}, "annotations": annotations},
        {"data": {"image": "turned.png"}, "annotations": []},
    ]
    (tmp_path / "t.json").write_text(json.dumps(tasks))
    done, found = bring(layout, tmp_path / "t.json", "labelstudio")
    assert found.keys() == {"full"} and done.left_out == {masks.EMPTY: ["turned.png"]}
    assert found["full"][0, :7].tolist() == [1, 1, 1, 1, 255, 255, 0]
    annotations[2]["was_cancelled"] = False
    del annotations[:2]
    (tmp_path / "t.json").write_text(json.dumps(tasks))
    assert (bring(layout, tmp_path / "t.json", "labelstudio")[1]["full"] == 1).all()


def test_literal_runs_of_label_studio_are_read():
    bits = f"{8:032b}{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits += f"0{0:02b}{1:03b}{9:08b}{200:08b}" + f"1{1:02b}{5:04b}{7:08b}"  # two values, then six 7
    rle = [int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]
    assert decode(rle, count=8).tolist() == [9, 200, 7, 7, 7, 7, 7, 7]


def coco_file(path, segmentation, **image):
    image = {"id": 7, "file_name": "full.png", "height": 17, "width": 31} | image
    annotation = {"image_id": 7, "category_id": 3, "segmentation": segmentation}
    categories = [{"id": 3, "name": "cat"}]
    content = {"images": [image], "categories": categories, "annotations": [annotation]}
    path.write_text(json.dumps(content))
    return path


def test_coco_has_uncompressed_run_lengths_too_and_boxes_draw_nothing(layout, tmp_path):
    counts = {"size": [17, 31], "counts": [17, 3, 17 * 30 - 3]}  # down the second column
    _, found = bring(layout, coco_file(tmp_path / "a.json", counts), "coco")
    assert np.argwhere(found["full"] == 1).tolist() == [[0, 1], [1, 1], [2, 1]]
    with pytest.raises(UserError, match=r"gives no mask .nothing is drawn there.* full.png"):
        bring(layout, coco_file(tmp_path / "a.json", []), "coco")


def test_images_that_give_no_mask_are_listed_and_others_replace_a_file(layout, exported, tmp_path):
    many = labels()
    many["full"] = np.full_like(many["full"], 255)
    many["full"][0, 0] = 0
    folder = exported("voc", many)
    (folder / "SegmentationClass/turned.png").rename(folder / "SegmentationClass/other.png")
    formats.write_label(tmp_path / "out/two words.png", many["two words"] * 0)
    done, found = bring(layout, folder, "voc")
    assert done.left_out == {
        masks.BLACK_AND_WHITE: ["full.png"],
        masks.EMPTY: ["Zoë 日本.png"],
        masks.OTHER: ["other.png"],
    }
    assert (done.count, done.replaced) == (1, 1)
    assert np.array_equal(found["two words"], many["two words"])
    assert [p.name for p in tmp_path.glob(".*")] == []  # no temporary folder stays


@pytest.mark.parametrize("name, make, message", [
    ("png", lambda f: f, "no format 'png'; choose one of coco, cvat, labelstudio, voc"),
    ("coco", lambda f: f / "x.json", "x.json: not found; give what the annotation tool exported"),
    ("coco", lambda f: coco_file(f / "a.json", [[1, 2, 3]]), "cannot be read (a po"),
    ("coco", lambda f: coco_file(f / "a.json", {"size": [17, 31], "counts": "1"}), "do not fill"),
    ("coco", lambda f: coco_file(f / "a.json", {"size": [3, 1], "counts": "1"}), "is not 31 x"),
    ("coco", lambda f: coco_file(f / "a.json", [], width=30), "has 30 x 17 px, but"),
    ("coco", lambda f: text(f / "a.json", "{}"), "a.json: not in COCO format (at 'categories')"),
    ("labelstudio", lambda f: text(f / "a.json", "{}"), "a.json: not an export of Label Studio"),
    ("cvat", lambda f: text(f / "a.zip", ""), "a.zip: is an archive; unpack it"),
    ("cvat", lambda f: text(f / "a.xml", cvat_xml(("ellipse", "cat", 0, ""))), "draw masks or"),
    ("cvat", lambda f: text(f / "a.xml", cvat_xml(("polygon", "dog", 0, ""))), "'dog' is not a cl"),
    ("cvat", lambda f: text(f / "a.xml", cvat_xml(("polygon", "cat", 0, ""))), "cannot be read"),
    ("voc", lambda f: f, "SegmentationClass: not found; unpack what the annotation tool exported"),
])  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(layout, tmp_path, name, make, message):
    with pytest.raises(UserError) as e:
        bring(layout, make(tmp_path), name)
    assert message in str(e.value) and "\n" not in str(e.value)
    assert not [*tmp_path.glob("out/*")] and not [*tmp_path.glob(".out*")]


def text(path, content):
    path.write_text(content)
    return path


def test_a_colour_without_a_name_is_refused(layout, exported):
    folder = exported("voc", {"full": labels()["full"]})
    Image.new("RGB", (31, 17), (9, 8, 7)).save(folder / "SegmentationClass/full.png")
    with pytest.raises(
        UserError, match=r"full\.png: holds the colour 9,8,7; add its line to labelmap"
    ):
        bring(layout, folder, "voc")
    (folder / "labelmap.txt").write_text("cat:300,0,0::\n")
    with pytest.raises(UserError, match=r"labelmap\.txt: line 1 is not NAME:R,G,B::; correct it"):
        bring(layout, folder, "voc")
    (folder / "labelmap.txt").unlink()
    with pytest.raises(UserError, match=r"labelmap\.txt: not found; it names the colours"):
        bring(layout, folder, "voc")


@pytest.mark.parametrize("seed", range(20))
def test_a_polygon_is_filled_where_the_centre_of_a_pixel_lies_inside(seed):
    """By an independent computation: matplotlib's paths."""
    points = np.random.default_rng(seed).uniform(-3, 14, (3, 2))
    rows, columns = np.mgrid[:9, :12] + 0.5
    inside = MplPath(points).contains_points(np.column_stack([columns.ravel(), rows.ravel()]))
    assert np.array_equal(fill(points.tolist(), size=(9, 12)), inside.reshape(9, 12))


def test_the_command_says_what_it_did_and_what_to_type_next(layout, exported, tmp_path):
    here = Project(tmp_path).here
    shutil.copyfile(ROOT / "presets/shapes.yaml", tmp_path / "params.yaml")
    call = ("cli.py", "import", "masks", str(exported("coco", labels())), "--format", "coco")
    refused = here(*call, check=False)
    assert refused.returncode == 1 and "is not a project; run" in refused.stderr
    (tmp_path / "dvc.yaml").touch()
    said = here(*call).stdout.splitlines()
    assert said[:2] == [
        f"left out: {masks.EMPTY}: 1 (Zoë 日本.png)",
        "3 masks in data/corrections; 0 replaced earlier ones; 0 hold void",
    ]
    assert said[-1] == 'python cli.py run -S "segment.supervision=[corrected,guide]"'
    assert len([*tmp_path.glob("data/corrections/*.png")]) == 3
    found = json.loads(here(*call, "--json", "-o", "other", "--keep-empty").stdout)
    assert (found["output"], found["count"], found["left_out"]) == ("other", 4, {})
    layout.samples.unlink()
    assert "samples.csv: not found; run `python cli.py run`" in here(*call, check=False).stderr
