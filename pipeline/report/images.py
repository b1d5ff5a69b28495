"""Read what the links made of an image, draw it, and judge it: the files of the gallery."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from pipeline.core import formats, shards
from pipeline.core.arrays import Float, UInt8
from pipeline.core.layout import Layout
from pipeline.core.maps import normalise
from pipeline.core.samples import Sample
from pipeline.report import drawing, gallery, judging, layers, picks

T = TypeVar("T")
FOLDERS = ("photos", "layers", "thumbs")  # of the report; each image has a file in each
PHOTO_PX, THUMB_PX = 400, 168  # the long side
PANEL_PX = 150  # the height of a panel for `dvc plots`


@dataclass(frozen=True)
class Inputs:
    """Where the files of an image are, how to judge its saliency map, and the page's layers."""

    layout: Layout
    source: str
    supervision: str
    truth: dict[str, Path]
    threshold: float
    layer_names: tuple[str, ...]

    def chain(self, sample: Sample) -> layers.Chain:
        """Read what the links of the chain made of one image."""
        here, name = self.layout, f"{sample.id}.png"
        brought = here.labels("brought") / name if "brought" in self.layer_names else None
        maps, tags = formats.read_maps(here.maps / f"{sample.id}.npz")
        return layers.Chain(
            image_HW3=formats.read_image(sample.image, least_px=PHOTO_PX),
            maps_Khw=maps,
            tags_K=tags,
            saliency_HW=formats.read_grey(here.saliency(self.source) / name),
            seed_HW=_read_label(here.seeds / name),
            guide_HW=_read_label(here.labels("guide") / name),
            prediction_HW=_read_label(here.refined(self.supervision) / name),
            truth_HW=_read_label(self.truth[sample.id]) if sample.id in self.truth else None,
            brought_HW=_read_label(brought) if brought else None,
        )

    def of_page(self, values: Iterable[T]) -> list[T]:
        """Choose, of one value for each of LAYERS, those of the page's layers."""
        return [v for n, v in zip(layers.LAYERS, values, strict=True) if n in self.layer_names]


def draw(sample: Sample, *, work: Layout, inputs: Inputs) -> None:
    """Write the photograph, its layers below each other, and a thumbnail with all of them."""
    photo, every = layers.draw(inputs.chain(sample), side_px=PHOTO_PX)
    drawn = inputs.of_page(every)
    name, folder = f"{sample.id}.webp", work.report
    _write_webp(folder / "photos" / name, photo, quality=72)
    _write_webp(folder / "layers" / name, layers.strip(drawn, size=photo.shape[:2]))
    over = [photo if layer is None else layers.over(photo, layer) for layer in drawn]
    small = [layers.photo(p, side_px=THUMB_PX) for p in (photo, *over)]
    _write_webp(folder / "thumbs" / name, np.concatenate(small), quality=60)


def _write_webp(path: Path, picture: UInt8, *, quality: int | None = None) -> None:
    """Write RGB with a quality, or RGBA without loss."""
    options = (
        {"lossless": True, "quality": 0, "method": 1} if quality is None else {"quality": quality}
    )
    image = Image.fromarray(picture)
    formats.replace_file(path, lambda f: image.save(f, format="WEBP", **{"method": 2} | options))


def judge(job: tuple[Sample, Float, list[int]], *, inputs: Inputs) -> gallery.Shown:
    """Judge what the links made of one image, at the size of the image."""
    sample, probability_K, tags = job
    chain = inputs.chain(sample)
    labels = judging.Labels(
        probability_K=probability_K[[t - 1 for t in tags]],
        tags=frozenset(tags),
        saliency=normalise(chain.saliency_HW) >= inputs.threshold,
        seed=chain.seed_HW,
        guide=chain.guide_HW,
        prediction=chain.prediction_HW,
        truth=chain.truth_HW,
        brought=chain.brought_HW,
    )
    probable = [(int(k) + 1, round(float(probability_K[k]), 3))
                for k in picks.most_probable(probability_K)]  # fmt: skip
    present = tuple(inputs.of_page(layers.present(chain)))
    return gallery.Shown(sample, judging.judge(labels), present, tuple(probable))


def write_panels(inputs: Inputs, picked: Sequence[tuple[str, Sample]]) -> None:
    """Write images with their layers side by side, for `dvc plots`."""
    for group, sample in picked:
        photo, drawn = layers.draw(inputs.chain(sample), side_px=PHOTO_PX)
        tiles = [photo, *(layers.over(photo, layer) for layer in drawn if layer is not None)]
        panel = drawing.panel([drawing.tile(t, height_px=PANEL_PX) for t in tiles])
        file = inputs.layout.report / "panels" / f"{group}_{sample.id}.jpg"
        formats.write_image(file, panel)


def _read_label(path: Path) -> UInt8 | None:
    return formats.read_label(path) if shards.exists(path) else None
