"""Predictions in the form that a test server takes."""

import gzip
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np

from app.exports.source import BACKGROUND, read_record
from app.sources import RECORD
from pipeline.core import formats, runtime
from pipeline.core.arrays import VOID, UInt8
from pipeline.core.errors import COMMAND, MissingFileError, UserError
from pipeline.core.tables import read_text
from pipeline.dataset.voc import VOC_CLASSES

COMPETITIONS = ("comp5", "comp6")
FOLDER = "results/VOC2012/Segmentation/{}_test_cls"


def export_voc(predictions: Path, image_list: Path, archive: Path, *, competition: str) -> int:
    """Pack the predictions of VOC 2012's test images for its server; return their number.

    The archive (.tgz) holds results/VOC2012/Segmentation/comp6_test_cls/ID.png for each image of
    the list: 8-bit PNGs with VOC's palette and VOC's class indices, 0 (background) to 20. An index
    of ours becomes VOC's index of the class with the same name. Equal predictions give equal bytes.

    Source: published code writes these folder and archive names. The meaning of the competitions
    is as recalled from the devkit: comp5 is for training on VOC's own data alone, comp6 for
    training that used other data too. ImageNet weights and the boxes of the saliency network are
    other data, so comp6 fits the presets.

    Args:
        predictions: a folder that `predict` wrote.
        image_list: the server's list of ids, one on each line.
        archive: the file to write.
        competition: one of COMPETITIONS.

    Raises:
        UserError: a file or a prediction is missing, or a prediction holds what the server refuses.
    """
    if competition not in COMPETITIONS:
        raise UserError(f"no competition '{competition}'; choose {' or '.join(COMPETITIONS)}")
    to_voc = _voc_indices(predictions)
    ids = _read_ids(predictions, image_list)
    with TemporaryDirectory() as name:
        files = {}
        for key in runtime.track(ids, total=len(ids), title="export"):
            label_HW = _voc_label(predictions / f"{key}.png", to_voc)
            files[f"{FOLDER.format(competition)}/{key}.png"] = path = Path(name) / f"{key}.png"
            formats.write_label(path, label_HW)
        formats.replace_file(archive, lambda f: _pack(f, files))
    return len(ids)


def _voc_indices(predictions: Path) -> UInt8:
    """Return VOC's index of each of our indices, background first."""
    names = read_record(predictions)["classes"]
    known = (BACKGROUND, *VOC_CLASSES)
    if unknown := [name for name in names if name not in known]:
        raise UserError(
            f"{predictions / RECORD}: '{unknown[0]}' is not a VOC class; the server takes only "
            f"{', '.join(VOC_CLASSES)}"
        )
    return np.array([known.index(name) for name in names], np.uint8)


def _read_ids(predictions: Path, image_list: Path) -> Sequence[str]:
    """Read the list, and check that each of its images has a prediction."""
    if not image_list.is_file():
        raise MissingFileError(image_list, "give VOC's ImageSets/Segmentation/test.txt as --list")
    ids = list(dict.fromkeys(read_text(image_list).split()))
    if paths := [key for key in ids if Path(key).name != key]:
        raise UserError(f"{image_list}: '{paths[0]}' is a path and no id; write an id in each line")
    # Path.exists fails on a name that is too long
    if missing := [key for key in ids if not os.path.exists(predictions / f"{key}.png")]:
        raise UserError(
            f"{predictions}: {len(missing)} of {len(ids)} images of {image_list} have no "
            f"prediction: {', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}; "
            f"run `{COMMAND} predict` on them with -o {predictions}"
        )
    if not ids:
        raise UserError(f"{image_list}: holds no id; give VOC's ImageSets/Segmentation/test.txt")
    return ids


def _voc_label(path: Path, to_voc: UInt8) -> UInt8:
    """Read a prediction in VOC's indices."""
    label_HW = formats.read_label(path)
    if (highest := label_HW.max()) >= len(to_voc):
        kind = "void" if highest == VOID else "no class of the network"
        raise UserError(
            f"{path}: holds the index {highest}, which is {kind}; the server takes classes alone, "
            "so predict this image again"
        )
    return to_voc[label_HW]


def _pack(file: IO[bytes], files: dict[str, Path]) -> None:
    """Write a .tgz without times, owners and file names of this machine."""
    with (
        gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name, path in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(entry, content)
