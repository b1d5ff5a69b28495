"""A trained segmenter on any photographs: label PNG and overlay for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import crf, formats, infer, nets, viz
from pipeline.blocks import Crf, Infer
from pipeline.errors import UserError
from pipeline.formats import SUFFIXES, Sample


@dataclass(frozen=True)
class Applied:
    """How many images were segmented, the class of each index, and a line for each bad file."""

    done: int
    classes: tuple[str, ...]
    bad: tuple[str, ...]


def find(paths: Sequence[Path]) -> list[Path]:
    """The image files that `paths` name; a folder stands for the images in it."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [p for p in sorted(path.iterdir()) if p.suffix.lower() in SUFFIXES]
        else:
            found.append(path)
    if not found:
        raise UserError(f"{paths[0]}: holds no image ({', '.join(SUFFIXES)})")
    return found


def segment(
    model: Path,
    images: Sequence[Path],
    out: Path,
    *,
    how: Infer,
    refine: Crf | None,
    what: str = "predict",
) -> Applied:
    """Write NAME.png (class indices, VOC palette) and NAME_overlay.jpg into `out`.

    A file that cannot be decoded, or whose name was taken, is skipped and named.

    Raises:
        UserError: a result would overwrite an image, or nothing was trained yet.
    """
    for path in images:
        if path.resolve().parent == out.resolve() and path.suffix.lower() == ".png":
            raise UserError(f"{out}: the results would overwrite {path}; choose another folder")
    net, spec = nets.load(model)
    samples, bad, names = [], [], set()
    for path in images:
        try:
            height, width = formats.read_image(path).shape[:2]
            if path.stem in names:
                raise UserError(f"{path}: another image is already called '{path.stem}'; rename it")
        except UserError as e:
            bad.append(str(e))
            continue
        names.add(path.stem)
        samples.append(Sample(path.stem, path, "", (), height, width, ""))
    for sample, outputs in infer.run(net, samples, how, what="predict"):
        image = formats.read_image(sample.image)
        logits = infer.merge([o[None] for o in outputs])[0].numpy()
        label = crf.label_of(image, logits, refine)
        formats.write_label(out / f"{sample.id}.png", label)
        formats.write_image(out / f"{sample.id}_overlay.jpg", viz.overlay(image, label))
    return Applied(len(samples), ("background", *spec["classes"]), tuple(bad))
