"""The lines of the score table."""

from pipeline.core.params import lay_over
from pipeline.report import links
from pipeline.scores.labels import label_scores
from tests.pipeline.scores.test_scores import TALLIES, segmenters

SCORES = {
    **label_scores.labels(TALLIES),
    "saliency": {"val": {"IoU": 75.0}},
    "classifier": {"val": {"mAP": 90.0}},
}


def test_lines_follow_the_chain_and_leave_gaps_out():
    assert [(line.link, line.score) for line in links.lines(SCORES)] == [
        ("classifier", "mAP"), ("saliency", "IoU"), ("guide", "mIoU"), ("refined_guide", "mIoU"),
    ]  # fmt: skip
    assert [(line.link, line.score) for line in links.lines(SCORES, links.MORE)] == [
        ("refined_guide", "boundary_IoU"), ("refined_guide", "fwIoU"),
        ("refined_guide", "pixel_accuracy"),
    ]  # fmt: skip


def test_comparisons_and_several_tags_are_lines_with_their_intervals():
    names = ("guide", "full")
    tallies = segmenters(*names)
    tallies["refined_guide", "val"].several_tags = {"a"}
    scores = label_scores.labels(tallies)
    lay_over(scores, label_scores.comparisons(tallies, names))
    shown = {(line.name, line.score): line for line in links.lines(scores)}
    assert list(shown)[2:] == [
        ("segmenter + CRF", "FS%"), ("segmenter + CRF, full masks", "mIoU_minus_guide"),
    ]  # fmt: skip
    share = shown["segmenter + CRF", "FS%"]
    assert share.low < share.val < share.high
    more = [line for line in links.lines(scores, links.MORE) if "several" in line.score]
    assert [(line.name, line.val) for line in more] == [
        ("segmenter + CRF", 31.43)
    ]  # (60 / 140 + 20 / 100) / 2


def test_intervals_are_those_of_val_or_of_train_without_val():
    both = {"guide": {"train": {"mIoU": 60.0, "mIoU_low": 50.0, "mIoU_high": 70.0},
                      "val": {"mIoU": 40.0, "mIoU_low": 36.26, "mIoU_high": 44.0}}}  # fmt: skip
    assert [links.interval(line) for line in links.lines(both)] == ["36.3-44.0"]
    del both["guide"]["val"]
    assert [links.interval(line) for line in links.lines(both)] == ["50.0-70.0"]
    assert links.interval(links.lines(SCORES)[0]) == ""
    both["guide"]["train"] |= {"mIoU_low": -1.26, "mIoU_high": -0.5}
    assert [links.interval(line) for line in links.lines(both)] == ["-1.3 to -0.5"]


def test_groups_are_read_as_one_and_those_not_scored_left_out(tmp_path):
    (tmp_path / "seed.json").write_text(
        '{"maps": {"val": {"mP": 1}}, "about": {"run_on": {"classifier": "x"}}}'
    )
    (tmp_path / "segment.json").write_text('{"about": {"run_on": {"segmenter": "y"}}}')
    files = [tmp_path / f"{name}.json" for name in ("seed", "guide", "segment")]
    assert links.read_scores(files) == {
        "maps": {"val": {"mP": 1}},
        "about": {"run_on": {"classifier": "x", "segmenter": "y"}},
    }  # fmt: skip
    assert links.read_scores([tmp_path / "guide.json"]) == {}


def test_names_fit_a_terminal_of_80_columns():
    widths = {(len(name), len(score)) for _, score, name in links.LINES}
    assert max(name for name, _ in widths) <= 38
    # train, val and the interval, such as "100.0", "100.0" and "-10.0 to -5.0", with their gaps
    # (A difference to another supervision than guide may have a longer name.)
    common = {
        (len(name), len(score))
        for _, score, name in links.LINES
        if "minus" not in score or score == "mIoU_minus_guide"
    }
    assert max(name + score for name, score in common) + 4 * 2 + 5 + 5 + 13 <= 80


def test_train_scores_of_a_segmenter_that_learned_from_masks_are_called_flattered():
    def line(link, *, val=None):
        return links.Line(link, link, "mIoU", 70.0, val, None, None)

    assert links.flattered([line("guide"), line("segmenter_brought")])
    assert not links.flattered([line("guide"), line("segmenter_guide")])
    assert not links.flattered([line("guide", val=60.0), line("segmenter_brought", val=60.0)])
