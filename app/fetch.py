"""Download data sets and weights over TLS, verify them, and unpack them.

The checksums are of the files that torchvision and rembg download. They pin the content: a server
that sends anything else gets a refusal.
"""

import gzip
import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np

from pipeline.core import formats, runtime
from pipeline.core.arrays import UInt8
from pipeline.core.errors import COMMAND, UserError, unwritable
from pipeline.core.remote import shown

CHUNK = 1 << 20
GIB = 1 << 30
MAX_DOWNLOAD_BYTES = 4 * GIB  # VOC 2012 has 2 GB
MAX_UNPACKED_BYTES = 16 * GIB
MAX_UNPACKED_FILES = 500_000  # VOC 2012 has 60,000


class Source(NamedTuple):
    """A file on a server, and the SHA-256 of its content in hex digits."""

    url: str
    sha256: str


# The checksums of VOC and SBD are published in torchvision's prototype data sets, and that of VOC
# in TensorFlow Datasets too. That of u2netp is of the file that has the md5 of rembg.
VOC2012 = Source(
    "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
    "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
)
SBD = Source(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
    "benchmark.tgz",
    "6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53",
)
U2NETP = Source(
    "https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx",
    "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
)


class _TlsOnly(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but only to addresses that start with https."""

    def redirect_request(  # the names are urllib's
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        _require_tls(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_tls(url: str) -> None:
    if not url.startswith("https://"):
        raise UserError(f"{shown(url)}: is not an https address; get the file another way")


def open_over_tls(request: str | urllib.request.Request) -> Any:
    """Open an address that starts with https. A redirect may lead only to another such address.

    Raises:
        OSError: the connection failed, or the server refuses.
        UserError: a redirect leads to an address without TLS.
    """
    return urllib.request.build_opener(_TlsOnly).open(request, timeout=60)


def download(source: Source, path: Path) -> None:
    """Download a file to `path` over TLS, and verify its SHA-256. An incomplete download resumes.

    Raises:
        UserError: the address, or one that it redirects to, is not https; the download failed,
            broke off or is too large; the checksum is wrong; or `path` cannot be
            written.
    """
    if path.is_file() and _sha256(path) == source.sha256:
        return
    _require_tls(source.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise unwritable(path, e) from e
    part = path.with_name(path.name + ".part")
    try:
        _receive(source.url, part, title=path.name)
    except urllib.error.HTTPError as e:
        if e.code != 416:  # 416: nothing is left to send, so the file is complete
            raise UserError(f"{source.url}: the server answers {e.code}; try again later") from e
    except OSError as e:
        raise UserError(
            f"{source.url}: {e}; check the connection and run the command again to resume, or save "
            f"the file as {path} yourself"
        ) from e
    if _sha256(part) != source.sha256:
        part.unlink()
        raise UserError(f"{path}: wrong checksum; run the command again to download it again")
    part.rename(path)


def _receive(url: str, part: Path, *, title: str) -> None:
    """Append to `part` what is missing of it.

    Raises:
        OSError: the connection failed, or the server refuses.
        UserError: the connection broke off, or the server sends too much.
    """
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with open_over_tls(request) as answer:
        resumed = answer.status == 206
        remaining = int(answer.headers.get("Content-Length", 0))
        size = start if resumed else 0
        expected = size + remaining
        with part.open("ab" if resumed else "wb") as f:
            chunks = iter(lambda: answer.read(CHUNK), b"")
            for chunk in runtime.track(chunks, total=-(-remaining // CHUNK), title=title):
                size += f.write(chunk)
                if size > MAX_DOWNLOAD_BYTES:
                    break
    if size > MAX_DOWNLOAD_BYTES:
        part.unlink()
        raise UserError(f"{url}: sends more than {MAX_DOWNLOAD_BYTES} bytes; try again later")
    if size < expected:
        raise UserError(f"{url}: the connection broke off; run the command again to resume")


def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def unpack(archive: Path, root: Path) -> None:
    """Write the files of a tar archive below `root`.

    The checksum already pins the content. These checks hold for a file that somebody saved as
    `archive` too, and for a checksum that is pinned wrongly.

    Raises:
        UserError: the archive is damaged, or is too large; or an entry lies outside `root`, or is
            a link or a device.
    """
    try:
        with tarfile.open(archive) as tar:
            size = 0
            for count, entry in enumerate(tar, 1):
                size += entry.size
                _require_plain(archive, entry, size=size, count=count)
                if entry.isfile():
                    _write_entry(tar, entry, root / entry.name)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise UserError(f"{archive}: is damaged; delete it and fetch it again") from e


def _write_entry(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    """Write one file.

    Raises:
        UserError: there is a file where the entry needs a folder, or the other way round.
    """
    content = tar.extractfile(entry)
    assert content is not None  # a file has content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as f:
            shutil.copyfileobj(content, f)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as e:
        raise UserError(
            f"{path}: cannot be written ({e.strerror}); remove what is in its place"
        ) from e


def _require_plain(archive: Path, entry: tarfile.TarInfo, *, size: int, count: int) -> None:
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts:
        fault = "lies outside the folder"
    elif not (entry.isfile() or entry.isdir()):
        fault = "is a link or a device"
    elif size > MAX_UNPACKED_BYTES or count > MAX_UNPACKED_FILES:
        fault = f"exceeds {MAX_UNPACKED_BYTES // GIB} GiB or {MAX_UNPACKED_FILES} files in all"
    else:
        return
    raise UserError(f"{archive}: entry '{entry.name}' {fault}; delete the file and fetch it again")


def _fetch_archive(source: Source, root: Path) -> None:
    """Download an archive into `root`, and unpack it there."""
    archive = root / source.url.rpartition("/")[2]
    download(source, archive)
    runtime.say(f"unpacking {archive}")
    unpack(archive, root)


def _voc2012(root: Path) -> str:
    _fetch_archive(VOC2012, root)
    return (
        f"VOC 2012 is in {root / 'VOCdevkit/VOC2012'}; set data.root to it, or use a voc2012 preset"
    )


def _sbd(root: Path) -> str:
    """Download SBD, and add SegmentationClassAug/ and train_aug.txt to the VOC 2012 folder."""
    voc = root / "VOCdevkit/VOC2012"
    if not voc.is_dir():
        raise UserError(f"{voc}: not found; run `{COMMAND} fetch voc2012` first")
    _fetch_archive(SBD, root)
    convert_sbd(root / "benchmark_RELEASE/dataset", voc)
    return f"SBD's masks are in {voc}; to use them, set data.options.voc.train_list to train_aug"


def _u2netp(root: Path) -> str:
    path = root / U2NETP.url.rpartition("/")[2]
    download(U2NETP, path)
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
