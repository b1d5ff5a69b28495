"""What `cli.py predict` takes and prints, with a segmenter that was not trained."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch

from pipeline.core import formats
from pipeline.core.layout import Layout
from pipeline.nets import checkpoint
from pipeline.segment.deeplab import DeepLab
from tests.conftest import photo
from tests.project import ROOT, wait_for

SPEC = {
    "kind": "deeplab", "backbone": "efficientnet_lite0", "output_stride": 16, "head": "v3plus",
    "classes": ["cat", "dog"],
}  # fmt: skip
CLASSES = ["background", "cat", "dog"]


@pytest.fixture
def here(copy):
    """The project with a segmenter, and two photographs: photos/a.png, photos/more/b.png."""
    copy.change({"segment": {"predict": {"size_px": 64}}})
    torch.manual_seed(0)
    checkpoint.save(Layout(copy.root).segmenter("guide"), DeepLab.from_spec(SPEC), SPEC, [])
    for i, name in enumerate(("a.png", "more/b.png")):
        photo(copy.root / "photos" / name, seed=i)
    return copy


def predict(here, *args, code=0):
    done = here.here("cli.py", "predict", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def names(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_results_of_a_folder_keep_their_path_and_json_counts_them(here):
    (here.root / "photos/bad.jpg").write_bytes(b"no image")
    done = predict(here, "photos", "-o", "out", "--json", "--probabilities", code=1)
    report = json.loads(done.stdout)
    assert {k: report[k] for k in ("count", "kept", "classes", "output")} == {
        "count": 2, "kept": 0, "classes": CLASSES, "output": "out"
    }  # fmt: skip
    assert "bad.jpg: cannot be decoded" in report["skipped"][0]
    results = {f"{i}{e}" for i in ("a", "more/b") for e in (".png", "_overlay.jpg", ".npz")}
    assert names(here.root / "out") == {*results, "made_of.json"}
    arrays = formats.read_arrays(here.root / "out/more/b.npz")
    assert arrays["probabilities"].shape == (3, 30, 40) and arrays["classes"].tolist() == CLASSES
    assert json.loads(predict(here, "photos", "-o", "out", "--json", code=1).stdout)["kept"] == 2


def test_a_glob_a_list_and_standard_input_give_the_same_masks(here, monkeypatch):
    (here.root / "list.txt").write_text("photos/a.png\nphotos/more/b.png\n")
    typed = io.TextIOWrapper(io.BytesIO(b"photos/a.png\nphotos/more/b.png\n"))
    monkeypatch.setattr("sys.stdin", typed)
    for source, out in (("photos/**/*.png", "globbed"), ("list.txt", "listed"), ("-", "typed")):
        assert "2 images" in predict(here, source, "-o", out, "--no-crf").stdout
    assert names(here.root / "typed") == names(here.root / "listed")
    for listed, globbed in (("photos/a.png", "a.png"), ("photos/more/b.png", "more/b.png")):
        mask = (here.root / "listed" / listed).read_bytes()
        assert (here.root / "globbed" / globbed).read_bytes() == mask


def test_quiet_prints_only_what_was_skipped(here):
    done = predict(here, "photos", "-o", "out", "--quiet")
    assert not done.stdout and not done.stderr
    done = predict(here, "photos", "nowhere.png", "-o", "out", "--quiet", code=1)
    assert done.stdout == "skipped: nowhere.png: not found\n" and not done.stderr


def test_tiles_of_the_size_of_the_image_give_other_masks_than_the_scaled_image(here):
    photo(here.root / "photos/a.png", size=(160, 96))
    predict(here, "photos/a.png", "-o", "whole", "--no-crf", "--probabilities")
    predict(here, "photos/a.png", "-o", "tiled", "--no-crf", "--probabilities", "--tile", "96")
    whole, tiled = (
        formats.read_arrays(here.root / out / "a.npz")["probabilities"]
        for out in ("whole", "tiled")
    )
    assert whole.shape == tiled.shape == (3, 96, 160) and np.abs(whole - tiled).max() > 0.001
    done = predict(here, "photos/a.png", "-o", "tiled", "--no-crf", code=1)
    assert "holds results of another network or other params" in done.stderr


def test_a_video_counts_its_frames(here):
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(here.root / "clip.mp4"), cv2.CAP_FFMPEG, code, 5.0, (64, 48))
    for i in range(3):
        writer.write(np.full((48, 64, 3), 80 * i, np.uint8))
    writer.release()
    assert "4 images" in predict(here, "clip.mp4", "photos/a.png", "-o", "out", "--no-crf").stdout
    frames = {f"clip/frame_{i:06d}{e}" for i in range(3) for e in (".png", "_overlay.jpg")}
    made = {"clip/overlay.mp4", "clip/made_of.json", "a.png", "a_overlay.jpg", "made_of.json"}
    assert names(here.root / "out") == frames | made


@pytest.mark.parametrize("args, message", [
    ((), "name a photograph or a folder, or --watch a folder"),
    (("photos", "--tile", "10"), "--tile 10: give at least 64 px"),
    (("photos", "--maps", "--tile", "100"), "--maps does not go with --tile"),
    (("photos", "--watch", "nowhere"), "nowhere: is no folder"),
    (("photos", "--model", "nowhere.onnx"), "nowhere.onnx: not found"),
])  # fmt: skip
def test_calls_that_do_not_fit_are_one_line(here, args, message):
    done = predict(here, "-o", "out", *args, code=1)
    assert done.stderr.splitlines()[-1].startswith(f"error: {message}")


def test_the_command_imports_nothing_slow_before_it_runs():
    code = (
        "import sys, app.console; before = {*sys.modules}; import app.commands.predict; "
        "print(*{*sys.modules} - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    new = {name.split(".")[0] for name in done.stdout.split()} | {*done.stdout.split()}
    slow = {"torch", "cv2", "numpy", "pydantic", "PIL", "pipeline.params", "app.predict"}
    assert "app.commands.predict" in new and not new & slow


@pytest.mark.slow
def test_watch_segments_new_files_until_ctrl_c(here):
    args = [sys.executable, "cli.py", "predict", "--watch", "photos", "-o", "out", "--no-crf"]
    child = subprocess.Popen(
        args, cwd=here.root, stdout=subprocess.PIPE, text=True,
        env=here.env(GUIDELABEL_WORKERS="1", PYTHONUNBUFFERED="1"),
    )  # fmt: skip
    try:
        wait_for((here.root / "out/more/b.png").exists, seconds=120)
        photo(here.root / "photos/c.png", seed=3)
        wait_for((here.root / "out/c.png").exists, seconds=30)
        time.sleep(1)
        os.kill(child.pid, signal.SIGINT)
        stdout, _ = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 0
    assert "c: done" in stdout and "3 images in out; class indices: 0 background" in stdout
