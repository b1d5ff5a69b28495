"""Downloads: addresses and checksums are torchvision's and rembg's; a broken download goes on."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError

CHUNK = 1 << 20
U2NETP = "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx"
U2NETP_MD5 = "8e83ca70e441ab06c318d82300c84806"


def download(url: str, path: Path, md5: str) -> None:
    """Download `url` to `path`, from where an earlier try stopped, and check its md5.

    Raises:
        UserError: no connection, or the file that came is not the one expected.
    """
    from torchvision.datasets.utils import check_integrity

    if check_integrity(str(path), md5):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    have, total = part.stat().st_size if part.exists() else 0, 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            resumed = answer.status == 206
            total = int(answer.headers.get("Content-Length", 0))
            have = have if resumed else 0
            with part.open("ab" if resumed else "wb") as f:
                chunks = iter(lambda: answer.read(CHUNK), b"")
                for chunk in runtime.track(chunks, total=-(-total // CHUNK), title=path.name):
                    f.write(chunk)
    except urllib.error.HTTPError as e:
        if e.code != 416:  # nothing left to send: the part is whole
            raise UserError(f"{url}: the server answers {e.code}; try again later") from e
    except OSError as e:
        said = f"{url}: {e}; check the connection and run again, it goes on"
        raise UserError(f"{said}, or put the file at {path} yourself") from e
    if part.stat().st_size < have + total:
        raise UserError(f"{url}: the connection broke off; run again, it goes on")
    if not check_integrity(str(part), md5):
        part.unlink()
        raise UserError(f"{path}: the checksum is wrong; run again, it starts anew")
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
    """SBD's masks as SegmentationClassAug/ and train_aug.txt inside the VOC 2012 folder."""
    from torchvision.datasets import SBDataset
    from torchvision.datasets.utils import extract_archive

    voc = root / "VOCdevkit/VOC2012"
    if not voc.is_dir():
        raise UserError(f"{voc} not found; run `python cli.py fetch voc2012` first")
    archive = root / SBDataset.filename
    download(SBDataset.url, archive, SBDataset.md5)
    runtime.say(f"unpacking {archive}")
    extract_archive(str(archive), str(root))
    convert_sbd(root / "benchmark_RELEASE/dataset", voc)
    return f"SBD's masks are in {voc}; the list train_aug names the images"


def _u2netp(root: Path) -> str:
    path = root / U2NETP.rsplit("/", 1)[-1]
    download(U2NETP, path, U2NETP_MD5)
    return f"{path} is the small U2-Net; saliency.options.onnx.file is to name it"


def convert_sbd(sbd: Path, voc: Path) -> None:
    """MAT files to label PNGs; train_aug is VOC train and all of SBD without VOC val."""
    lists = voc / "ImageSets/Segmentation"
    train, val = ((lists / f"{s}.txt").read_text().split() for s in ("train", "val"))
    both = {line for s in ("train", "val") for line in (sbd / f"{s}.txt").read_text().split()}
    extra = sorted(both - set(train) - set(val))
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
    """Fetch one of DATASETS into `root`; says where it is and what params name it."""
    return DATASETS[dataset](root)
