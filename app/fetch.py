"""Download data sets and weights, with the addresses and checksums of torchvision and rembg."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError, unwritable

CHUNK = 1 << 20
U2NETP = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx"
U2NETP_MD5 = "8e83ca70e441ab06c318d82300c84806"


def download(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path`, and verify its md5. An incomplete download resumes.

    Raises:
        UserError: the download failed or broke off, the checksum is wrong, or `path` cannot be
            written.
    """
    from torchvision.datasets.utils import check_integrity

    if check_integrity(str(path), md5):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise unwritable(path, e) from e
    part = path.with_name(path.name + ".part")
    start, remaining = part.stat().st_size if part.exists() else 0, 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            resumed = answer.status == 206
            remaining = int(answer.headers.get("Content-Length", 0))
            start = start if resumed else 0
            with part.open("ab" if resumed else "wb") as f:
                chunks = iter(lambda: answer.read(CHUNK), b"")
                for chunk in runtime.track(chunks, total=-(-remaining // CHUNK), title=path.name):
                    f.write(chunk)
    except urllib.error.HTTPError as e:
        if e.code != 416:  # 416: nothing is left to send, so the file is complete
            raise UserError(f"{url}: the server answers {e.code}; try again later") from e
    except OSError as e:
        raise UserError(
            f"{url}: {e}; check the connection and run the command again to resume, or save the "
            f"file as {path} yourself"
        ) from e
    if part.stat().st_size < start + remaining:
        raise UserError(f"{url}: the connection broke off; run the command again to resume")
    if not check_integrity(str(part), md5):
        part.unlink()
        raise UserError(f"{path}: wrong checksum; run the command again to download it again")
    part.rename(path)


def _voc2012(root: Path) -> str:
    from torchvision.datasets.utils import extract_archive
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    source = DATASET_YEAR_DICT["2012"]
    archive = root / source["filename"]
    download(source["url"], archive, source["md5"])
    runtime.say(f"unpacking {archive}")
    extract_archive(str(archive), str(root))
    return (
        f"VOC 2012 is in {root / source['base_dir']}; set data.root to it, or use a voc2012 preset"
    )


def _sbd(root: Path) -> str:
    """Download SBD, and add SegmentationClassAug/ and train_aug.txt to the VOC 2012 folder."""
    from torchvision.datasets import SBDataset
    from torchvision.datasets.utils import extract_archive

    voc = root / "VOCdevkit/VOC2012"
    if not voc.is_dir():
        raise UserError(f"{voc}: not found; run `python cli.py fetch voc2012` first")
    archive = root / SBDataset.filename
    download(SBDataset.url, archive, SBDataset.md5)
    runtime.say(f"unpacking {archive}")
    extract_archive(str(archive), str(root))
    convert_sbd(root / "benchmark_RELEASE/dataset", voc)
    return f"SBD's masks are in {voc}; to use them, set data.options.voc.train_list to train_aug"


def _u2netp(root: Path) -> str:
    path = root / U2NETP.rsplit("/", 1)[-1]
    download(U2NETP, path, U2NETP_MD5)
    return f"the small U2-Net is {path}; set saliency.options.onnx.file to it"


def convert_sbd(sbd: Path, voc: Path) -> None:
    """Convert MAT files to label PNGs, and write the list train_aug.

    It holds VOC train, and all SBD images that are not in VOC val.
    """
    lists = voc / "ImageSets/Segmentation"
    train, val = ((lists / f"{s}.txt").read_text().split() for s in ("train", "val"))
    sbd_keys = {key for s in ("train", "val") for key in (sbd / f"{s}.txt").read_text().split()}
    extra = sorted(sbd_keys - set(train) - set(val))
    for key, label in runtime.track(_sbd_labels(sbd, extra), total=len(extra), title="sbd"):
        formats.write_label(voc / "SegmentationClassAug" / f"{key}.png", label)
    (lists / "train_aug.txt").write_text("\n".join([*train, *extra]) + "\n")


def _sbd_labels(sbd: Path, keys: list[str]) -> Iterator[tuple[str, UInt8]]:
    from scipy.io import loadmat

    for key in keys:
        content = loadmat(sbd / "cls" / f"{key}.mat")
        yield key, np.asarray(content["GTcls"][0]["Segmentation"][0], dtype=np.uint8)


DATASETS: dict[str, Callable[[Path], str]] = {"voc2012": _voc2012, "sbd": _sbd, "u2netp": _u2netp}


def fetch(dataset: str, root: Path) -> str:
    """Download one of DATASETS into `root`. Return where it is and which param to set."""
    return DATASETS[dataset](root)
