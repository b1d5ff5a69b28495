"""The model card: README.md beside an exported model, with the front matter of Hugging Face.

It states data, params, supervision, scores, limits and the licence of the weights, as far as the
project's records tell.
"""

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from app.exports import card_texts
from app.exports.model_files import Difference, Trained
from pipeline.core import formats, provenance
from pipeline.core.errors import UserError
from pipeline.core.layout import SCORED, Layout
from pipeline.nets import checkpoint
from pipeline.report import links

CARD = "README.md"
TEMPLATE = Path(__file__).parent / "templates/model_card.md"
# of the params that made the model: those that a reader can judge it by
SECTIONS = (
    "random_seed",
    "data",
    "seed",
    "saliency",
    "fuse",
    "diffuse",
    "segment",
    "crf",
    "refine",
)
NO_RECORD = "unknown: the model is not from the last run of a project"


@dataclass(frozen=True)
class Run:
    """What the project records about a model.

    `made_of` is its provenance. `lines` are the scores, and `why_no_scores` says why there are
    none. `counts` are the images and masks of the data.
    """

    supervision: str
    made_of: dict[str, Any]
    counts: dict[str, Any]
    lines: Sequence[links.Line]
    why_no_scores: str


def read_run(layout: Layout, supervision: str) -> Run:
    """Read what the last run records about its segmenter of this supervision."""
    model, scores = layout.segmenter(supervision), layout.scores("segment")
    record = provenance.record_file(layout.made_of, scores) if scores.exists() else scores
    fits = record.exists() and _older(model / checkpoint.WEIGHTS, scores)
    if fits:
        made_of = formats.read_json(record)
    else:
        made_of = provenance.describe(layout, f"train_segment@{supervision}")
    lines = links.lines(links.read_scores(map(layout.scores, SCORED))) if fits else []
    by_supervision = ("labels", "segmenter", "refined")
    mine = {f"{link}_{supervision}" for link in by_supervision}
    others = tuple(f"{link}_" for link in by_supervision)
    lines = [line for line in lines if line.link in mine or not line.link.startswith(others)]
    why = "no image of this data has a mask" if fits else "this model was not scored"
    return Run(supervision, made_of, formats.read_json(layout.counts), lines, why)


def _older(one: Path, other: Path) -> bool:
    """Whether `one` was not written after `other`. Scores of an older model are not this one's."""
    return one.stat().st_mtime_ns <= other.stat().st_mtime_ns


def write_card(
    folder: Path, model: Trained, *, name: str, difference: Difference | None, run: Run | None
) -> None:
    """Write CARD beside a model.

    Args:
        folder: holds the exported files.
        model: the trained segmenter.
        name: its format.
        difference: that of the file from PyTorch.
        run: what is known of the training; None for a model from elsewhere.
    """
    from huggingface_hub import ModelCard

    description = model.describe()
    content = {
        "classes": description["classes"][1:],
        "labels": description["classes"],
        "weak": run is not None
        and card_texts.is_weak(run.supervision, _param(run, "saliency.source")),
        "use": card_texts.USE[name],
        "learned": _learned(model, run),
        "scores": _rows(run.lines) if run else [],
        "has_val": run is not None and bool(run.counts.get("images", {}).get("val")),
        "why_no_scores": run.why_no_scores if run else NO_RECORD,
        "views": card_texts.views(model.predict),
        "train_px": _param(run, "segment.train", {}).get("size_px", model.predict.size_px),
        "exported": f"Compared with PyTorch on an image of random colours: {difference}."
        if difference
        else "The weights are byte for byte those of the training.",
        "licence": card_texts.licence(model.spec["backbone"], _param(run, "segment.weights")),
        "made_of": _yaml(_made_of(model, run)),
    }
    card = ModelCard.from_template(_front_matter(model, name, run), str(TEMPLATE), **content)
    formats.replace_file(folder / CARD, lambda f: f.write(f"{card}\n".encode()))


