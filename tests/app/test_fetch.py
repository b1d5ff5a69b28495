"""Downloads over TLS from a server on the loopback address, and archives that are unpacked."""

import datetime
import hashlib
import io
import ipaddress
import ssl
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scipy.io import savemat

from app import fetch
from app.fetch import Source
from pipeline.core import formats
from pipeline.core.errors import UserError
from tests.conftest import ROOT

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def write_certificate(path):
    """Write a key and a certificate of 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls") / "loopback.pem")


@pytest.fixture
def server(certificate, monkeypatch):
    """Serve CONTENT over TLS, also in part. `ranges` collects the Range headers.

    `drop_after`: the connection breaks off after this many bytes. `redirect_to`: an address.
    """

    class Handler(BaseHTTPRequestHandler):
        ranges: list = []  # noqa: RUF012
        drop_after: int | None = None
        redirect_to: str = ""

        def do_GET(self):
            content_range = self.headers.get("Range")
            Handler.ranges.append(content_range)
            if Handler.redirect_to:
                self.send_response(302)
                self.send_header("Location", Handler.redirect_to)
                self.end_headers()
                return
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

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.handle_error = lambda *_: None  # a client that refuses the certificate
        http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        Handler.url = f"https://127.0.0.1:{http.server_port}/file.tar"
        yield Handler
        http.shutdown()


def test_a_complete_file_is_not_downloaded_again(server, tmp_path):
    fetch.download(Source(server.url, SHA256), tmp_path / "f")
    fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT and server.ranges == [None]


def test_a_broken_download_resumes(server, tmp_path):
    server.drop_after = 3_000_000
    with pytest.raises(UserError, match="broke off; run the command again to resume"):
        fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert (tmp_path / "f.part").stat().st_size == 3_000_000
    server.drop_after = None
    fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT and server.ranges[1] == "bytes=3000000-"


def test_a_file_with_a_wrong_checksum_is_removed(server, tmp_path):
    with pytest.raises(UserError, match="wrong checksum"):
        fetch.download(Source(server.url, "0" * 64), tmp_path / "f")
    assert not list(tmp_path.iterdir())


def test_a_file_that_was_changed_is_downloaded_again(server, tmp_path):
    (tmp_path / "f").write_bytes(CONTENT[:-1] + b"x")
    fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_missing_connection_gives_one_line(tmp_path):
    with pytest.raises(UserError, match="check the connection"):
        fetch.download(Source("https://127.0.0.1:9/f", SHA256), tmp_path / "f")


def test_a_server_without_a_trusted_certificate_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(write_certificate(tmp_path / "other.pem")))
    with pytest.raises(UserError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert not server.ranges and not (tmp_path / "f").exists()


@pytest.mark.parametrize("scheme", ["http", "ftp", "file"])
def test_an_address_without_tls_is_refused(server, tmp_path, scheme):
    url = server.url.replace("https", scheme)
    with pytest.raises(UserError, match=f"{scheme}://.* is not an https address"):
        fetch.download(Source(url, SHA256), tmp_path / "f")


def test_a_redirect_to_an_address_without_tls_is_refused(server, tmp_path):
    server.redirect_to = server.url.replace("https", "http")
    with pytest.raises(UserError, match=r"http://.* is not an https address"):
        fetch.download(Source(server.url, SHA256), tmp_path / "f")


def test_a_server_that_never_stops_is_cut_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_DOWNLOAD_BYTES", 2 * fetch.CHUNK)
    with pytest.raises(UserError, match="sends more than"):
        fetch.download(Source(server.url, SHA256), tmp_path / "f")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", [fetch.VOC2012, fetch.SBD, fetch.U2NETP])
def test_every_address_is_https_with_a_sha256(source):
    assert source.url.startswith("https://")
    assert len(bytes.fromhex(source.sha256)) == 32


def entry(name, kind=tarfile.REGTYPE, *, link="", size=0):
    out = tarfile.TarInfo(name)
    out.type, out.linkname, out.size = kind, link, size
    return out


def write_tar(path, *entries):
    with tarfile.open(path, "w:gz") as tar:
        for each in entries:
            tar.addfile(each, io.BytesIO(bytes(each.size)))
    return path


def test_an_archive_is_unpacked_below_the_folder(tmp_path):
    entries = entry("a", tarfile.DIRTYPE), entry("a/b.txt", size=3), entry("./c/d.txt", size=0)
    fetch.unpack(write_tar(tmp_path / "x.tgz", *entries), tmp_path / "root")
    assert (tmp_path / "root/a/b.txt").read_bytes() == bytes(3)
    assert (tmp_path / "root/c/d.txt").read_bytes() == b""


BAD_ENTRIES = {
    "parent": [entry("../outside.txt", size=1)],
    "inner parent": [entry("a/../../outside.txt", size=1)],
    "absolute": [entry("{tmp}/outside.txt", size=1)],
    "link out, then through it": [
        entry("a", tarfile.SYMTYPE, link=".."),
        entry("a/outside.txt", size=1),
    ],
    "link inside": [entry("a", tarfile.SYMTYPE, link="b")],
    "hard link": [entry("a", tarfile.LNKTYPE, link="{tmp}/secret.txt")],
    "pipe": [entry("a", tarfile.FIFOTYPE)],
    "device": [entry("a", tarfile.CHRTYPE)],
}


@pytest.mark.parametrize("kind", BAD_ENTRIES)
def test_an_entry_that_could_leave_the_folder_is_refused(tmp_path, kind):
    (tmp_path / "secret.txt").write_text("secret")
    entries = [
        entry(
            e.name.format(tmp=tmp_path), e.type, link=e.linkname.format(tmp=tmp_path), size=e.size
        )
        for e in BAD_ENTRIES[kind]
    ]
    archive = write_tar(tmp_path / "x.tgz", *entries)
    with pytest.raises(UserError, match=r"x\.tgz: entry .*delete the file and fetch it again"):
        fetch.unpack(archive, tmp_path / "root")
    assert {p.name for p in tmp_path.rglob("*")} <= {"secret.txt", "x.tgz", "root"}


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path, names):
    archive = write_tar(tmp_path / "x.tgz", *(entry(name, size=1) for name in names))
    with pytest.raises(UserError, match="remove what is in its place"):
        fetch.unpack(archive, tmp_path / "root")


def test_an_archive_that_would_fill_the_disk_is_refused_before_it_does(tmp_path, monkeypatch):
    archive = write_tar(tmp_path / "x.tgz", entry("a", size=10_000), entry("b", size=90_000))
    assert archive.stat().st_size < 1_000  # a bomb
    monkeypatch.setattr(fetch, "MAX_UNPACKED_BYTES", 50_000)
    with pytest.raises(UserError, match="entry 'b' exceeds"):
        fetch.unpack(archive, tmp_path / "root")
    assert [p.name for p in (tmp_path / "root").iterdir()] == ["a"]


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    archive = write_tar(tmp_path / "x.tgz", *(entry(str(i)) for i in range(5)))
    monkeypatch.setattr(fetch, "MAX_UNPACKED_FILES", 3)
    with pytest.raises(UserError, match="entry '3' exceeds"):
        fetch.unpack(archive, tmp_path / "root")


@pytest.mark.parametrize("keep", [0, 5, 60, 150])
def test_a_damaged_archive_gives_one_line(tmp_path, keep):
    whole = write_tar(tmp_path / "x.tgz", entry("a", size=100_000)).read_bytes()
    (tmp_path / "y.tgz").write_bytes(whole[:keep])
    with pytest.raises(UserError, match=r"y\.tgz: is damaged; delete it and fetch it again"):
        fetch.unpack(tmp_path / "y.tgz", tmp_path / "root")


def test_a_root_that_cannot_be_a_folder_gives_one_line(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file/x.onnx"
    with pytest.raises(UserError) as e:
        fetch.download(Source("https://localhost:1/x", "0" * 64), path)
    assert f"{path}: cannot be written (" in str(e.value)


def test_u2netp_is_saved_where_params_yaml_expects_it(server, tmp_path, monkeypatch, params):
    url = server.url.replace("file.tar", "u2netp.onnx")
    monkeypatch.setattr(fetch, "U2NETP", Source(url, SHA256))
    root = tmp_path / "data/raw"
    message = fetch.fetch("u2netp", root)
    assert (tmp_path / params["saliency"]["options"]["onnx"]["file"]).read_bytes() == CONTENT
    assert "saliency.options.onnx.file" in message


@pytest.mark.real
def test_u2netp_has_the_recorded_checksum():
    path = ROOT / "../shared/weights/u2netp.onnx"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == fetch.U2NETP.sha256


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
