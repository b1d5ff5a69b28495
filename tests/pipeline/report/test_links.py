"""The lines of the score table, and the report's page."""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from pipeline.core.params import lay_over
from pipeline.report import links, page
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


def test_report_escapes_names_and_explains_its_scores():
    compared = {"val": {"FS%": 80.0, "several_tags_mIoU": 70.0, "several_tags_images": 12}}
    html = page.render(
        scores={**SCORES, "refined_guide": compared, "about": {
            "saliency": "net", "saliency_trained_on": "x", "images_scored": 1,
            "run_on": {"classifier": {"device": "cpu", "precision": "float32"}},
            "temperature": {"classifier": 1.25, "segmenter_guide": None},
        }},
        per_class=[{"link": "refined_guide", "split": "val", "class": "<cat>", "iou": "4"}],
        classes=["<cat>"], columns=["image"],
        shown=[page.Shown("best", "<id>", "panels/x.jpg", "1.0", "<cat>", "<dog> 0.90")],
        reliability={net: [{"confidence": "90.00", "accuracy": "62.50", "count": "8"}]
                     for net in ("classifier", "segmenter_guide")},
    )  # fmt: skip
    assert "<cat>" not in html and "&lt;cat&gt;" in html and "&lt;id&gt;" in html
    assert html.count(">62.50</td>") == 2 and "every fifth train image: 1.25." in html
    assert html.count("No temperature") == 1
    assert "80.0" in html and "bootstrap interval over the images" in html
    assert "compare two segmenters" in html and "(12 of val)" in html
    del compared["val"]
    html = page.render(scores={"guide": SCORES["guide"], "about": {"run_on": {}}}, per_class=[],
                       classes=[], shown=[], columns=[], reliability={})  # fmt: skip
    assert "compare two segmenters" not in html and "several_tags" not in html


NAME = """a#b?c%20d"><script>x</script>'&é;[/b]"""


def test_a_name_in_the_report_is_text_and_its_picture_is_found():
    """Every place where the page shows a name: a browser must neither run it nor cut it off."""
    shown = [page.Shown("best", NAME, f"panels/best_{NAME}.jpg", NAME, NAME, NAME)]
    html = page.render(
        scores={**SCORES, "about": {
            "saliency": NAME, "saliency_trained_on": NAME, "images_scored": 1, "temperature": {},
            "run_on": {NAME: {"device": NAME, "precision": NAME}},
        }},
        per_class=[{"link": "guide", "split": NAME, "class": NAME, "iou": NAME}],
        classes=[NAME], columns=[NAME], shown=shown,
        reliability={NAME: [{"confidence": NAME, "accuracy": NAME, "count": NAME}]},
    )  # fmt: skip
    seen = Seen()
    seen.feed(html)
    assert "script" not in seen.tags and seen.text.count(NAME) >= 15
    assert [unquote(src) for src in seen.sources] == [shown[0].file]
    assert urlsplit(seen.sources[0]).path == seen.sources[0]  # nothing is a query or a fragment


class Seen(HTMLParser):
    """What a browser makes of a page: its tags, its text and the addresses of its pictures."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.sources = set(), "", []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for key, value in attrs if key == "src"]

    def handle_data(self, data):
        self.text += data


def test_a_report_on_nothing_has_no_empty_part():
    about = {"saliency": "none", "saliency_trained_on": "nothing", "images_scored": 0, "run_on": {}}
    html = page.render(
        scores={"about": about}, per_class=[], classes=["cat"], shown=[], columns=[],
        reliability={"classifier": []},
    )  # fmt: skip
    assert "<table>" not in html and "<h2>" not in html


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
