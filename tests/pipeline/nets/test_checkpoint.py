"""Files of a trained network: read back, refused, and the table of losses."""

import pytest
import torch

from pipeline.core import formats
from pipeline.core.errors import MissingFileError, UserError
from pipeline.nets import checkpoint

SPEC = {
    "kind": "classifier", "width": 3, "backbone": "vgg16", "output_stride": 8, "classes": ["a"],
}  # fmt: skip


class Width(checkpoint.Description):
    width: int


def build(spec):
    return torch.nn.Linear(2, checkpoint.demand(spec, "classifier", Width).width)


def test_a_saved_network_is_rebuilt_from_its_description_with_its_weights(tmp_path):
    net = build(SPEC)
    checkpoint.save(tmp_path, net, SPEC, [])
    loaded, spec = checkpoint.load(tmp_path, build)
    assert spec.items() >= SPEC.items() and {"device", "precision"} <= spec["trained_on"].keys()
    assert torch.equal(loaded.weight, net.weight) and torch.equal(loaded.bias, net.bias)


def test_the_table_of_losses_has_a_row_for_each_epoch_and_may_lack_the_validation_loss(tmp_path):
    checkpoint.save(tmp_path, build(SPEC), SPEC, [(0.75, 1.5), (0.123456, None)])
    columns = ("epoch", "loss", "val_loss")
    assert formats.read_table(tmp_path / "loss.tsv", columns=columns, sep="\t") == [
        {"epoch": "1", "loss": "0.75000", "val_loss": "1.50000"},
        {"epoch": "2", "loss": "0.12346", "val_loss": ""},
    ]


def test_a_network_of_another_kind_is_an_error_that_names_the_folder_and_both_kinds(tmp_path):
    checkpoint.save(tmp_path, build(SPEC), SPEC | {"kind": "deeplab"}, [])
    message = f"{tmp_path}: this network is of kind 'deeplab', not 'classifier'"
    with pytest.raises(UserError, match=message):
        checkpoint.load(tmp_path, build)


def test_a_folder_without_a_network_is_an_error_that_names_the_command(tmp_path):
    with pytest.raises(MissingFileError, match=r"net\.json: not found; .* `python cli\.py run`"):
        checkpoint.load(tmp_path, build)
