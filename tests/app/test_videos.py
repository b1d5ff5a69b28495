"""A video frame by frame, with a network that labels by colour."""

import cv2
import numpy as np
import pytest

from app import predict, videos
from app.exports.masks import export_masks
from app.exports.source import read_source
from app.sources import Source
from pipeline.core import formats
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout

FRAMES, HEIGHT, WIDTH = 5, 48, 64


class Bright:
    """Class 1 is where red is bright. `calls` counts the frames."""

    classes, grid_px, calls = ("background", "red"), 1, 0

    def logits(self, image_HW3):
        self.calls += 1
        return np.stack([np.full(image_HW3.shape[:2], 128.0, np.float32), image_HW3[..., 0]])


@pytest.fixture
def clip(tmp_path):
    """Five frames. In frame i, the first 8 + 8 i columns are red."""
    code = cv2.VideoWriter.fourcc(*"mp4v")
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 12.0, (WIDTH, HEIGHT))
    for i in range(FRAMES):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[:, : 8 + 8 * i, 2] = 255  # BGR
        writer.write(frame)
    writer.release()
    return Source("clip", path)


@pytest.fixture
def predictor(tmp_path, monkeypatch):
    net = Bright()
    monkeypatch.setattr(predict, "load_net", lambda *_: net)
    (tmp_path / "model.onnx").touch()
    return predict.Predictor(tmp_path / "model.onnx", tmp_path / "out", predict.Options())


def test_each_frame_gets_a_mask_and_the_video_of_overlays_its_length(clip, predictor, tmp_path):
    results = videos.segment(predictor, clip)
    assert (results.count, results.kept, results.skipped) == (FRAMES, 0, ())
    folder = tmp_path / "out/clip"
    for i in range(FRAMES):
        label = formats.read_label(folder / f"frame_{i:06d}.png")
        assert label.shape == (HEIGHT, WIDTH)
        assert abs(int((label[20] == 1).sum()) - (8 + 8 * i)) <= 3  # the codec blurs the edge
        assert (folder / f"frame_{i:06d}_overlay.jpg").exists()
    made = videos.read_header(folder / videos.MADE)
    assert made == videos.Video(FRAMES, HEIGHT, WIDTH, 12.0)
    assert not list(folder.glob("*.part*"))


def test_a_stopped_video_resumes_after_its_last_frame(clip, predictor, tmp_path):
    videos.segment(predictor, clip)
    folder = tmp_path / "out/clip"
    (folder / "frame_000003.png").unlink()
    (folder / videos.MADE).unlink()
    predictor.net.calls = 0
    assert videos.segment(predictor, clip).kept == FRAMES - 1
    assert predictor.net.calls == 1 and (folder / videos.MADE).exists()
    assert videos.segment(predictor, clip).kept == FRAMES
    assert predictor.net.calls == 1


def test_the_masks_of_a_video_are_exported_with_its_frames_as_images(clip, predictor, tmp_path):
    videos.segment(predictor, clip)
    folder, out = tmp_path / "out/clip", tmp_path / "coco"
    (folder / "frame_000001.png").unlink()  # as after a stop: this frame is left out
    source = read_source(str(folder), layout=Layout(), supervision="")
    assert export_masks(source, out, name="coco").count == FRAMES - 1
    assert [p.name for p in sorted((out / "images").iterdir())] == [
        f"frame_{i:06d}.jpg" for i in (0, 2, 3, 4)
    ]
    image = formats.read_image(out / "images/frame_000003.jpg").astype(int)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image[20, :30, 0].mean() > 200 > 60 > image[20, 36:, 0].mean()
    with pytest.raises(UserError, match=rf"{folder.parent}: holds a folder for each video; give"):
        read_source(str(folder.parent), layout=Layout(), supervision="")


@pytest.mark.parametrize("content", [
    b"no video", b"", b"#EXTM3U\n#EXTINF:1,\nclip.mp4\n", b"ffconcat version 1.0\nfile clip.mp4\n"
])  # fmt: skip
def test_a_file_that_is_no_video_is_skipped(clip, predictor, tmp_path, content, capfd):
    """Nor does a list of other files open them: FFmpeg reads lists whatever their suffix is."""
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(content)
    (message,) = videos.segment(predictor, Source("bad", bad)).skipped
    assert message == f"{bad}: is no video that can be decoded; convert it to an MP4"
    assert not (tmp_path / "out").exists()


def test_frames_that_are_too_large_are_refused(clip, monkeypatch):
    monkeypatch.setenv("GUIDELABEL_MAX_MEGAPIXELS", "0")
    with pytest.raises(UserError, match="has frames of 64x48 px"):
        videos.read_header(clip.path)
    with pytest.raises(UserError, match=r"nowhere\.mp4: not found"):
        videos.read_header(clip.path.with_name("nowhere.mp4"))
