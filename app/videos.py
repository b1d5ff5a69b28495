"""A video, frame by frame: a mask and an overlay of each frame, and a video of the overlays."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.nets import logits_of
from app.predict import Predictor, Results, begin
from app.segmenter import LABEL, OVERLAY, Prediction, label_of
from app.sources import Source
from pipeline.core import decoding, formats, runtime
from pipeline.core.arrays import UInt8
from pipeline.core.errors import UserError, unwritable
from pipeline.inference.sizes import Photo

FRAME = "frame_{:06d}"
MADE = "overlay.mp4"  # in the folder of the results
# A file may come from anybody. A playlist in it could name other files or servers, so FFmpeg may
# open only this file, and only these containers.
FFMPEG_OPTIONS = (
    "protocol_whitelist;file|format_whitelist;"
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegvideo"
)


@dataclass(frozen=True)
class Video:
    """What a file says of itself. `frames` is counted, because headers may be wrong."""

    frames: int
    height_px: int
    width_px: int
    frames_per_second: float


def segment(predictor: Predictor, source: Source) -> Results:
    """Write ID/frame_000000.png and its overlay for each frame, and ID/overlay.mp4.

    Frames that an earlier call has made stay.

    Raises:
        UserError: a file cannot be written, or the folder holds results of another network.
    """
    try:
        video = read_header(source.path)
    except UserError as e:
        return Results(0, 0, (), (str(e),))
    folder, options = predictor.out / source.id, predictor.options
    size = video.height_px, video.width_px
    photos = [Photo(FRAME.format(i), source.path, *size) for i in range(video.frames)]
    kept = begin(folder, photos, predictor.header, options.endings)
    if len(kept) == len(photos) and (folder / MADE).exists():
        return Results(len(photos), len(kept), predictor.net.classes, ())
    frames = runtime.track(read(source.path), total=video.frames, title=f"predict {source.id}")
    with _writer(folder / MADE, video) as write:
        for photo, frame in zip(photos, frames, strict=False):
            if photo.id not in kept:
                _segment_frame(predictor, frame, folder / f"{photo.id}{LABEL}")
            write(formats.read_image(folder / f"{photo.id}{OVERLAY}"))
    return Results(len(photos), len(kept), predictor.net.classes, ())


def _segment_frame(predictor: Predictor, frame_HW3: UInt8, path: Path) -> None:
    net, options = predictor.net, predictor.options
    logits = logits_of(net, frame_HW3, tile_px=options.tile_px)
    label = label_of(frame_HW3, logits, options.crf)
    prediction = Prediction(frame_HW3, label, logits, net.classes)
    prediction.save(path, with_probabilities=options.probabilities)


def read_header(path: Path) -> Video:
    """Count the frames of a video, and read their size.

    Raises:
        UserError: the file is missing, holds no video, or has frames that are too large.
    """
    with _opened(path) as capture:
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height / 1e6 > decoding.max_megapixels():
            raise UserError(
                f"{path}: has frames of {width}x{height} px; scale them down to "
                f"{decoding.max_megapixels()} megapixels or less"
            )
        ok, frame = capture.read()  # of the first frame, which a phone may have turned
        if not ok:
            raise UserError(f"{path}: holds no frame that can be decoded; convert it to an MP4")
        count = 1
        while capture.grab():
            count += 1
        height, width = frame.shape[:2]
        return Video(count, height, width, capture.get(cv2.CAP_PROP_FPS) or 25.0)


def read(path: Path) -> Iterator[UInt8]:
    """Yield each frame of a video as RGB (H, W, 3)."""
    with _opened(path) as capture:
        while (read := capture.read())[0]:
            yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise UserError(f"{path}: not found")
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = FFMPEG_OPTIONS
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise UserError(f"{path}: is no video that can be decoded; convert it to an MP4")
        yield capture
    finally:
        capture.release()


@contextmanager
def _writer(path: Path, video: Video) -> Iterator[Any]:
    """Write a video to a temporary name, and rename it at the end."""
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    code = cv2.VideoWriter.fourcc(*"mp4v")
    size = video.width_px, video.height_px
    writer = cv2.VideoWriter(str(part), cv2.CAP_FFMPEG, code, video.frames_per_second, size)
    if not writer.isOpened():
        raise unwritable(path, OSError("the video cannot be encoded"))
    try:
        yield lambda image: writer.write(np.ascontiguousarray(image[..., ::-1]))
    except BaseException:
        writer.release()
        part.unlink(missing_ok=True)
        raise
    writer.release()
    os.replace(part, path)
