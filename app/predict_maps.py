"""A trained classifier on any photographs: a picture of the most probable classes' maps."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from app import predict
from app.sources import Source, readable
from pipeline.core import formats
from pipeline.core.arrays import Float, UInt8
from pipeline.core.maps import normalise, resize
from pipeline.core.params import fingerprint
from pipeline.inference import infer
from pipeline.nets import checkpoint
from pipeline.report import drawing
from pipeline.report.picks import most_probable
from pipeline.seeds import roi_pooling
from pipeline.seeds.classifier import Classifier
from pipeline.seeds.config import SeedMaps
from pipeline.seeds.tag_scores import tag_probability

HEIGHT_PX = 300  # of a tile
ENDING = "_maps.jpg"


def draw(model: Path, sources: Sequence[Source], out: Path, options: SeedMaps) -> predict.Results:
    """Write NAME_maps.jpg into `out`: the photograph and the maps of its most probable classes.

    They are class maps, whatever `options.kind` is. Files are skipped and kept as by `segment`.

    Raises:
        UserError: no classifier was trained; or `out` holds the images, results of another network
            or other params, or files that predict did not make.
    """
    predict.check_output([source.path for source in sources], out)
    net, spec = checkpoint.load(model, Classifier.from_spec)
    photos, skipped = readable(sources)
    header = {
        "made_by": fingerprint(formats.digest(model), options, "maps"),
        "classes": spec["classes"],
    }
    kept = predict.begin(out, photos, header, (ENDING,)) if photos else set()
    outputs_of_all = infer.run(
        net, photos, options, title="predict maps", done=kept, offset_px=net.offset_px
    )
    for photo, outputs in outputs_of_all:
        if photo.id not in kept:
            image = formats.read_image(photo.image)
            picture = _picture(net, image, outputs, options.scales, spec["classes"])
            formats.write_image(out / f"{photo.id}{ENDING}", picture)
    return predict.Results(len(photos), len(kept), (), tuple(skipped))


def _picture(
    net: Classifier,
    image_HW3: UInt8,
    outputs: Sequence[Tensor],
    scales: Sequence[float],
    classes: Sequence[str],
) -> UInt8:
    """Draw the photograph and a heat map of each shown class, the most probable one first."""
    with torch.inference_mode():
        probability = tag_probability(net, outputs, scales, image_HW3).numpy()
        maps = infer.merge([m[None].relu() for m in outputs])[0].numpy()
    shown = most_probable(probability)
    chosen = maps[shown]
    if net.superpixels:
        chosen = roi_pooling.flatten(chosen, image_HW3, net.superpixels)
    return panel_of(image_HW3, chosen, [f"{classes[k]} {probability[k]:.2f}" for k in shown])


def panel_of(image_HW3: UInt8, maps_Khw: Float, titles: Sequence[str]) -> UInt8:
    """Draw the photograph and its maps side by side, each map divided by its own maximum."""
    photo = drawing.tile(image_HW3, height_px=HEIGHT_PX)
    maps = resize(normalise(maps_Khw), height_px=photo.shape[0], width_px=photo.shape[1])
    tiles = [drawing.titled(photo, "photograph")]
    tiles += [
        drawing.titled(drawing.heat(photo, map_HW), title)
        for map_HW, title in zip(maps, titles, strict=True)
    ]
    return drawing.panel(tiles)
