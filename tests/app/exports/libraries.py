"""Read an export with the format's own library, in the environment that `make formats` makes.

`python libraries.py FORMAT FOLDER` prints JSON: the rows of the mask of each id.
"""

import contextlib
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np


def read_coco(folder):
    """By pycocotools, and the same by datumaro."""
    from pycocotools.coco import COCO

    coco = COCO(folder / "annotations/instances_default.json")
    masks = {}
    for image in coco.loadImgs(coco.getImgIds()):
        label = np.zeros((image["height"], image["width"]), int)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            label[coco.annToMask(annotation) > 0] = annotation["category_id"]
        masks[image["file_name"].rpartition(".")[0]] = label
    if isinstance(next(iter(coco.anns.values()))["segmentation"], dict):
        again = read_datumaro(folder, "coco_instances", first=1)
        assert {i: m.tolist() for i, m in again.items()} == {
            i: m.tolist() for i, m in masks.items()
        }
    return masks


def read_cvat(folder):
    """By datumaro, on which CVAT's import is built. CVAT refuses masks without a label."""
    with zipfile.ZipFile(folder / "annotations.zip") as z:
        z.extractall(folder / "unpacked")
    (folder / "images").rename(folder / "unpacked/JPEGImages")  # CVAT has the images already
    return read_datumaro(folder / "unpacked", "voc_segmentation")


def read_datumaro(folder, name, *, first=0):
    """Read masks. `first` is the index of the first label."""
    from datumaro import AnnotationType, Dataset

    masks = {}
    for item in Dataset.import_from(str(folder), name):
        label = np.zeros(item.media.size, int)
        for a in item.annotations:
            assert a.type in (AnnotationType.mask, AnnotationType.bbox)  # it reads COCO's boxes too
            if a.type == AnnotationType.mask:
                label[np.asarray(a.image) > 0] = a.label + first
        masks[item.id] = label
    return masks


def read_voc(folder):
    """By datumaro. It numbers void after the classes, because labelmap.txt lists it there."""
    names = (folder / "labelmap.txt").read_text("utf-8").splitlines()[1:]
    masks = read_datumaro(folder, "voc_segmentation")
    return {i: np.where(m == len(names) - 1, 255, m) for i, m in masks.items()}


def read_labelstudio(folder):
    """By label-studio-sdk, which also validates the predictions by the labelling interface."""
    from label_studio_sdk.converter.brush import decode_from_annotation
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "labels.xml").read_text("utf-8"))
    (tag,) = [t for t in interface.controls if t.tag == "BrushLabels"]
    masks = {}
    for task in json.loads((folder / "tasks.json").read_text("utf-8")):
        (prediction,) = task["predictions"]
        assert interface.validate_prediction(prediction)
        path = interface_path(task["data"]["image"])
        from PIL import Image

        with Image.open(folder / path) as image:
            label = np.zeros((image.height, image.width), int)
        for r in prediction["result"]:
            flat = {**r, **r["value"]}
            ((_, alpha),) = decode_from_annotation(r["from_name"], [flat]).items()
            label[alpha > 0] = 1 + list(tag.labels).index(r["value"]["brushlabels"][0])
        masks[path.stem] = label
    return masks


def interface_path(url):
    """Return the path that Label Studio serves, below its document root."""
    from urllib.parse import parse_qs, urlsplit

    return Path(parse_qs(urlsplit(url).query)["d"][0])


def read_yolo(folder):
    """By ultralytics, with torch from the environment of the tests."""
    sys.path.append(os.environ["TORCH_FOLDER"])
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import SemanticDataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(folder / "data.yaml", autodownload=False)
    dataset = SemanticDataset(
        img_path=data["train"], data=data, hyp=get_cfg(), imgsz=64, augment=False, task="semantic"
    )
    return {
        Path(label["im_file"]).stem: dataset.load_mask(i) for i, label in enumerate(dataset.labels)
    }


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        read = globals()[f"read_{sys.argv[1]}"](Path(sys.argv[2]))
    print(json.dumps({key: mask.tolist() for key, mask in read.items()}))
