"""A trained segmenter for other programs, with its model card: `export model`."""

from pathlib import Path

from app.exports import model_card
from app.exports.files import new_folder
from app.exports.model_files import FORMATS, Difference, read_trained, write_model
from pipeline.core.config import Infer
from pipeline.core.errors import UserError
from pipeline.core.layout import Layout
from pipeline.core.supervision import SUPERVISIONS


def export_model(
    source: str, output: Path, *, name: str, layout: Layout, predict: Infer
) -> Difference | None:
    """Write the model and its card into a new folder, all or nothing.

    Args:
        source: the supervision of a segmenter of the last run, or a folder of a trained segmenter.
        output: the folder, which must be empty or not exist.
        name: one of FORMATS.
        layout: where the last run wrote its files.
        predict: the size, the scales and the flip that the model is used with.

    Returns:
        The difference from PyTorch; None if the weights are a copy.

    Raises:
        UserError: there is no such model, the format is not known or cannot hold the model, or the
            folder holds files.
    """
    if name not in FORMATS:
        raise UserError(f"no format '{name}'; choose one of {', '.join(FORMATS)}")
    own = source in SUPERVISIONS
    model = read_trained(layout.segmenter(source) if own else Path(source), predict)
    run = model_card.read_run(layout, source) if own else None
    with new_folder(output) as folder:
        difference = write_model(model, folder, name=name)
        model_card.write_card(folder, model, name=name, difference=difference, run=run)
    return difference
