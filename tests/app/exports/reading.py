"""Read each format back by code of our own: folder -> mask of each id, and the classes.

`libraries.py` reads the same by the libraries of the tools, which have decoders of their own.
"""

import io
import json
import zipfile
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from app.imports import coco, label_studio


def read_coco(folder):
    content = json.loads((folder / "annotations/instances_default.json").read_text("utf-8"))
    masks = {}
    for image in content["images"]:
        assert (folder / "images" / image["file_name"]).exists()
        label = masks[image["file_name"].rpartition(".")[0]] = np.zeros(
            (image["height"], image["width"]), int
        )
        for a in content["annotations"]:
            if a["image_id"] == image["id"]:
                mask = coco.decode(a["segmentation"], size=label.shape)
                assert a["area"] == mask.sum() and a["iscrowd"] == 0
                x, y, width, height = a["bbox"]
                assert mask[y : y + height, x : x + width].sum() == mask.sum()
                assert mask[y].any() and mask[y + height - 1].any()
                assert mask[:, x].any() and mask[:, x + width - 1].any()
                label[mask] = a["category_id"]
    assert [a["id"] for a in content["annotations"]] == [*range(1, len(content["annotations"]) + 1)]
    return masks, {c["id"]: c["name"] for c in content["categories"]}


def read_cvat(folder):
    with zipfile.ZipFile(folder / "annotations.zip") as z:
        ids = z.read("ImageSets/Segmentation/default.txt").decode().splitlines()
        masks = {}
        for i in ids:
            label = Image.open(io.BytesIO(z.read(f"SegmentationClass/{i}.png")))
            assert z.read(f"SegmentationObject/{i}.png") == z.read(f"SegmentationClass/{i}.png")
            masks[i] = np.array(label)
        lines = z.read("labelmap.txt").decode().splitlines()[1:]
    names = [line.split(":")[0] for line in lines]
    assert names[0] == "background" and lines[0] == "background:0,0,0::"
    assert {p.stem for p in (folder / "images").iterdir()} == set(ids)
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    assert [label["name"] for label in labels] == names[1:]
    assert labels[0]["color"] == "#800000" and lines[1].endswith(":128,0,0::")
    return masks, {i: name for i, name in enumerate(names) if i}


def read_labelstudio(folder):
    view = ElementTree.fromstring((folder / "labels.xml").read_text("utf-8"))
    brush, image = view.find("BrushLabels"), view.find("Image")
    names = [label.get("value") for label in brush]
    masks = {}
    for task in json.loads((folder / "tasks.json").read_text("utf-8")):
        url = task["data"][image.get("value")[1:]]
        (path,) = parse_qs(urlsplit(url).query)["d"]
        with Image.open(folder / path) as opened:
            width, height = opened.size
        label = masks[(folder / path).stem] = np.zeros((height, width), int)
        (prediction,) = task["predictions"]
        for r in prediction["result"]:
            assert (r["original_width"], r["original_height"]) == (width, height)
            assert (r["from_name"], r["to_name"]) == (brush.get("name"), image.get("name"))
            (name,) = r["value"]["brushlabels"]
            values = label_studio.decode(r["value"]["rle"], count=height * width * 4)
            alpha = values.reshape(height, width, 4)[:, :, 3]
            label[alpha > 0] = 1 + names.index(name)
    return masks, dict(enumerate(names, 1))


def read_yolo(folder):
    data = YAML(typ="safe").load((folder / "data.yaml").read_text("utf-8"))
    masks = {}
    for split in {data["train"], data["val"]}:
        for image in (folder / split).iterdir():
            masks_of_split = folder / split.replace("images", data["masks_dir"])
            opened = Image.open(masks_of_split / f"{image.stem}.png")
            assert opened.mode == "L"
            masks[image.stem] = np.array(opened)
    assert data["names"][0] == "background"
    return masks, {i: name for i, name in data["names"].items() if i}


def read_voc(folder):
    masks = {}
    for listed in (folder / "ImageSets/Segmentation").iterdir():
        for i in listed.read_text("utf-8").splitlines():
            assert (folder / f"JPEGImages/{i}.jpg").exists()
            opened = Image.open(folder / f"SegmentationClass/{i}.png")
            assert opened.mode == "P" and opened.getpalette()[3:6] == [128, 0, 0]
            masks[i] = np.array(opened)
    lines = (folder / "labelmap.txt").read_text("utf-8").splitlines()[1:]
    assert lines[-1] == "void:224,224,192::"
    return masks, {i: line.split(":")[0] for i, line in enumerate(lines[:-1]) if i}


READERS = {
    "coco": read_coco,
    "cvat": read_cvat,
    "labelstudio": read_labelstudio,
    "yolo": read_yolo,
    "voc": read_voc,
}
