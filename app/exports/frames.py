"""Frames of a video as image files, beside which an export can write their masks."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from app.exports.source import Source
from app.sources import is_video
from pipeline.core import formats, runtime


@contextlib.contextmanager
def as_images(source: Source) -> Iterator[Source]:
    """Yield the source with an image file for each frame of a video, as long as the block runs.

    A source of photographs stays as it is. The frames are JPEG files with a quality of 90.
    """
    videos = {image.image for image in source.images if is_video(image.image)}
    if not videos:
        yield source
        return
    with TemporaryDirectory() as name:
        (video,) = videos  # `predict` gives each video a folder of its own
        _write_frames(video, Path(name), {image.id for image in source.images})
        images = [replace(i, image=Path(name) / f"{i.id}.jpg") for i in source.images]
        yield replace(source, images=tuple(images))


def _write_frames(video: Path, folder: Path, ids: set[str]) -> None:
    from app.videos import FRAME, read  # they load slowly

    for i, frame in enumerate(runtime.track(read(video), total=len(ids), title="read frames")):
        if (key := FRAME.format(i)) in ids:
            formats.write_image(folder / f"{key}.jpg", frame)
