"""Make a project from a folder of tagged photographs."""

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from app import presets, template
from app.doctor import FEW_STEPS
from app.photographs import Gathered, Photograph, gather
from pipeline.core import formats
from pipeline.core.errors import COMMAND, UserError, unwritable
from pipeline.core.layout import Layout
from pipeline.dataset import sources
from pipeline.params import Params, load_params

PRESET, PHOTOS = "photos", "photos"
FEW_IMAGES = 20  # of a class


@dataclass(frozen=True)
class NewProject:
    """A new project, and what its photographs are like.

    `sizes_px` are the height and width of the smallest, the middle and the largest photograph, by
    area. `epochs` has the old and the new value of the params that few photographs need longer.
    `next` is the one command to type next.
    """

    folder: Path
    gathered: Gathered
    images_by_class: dict[str, int]
    sizes_px: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    epochs: dict[str, tuple[float, int]]
    next: str

    @property
    def several_tags(self) -> int:
        """The number of photographs with two or more tags."""
        return sum(len(photograph.tags) > 1 for photograph in self.gathered.photographs)

    @property
    def no_tags(self) -> int:
        """The number of photographs that show none of the classes."""
        return sum(not photograph.tags for photograph in self.gathered.photographs)

    @property
    def rare(self) -> dict[str, int]:
        """The classes with few images."""
        return {name: n for name, n in self.images_by_class.items() if n < FEW_IMAGES}


def create(
    folder: Path,
    *,
    images: Path,
    tags: Path | None = None,
    tags_from: str | None = None,
    copy: bool = False,
) -> NewProject:
    """Lay out a project in `folder`, with the photographs, their tags and the preset for them.

    Args:
        folder: the new project; empty, or not there yet.
        images: the folder of photographs.
        tags: the file with their tags; None: each one's folder is its tag.
        tags_from: one of `readers.KINDS`; None: detect it.
        copy: copy the photographs; by default, link to them.

    Raises:
        UserError: the photographs or the tags cannot be used, or the folder cannot be written.
    """
    gathered = gather(images, tags=tags, kind=tags_from)
    if folder.resolve().is_relative_to(images.resolve()):
        raise UserError(f"{folder}: lies in the folder of photographs; choose a folder outside it")
    template.lay_out(folder)
    layout = Layout(folder)
    presets.use(layout, PRESET)
    layout.params_before.unlink(missing_ok=True)
    epochs = _lengthen(layout, images=sum(p.split != "val" for p in gathered.photographs))
    _place(gathered.photographs, folder, copy=copy)
    _check(folder, load_params(layout.params))
    has_model = _bring_model(folder, load_params(layout.params))
    template.commit(folder, "The preset for photographs")
    counts = Counter(tag for p in gathered.photographs for tag in p.tags)
    return NewProject(
        folder,
        gathered,
        {name: counts[name] for name in sorted(counts)},
        _sizes(gathered.photographs),
        epochs,
        _next(folder, has_model=has_model),
    )


def _lengthen(layout: Layout, *, images: int) -> dict[str, tuple[float, int]]:
    """Raise the epochs of trainings that would be too short for `images` train images.

    Returns:
        The old and the new value of each param that changed.
    """
    params, changed = load_params(layout.params), dict[str, tuple[float, int]]()
    for section, train in (("seed", params.seed.train), ("segment", params.segment.train)):
        steps = max(1, images // train.batch)  # of an epoch
        if steps * train.epochs < FEW_STEPS:
            changed[f"{section}.train.epochs"] = train.epochs, -(-FEW_STEPS // steps)
    if changed:
        presets.change(layout, {name: after for name, (_, after) in changed.items()})
    return changed


def _place(photographs: Sequence[Photograph], folder: Path, *, copy: bool) -> None:
    """Put the photographs and tags.csv into the folder photos of a project, whole or not at all."""
    with TemporaryDirectory(prefix=f".{PHOTOS}-", dir=folder) as temporary:
        made = Path(temporary) / PHOTOS
        for photograph in photographs:
            target = made / "images" / f"{photograph.id}{photograph.path.suffix}"
            _put(photograph.path, target, copy=copy)
        _write_tags(made / "tags.csv", photographs)
        os.replace(made, folder / PHOTOS)


def _put(source: Path, target: Path, *, copy: bool) -> None:
    """Copy a file, or link to it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(source, target)
        else:
            target.symlink_to(source.resolve())
    except OSError as e:
        raise unwritable(target, e) from e


def _write_tags(path: Path, photographs: Sequence[Photograph]) -> None:
    """Write tags.csv, with the column split if a photograph has one."""
    columns = ("id", "tags", "split") if any(p.split for p in photographs) else ("id", "tags")
    rows = [(p.id, " ".join(p.tags), p.split)[: len(columns)] for p in photographs]
    formats.write_table(path, rows, columns=columns)


def _check(folder: Path, params: Params) -> None:
    """Read the data set of the new project as the chain will read it."""
    data = params.data
    changes = {"root": folder / data.root, "tags": folder / data.tags}
    sources.read(data.model_copy(update=changes))


def _bring_model(folder: Path, params: Params) -> bool:
    """Copy the saliency model if this clone has it. Return whether the project has the model."""
    name = getattr(params.saliency.option(), "file", None)
    if name is None or (folder / name).exists():
        return True
    homes = (Path(), template.source())
    if found := next((home / name for home in homes if (home / name).is_file()), None):
        _put(found, folder / name, copy=True)
    return found is not None


def _next(folder: Path, *, has_model: bool) -> str:
    steps = [f"cd {quote(str(folder))}", f"{COMMAND} run"]
    if not has_model:
        steps.insert(1, f"{COMMAND} fetch u2netp")
    return " && ".join(steps)


def _sizes(
    photographs: Sequence[Photograph],
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return height and width of the smallest, the middle and the largest photograph, in px."""
    sizes = sorted(((p.height_px, p.width_px) for p in photographs), key=lambda s: s[0] * s[1])
    return sizes[0], sizes[len(sizes) // 2], sizes[-1]
