"""Downloads from a server on the loopback address."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from scipy.io import savemat

from app import fetch
from pipeline.core import formats
from pipeline.core.errors import UserError
from tests.conftest import ROOT

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    """Serve CONTENT, also in part. `ranges` collects the Range headers.

    `drop_after`: the connection breaks off after this many bytes.
    """

    class Handler(BaseHTTPRequestHandler):
        ranges: list = []  # noqa: RUF012
        drop_after: int | None = None

        def do_GET(self):
            content_range = self.headers.get("Range")
            Handler.ranges.append(content_range)
            start = int(content_range.removeprefix("bytes=").rstrip("-")) if content_range else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if content_range else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            self.wfile.write(CONTENT[start:][: Handler.drop_after])

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        Handler.url = f"http://127.0.0.1:{http.server_port}/file.tar"
        yield Handler
        http.shutdown()


def test_a_complete_file_is_not_downloaded_again(server, tmp_path):
    fetch.download(server.url, tmp_path / "f", MD5)
    fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.ranges == [None]


def test_a_broken_download_resumes(server, tmp_path):
    server.drop_after = 3_000_000
    with pytest.raises(UserError, match="broke off; run the command again to resume"):
        fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f.part").stat().st_size == 3_000_000
    server.drop_after = None
    fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.ranges[1] == "bytes=3000000-"


def test_a_file_with_a_wrong_checksum_is_removed(server, tmp_path):
    with pytest.raises(UserError, match="wrong checksum"):
        fetch.download(server.url, tmp_path / "f", "0" * 32)
    assert not list(tmp_path.iterdir())


def test_a_missing_connection_gives_one_line(tmp_path):
    with pytest.raises(UserError, match="check the connection"):
        fetch.download("http://127.0.0.1:9/f", tmp_path / "f", MD5)


def test_a_root_that_cannot_be_a_folder_gives_one_line(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file/x.onnx"
    with pytest.raises(UserError) as e:
        fetch.download("http://localhost:1/x", path, "0" * 32)
    assert f"{path}: cannot be written (" in str(e.value)


def test_u2netp_is_saved_where_params_yaml_expects_it(server, tmp_path, monkeypatch, params):
    monkeypatch.setattr(fetch, "U2NETP", server.url.replace("file.tar", "u2netp.onnx"))
    monkeypatch.setattr(fetch, "U2NETP_MD5", MD5)
    root = tmp_path / "data/raw"
    message = fetch.fetch("u2netp", root)
    assert (tmp_path / params["saliency"]["options"]["onnx"]["file"]).read_bytes() == CONTENT
    assert "saliency.options.onnx.file" in message


@pytest.mark.real
def test_u2netp_has_the_recorded_checksum():
    path = ROOT / "../shared/weights/u2netp.onnx"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    assert hashlib.md5(path.read_bytes()).hexdigest() == fetch.U2NETP_MD5


def test_sbd_masks_and_the_list_train_aug(tmp_path):
    sbd, voc = tmp_path / "sbd", tmp_path / "voc"
    (sbd / "cls").mkdir(parents=True)
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    (voc / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    (voc / "ImageSets/Segmentation/val.txt").write_text("c\n")
    (sbd / "train.txt").write_text("a\nd\n")
    (sbd / "val.txt").write_text("c\ne\n")
    label = np.array([[0, 15], [3, 0]], np.uint8)
    for key in "acde":
        savemat(sbd / "cls" / f"{key}.mat", {"GTcls": {"Segmentation": label}})
    fetch.convert_sbd(sbd, voc)
    assert (voc / "ImageSets/Segmentation/train_aug.txt").read_text().split() == [
        "a",
        "b",
        "d",
        "e",
    ]
    assert sorted(p.stem for p in (voc / "SegmentationClassAug").iterdir()) == ["d", "e"]
    assert (formats.read_label(voc / "SegmentationClassAug/d.png") == label).all()
