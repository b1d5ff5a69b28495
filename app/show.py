"""Draw what the last run made of one image."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core import formats, shards
from pipeline.core.arrays import Float, UInt8
from pipeline.core.errors import UserError, listing
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise, resize, strongest
from pipeline.core.samples import Sample, read_samples, read_tag_scores, read_truth
from pipeline.dataset.names import matched
from pipeline.params import Params
from pipeline.report import drawing
from pipeline.report.picks import most_probable

HEIGHT_PX = 320


@dataclass(frozen=True)
class Panel:
    """The picture of one image, and what is known of it. `predicted` is empty before stage seed."""

    path: Path
    tags: tuple[str, ...]
    predicted: tuple[tuple[str, float], ...]


def show(layout: Layout, params: Params, key: str, *, output: Path | None = None) -> Panel:
    """Write the panel of one image: the photograph, and what each link that has run made of it.

    Args:
        layout: the project's paths.
        params: its params, which name the saliency source and the first supervision.
        key: the id of the image, or its file name.
        output: the picture; by default, data/show/ID.png.

    Raises:
        UserError: no such image, stage prepare has not run, or the picture cannot be written.
    """
    sample = find(read_samples(layout.samples), key)
    output = output or layout.shown(sample.id)
    if output.suffix.lower() not in formats.SUFFIXES:
        raise UserError(f"{output}: unknown kind of picture; name it {output}.png")
    pictures = _pictures(layout, params, sample)
    tiles = [drawing.titled(drawing.tile(p, height_px=HEIGHT_PX), t) for t, p in pictures.items()]
    formats.write_image(output, drawing.panel(tiles))
    return Panel(output, sample.tags, _predicted(layout, sample))


def find(samples: Sequence[Sample], key: str) -> Sample:
    """Return the image with an id, an id and its suffix, a file name, or a path.

    Raises:
        UserError: there is none, or there are several.
    """
    wanted = matched(key)
    by_id = {matched(sample.id): sample for sample in samples}
    by_file = {matched(f"{sample.id}{sample.image.suffix}"): sample for sample in samples}
    if sample := by_id.get(wanted) or by_file.get(wanted):
        return sample
    named = [s for s in samples if wanted in (matched(s.image.name), matched(s.image.stem))]
    named = named or [s for s in samples if matched(s.image.as_posix()) == wanted]
    if len(named) == 1:
        return named[0]
    if named:
        raise UserError(f"'{key}': several images have this name: {listing([s.id for s in named])}")
    near = difflib.get_close_matches(wanted, by_id, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are {len(samples)} images, such as "
    raise UserError(f"no image '{key}' in the last run; {hint}{'' if near else samples[0].id}")


def _pictures(layout: Layout, params: Params, sample: Sample) -> dict[str, UInt8]:
    """Return a picture for each link whose result is there, by its title."""
    image, name = formats.read_image(sample.image), f"{sample.id}.png"
    pictures = {"image": image}
    if shards.exists(path := layout.maps / f"{sample.id}.npz"):
        pictures["class maps"] = drawing.heat(image, _strength(path, image))
    if shards.exists(path := layout.saliency(params.saliency.source) / name):
        grey = (formats.read_grey(path) * 255).astype(np.uint8)
        pictures["saliency"] = np.repeat(grey[..., None], 3, axis=2)
    labels = {
        "seed": layout.seeds / name,
        "guide": layout.labels("guide") / name,
        "prediction": layout.refined(params.segment.supervision[0]) / name,
    }
    if truth := read_truth(layout.truth).get(sample.id):
        labels["truth"] = truth
    for title, path in labels.items():
        if shards.exists(path):
            pictures[title] = drawing.overlay(image, formats.read_label(path))
    return pictures


def _strength(path: Path, image_HW3: UInt8) -> Float:
    """Read the class maps of an image; return the strongest value (H, W) at each pixel."""
    maps_Khw, tags_K = formats.read_maps(path)
    if not len(maps_Khw):
        return np.zeros(image_HW3.shape[:2], np.float32)
    height, width = image_HW3.shape[:2]
    return strongest(resize(normalise(maps_Khw), height_px=height, width_px=width), tags_K)[0]


def _predicted(layout: Layout, sample: Sample) -> tuple[tuple[str, float], ...]:
    """Return the most probable classes, with what the classifier says; none before stage seed."""
    if not layout.tag_scores.exists():
        return ()
    classes: list[str] = formats.read_json(layout.classes)
    probability_K = read_tag_scores(layout.tag_scores, classes).get(sample.id)
    if probability_K is None:
        return ()
    return tuple((classes[k], float(probability_K[k])) for k in most_probable(probability_K))