def _front_matter(model: Trained, name: str, run: Run | None) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    scored = [line for line in run.lines if line.link.startswith("segmenter_")] if run else []
    results = [
        EvalResult(
            task_type="image-segmentation",
            dataset_type="other",
            dataset_name=str(_param(run, "data.source")),
            dataset_split=split,
            metric_type="mean_iou",
            metric_name="mIoU (%)",
            metric_value=value,
        )
        for line in scored
        for split, value in (("train", line.train), ("val", line.val))
        if line.score == "mIoU" and value is not None
    ]
    return ModelCardData(
        license="other",
        license_name="not-chosen",
        pipeline_tag="image-segmentation",
        library_name={"onnx": "onnx", "torchscript": "pytorch", "safetensors": "guidelabel"}[name],
        tags=["image-segmentation", "semantic-segmentation", "weakly-supervised", "guidelabel"],
        model_name=f"GuideLabel segmenter of {', '.join(model.spec['classes'])}",
        eval_results=results or None,
    )


def _learned(model: Trained, run: Run | None) -> list[tuple[str, str]]:
    """Return the lines on supervision and data: title and text."""
    weights = _param(run, "segment.weights")
    lines = [("Trunk", f"{model.spec['backbone']}; {card_texts.start(weights)}")]
    if run is None:
        return [("Supervision", NO_RECORD), *lines]
    images, per_class = run.counts["images"], run.counts["images_per_class"]["train"]
    classes = ", ".join(f"{count} {name}" for name, count in per_class.items())
    data = (
        f"{images.get('train', 0)} images to learn from ({classes}), {images.get('val', 0)} to "
        f"score; source `{_param(run, 'data.source')}`, hash `{run.made_of['data']}`"
    )
    if again := run.counts.get("val_images_in_train"):
        data += f". {again} images of val are also in train"
    source = _param(run, "saliency.source")
    supervision = card_texts.supervision(run.supervision, source)
    saliency = card_texts.saliency(run.supervision, source)
    more = [("Saliency", saliency)] if saliency else []
    return [("Supervision", supervision), *more, *lines, ("Data", data)]


def _param(run: Run | None, name: str, default: Any = None) -> Any:
    """Return a param of the run by the name that dvc.yaml declares."""
    return run.made_of["params"].get(name, default) if run else default


def _made_of(model: Trained, run: Run | None) -> dict[str, Any]:
    """Return hashes, commit, params and versions."""
    shown = {"model": model.describe()["version"], "predict": model.predict.model_dump(mode="json")}
    if run is None:
        return shown
    keys = ("data", "code_hash", "params_hash", "commit", "uncommitted", "versions")
    made_of = {k: run.made_of[k] for k in keys if run.made_of.get(k)}
    params = {k: v for k, v in run.made_of["params"].items() if k.split(".")[0] in SECTIONS}
    return {**shown, **made_of, "params": _without_folders(params)}


def _without_folders(value: Any) -> Any:
    """Shorten each path to its last name: a card is public, a home folder is not."""
    if isinstance(value, dict):
        return {k: _without_folders(v) for k, v in value.items()}
    return value.rpartition("/")[2] if isinstance(value, str) else value


def _yaml(value: dict[str, Any]) -> str:
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(value, out)
    return out.getvalue()


def _rows(lines: Sequence[links.Line]) -> list[list[str]]:
    return [
        [line.name, line.score, links.number(line.train), links.number(line.val),
         links.interval(line)]
        for line in lines
    ]  # fmt: skip


def push(folder: Path, repository: str, *, api: Any = None) -> str:
    """Copy an exported model to a folder, or upload it to Hugging Face.

    Args:
        folder: holds the files.
        repository: a path that starts with /, ~ or a dot; or OWNER/NAME on Hugging Face. A new
            repository there is private.
        api: `huggingface_hub.HfApi()`, which reads your token.

    Returns:
        Where it is now.

    Raises:
        UserError: the target cannot be written, or Hugging Face refuses.
    """
    if repository.startswith((".", "/", "~")):
        target = Path(repository).expanduser()
        if target.exists() and any(target.iterdir()):
            raise UserError(f"{target}: holds other files; choose a new folder")
        shutil.copytree(folder, target, dirs_exist_ok=True)
        return str(target)
    return _upload(folder, repository, api)


def _upload(folder: Path, repository: str, api: Any) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError

    api = api or HfApi()
    try:
        url = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (OSError, HFValidationError, LocalTokenNotFoundError) as e:  # HTTP errors are OSError
        raise UserError(
            f"{repository}: Hugging Face refuses ({' '.join(str(e).split())}); run "
            "`hf auth login`, or give a folder such as ./model"
        ) from e
    return str(url)
