"""The few numbers of `dvc metrics`."""

from pipeline.report.headline import MASKED, TAGGED, headline

SCORES = {
    "classifier": {"train": {"mAP": 99.0}, "val": {"mAP": 88.8}},
    "chance": {"train": {"mIoU": 14.1}, "val": {"mIoU": 14.0}},
    "seeds": {"train": {"mIoU": 36.1}, "val": {"mIoU": 39.4}},
    "saliency": {"train": {"IoU": 63.0}, "val": {"IoU": 64.4}},
    "guide": {"train": {"mIoU": 61.1, "tags_found": 90.0}, "val": {"mIoU": 61.5}},
    "segmenter_guide": {"val": {"mIoU": 56.4, "FS%": 90.0}},
    "refined_guide": {"val": {"mIoU": 60.9, "FS%": 91.0, "untagged": 5.0}},
    "refined_full": {"val": {"mIoU": 67.0}},
    "about": {"images_scored": 300, "run_on": {}},
}  # fmt: skip


def test_the_numbers_are_those_of_val_in_the_chains_order():
    found = headline(SCORES, "guide")
    assert list(found.items()) == [
        ("split", "val"), ("mAP", 88.8), ("seeds", 39.4), ("saliency", 64.4), ("guide", 61.5),
        ("segmenter", 56.4), ("refined", 60.9), ("FS%", 91.0),
    ]  # fmt: skip


def test_another_first_supervision_gives_its_own_numbers():
    found = headline(SCORES, "full")
    assert found["refined"] == 67.0 and "segmenter" not in found and "FS%" not in found


def test_without_val_the_numbers_are_those_of_train_and_say_so():
    scores = {
        link: {split: s for split, s in by_split.items() if split != "val"}
        for link, by_split in SCORES.items()
    }
    assert headline(scores, "guide") == {
        "split": "train", "mAP": 99.0, "seeds": 36.1, "saliency": 63.0, "guide": 61.1,
    }  # fmt: skip


def test_without_masks_the_numbers_need_only_tags():
    scores = {
        "classifier": {"val": {"mAP": 88.8}}, "chance": {"val": {"mAP": 31.0}},
        "guide": {"val": {"tags_found": 90.0, "untagged": 0.0}},
        "refined_guide": {"val": {"tags_found": 80.0, "untagged": 20.0}}, "about": {},
    }  # fmt: skip
    found = headline(scores, "guide")
    assert found == {"split": "val", "mAP": 88.8, "tags_found": 80.0, "untagged": 20.0}


def test_a_row_of_dvc_metrics_fits_100_columns():
    """DVC sets four blanks between columns; a score has at most five characters, as in 88.84."""
    for lines in (MASKED, TAGGED):
        widths = [len("data/metrics.json"), len("split"), *(max(5, len(n)) for n, *_ in lines)]
        assert sum(widths) + 4 * (len(widths) - 1) <= 100 and len(lines) < 12
