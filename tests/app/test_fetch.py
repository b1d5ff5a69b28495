"""Downloads against a server of our own on the loopback address."""

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
    """Serves CONTENT with ranges; `asked` keeps the Range headers, `drop_after` cuts it short."""

    class Handler(BaseHTTPRequestHandler):
        asked: list = []  # noqa: RUF012
        drop_after: int | None = None

        def do_GET(self):
            asked = self.headers.get("Range")
            Handler.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
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


def test_download_and_no_second_one(server, tmp_path):
    fetch.download(server.url, tmp_path / "f", MD5)
    fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.asked == [None]


def test_an_interrupted_download_goes_on(server, tmp_path):
    server.drop_after = 3_000_000
    with pytest.raises(UserError, match="run again"):
        fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f.part").stat().st_size == 3_000_000
    server.drop_after = None
    fetch.download(server.url, tmp_path / "f", MD5)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.asked[1] == "bytes=3000000-"


def test_wrong_checksum_is_said_and_starts_anew(server, tmp_path):
    with pytest.raises(UserError, match="checksum is wrong"):
        fetch.download(server.url, tmp_path / "f", "0" * 32)
    assert not list(tmp_path.iterdir())


def test_no_connection_is_one_line(tmp_path):
    with pytest.raises(UserError, match="check the connection"):
        fetch.download("http://127.0.0.1:9/f", tmp_path / "f", MD5)


def test_u2netp_lands_where_params_look_for_it(server, tmp_path, monkeypatch, params):
    monkeypatch.setattr(fetch, "U2NETP", server.url.replace("file.tar", "u2netp.onnx"))
    monkeypatch.setattr(fetch, "U2NETP_MD5", MD5)
    root = tmp_path / "data/raw"
    said = fetch.fetch("u2netp", root)
    assert (tmp_path / params["saliency"]["options"]["onnx"]["file"]).read_bytes() == CONTENT
    assert "saliency.options.onnx.file" in said


@pytest.mark.real
def test_u2netp_is_the_file_that_the_checksum_names():
    path = ROOT / "../shared/weights/u2netp.onnx"
    if not path.exists():
        pytest.skip("no u2netp.onnx here to compare with")
    assert hashlib.md5(path.read_bytes()).hexdigest() == fetch.U2NETP_MD5


def test_sbd_masks_and_list(tmp_path):
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
