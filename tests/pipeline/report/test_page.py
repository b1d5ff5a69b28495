"""The page as HTML: names stay text, nothing comes from a network, empty parts are left out."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from pipeline.report import charts, page, tallies
from pipeline.report.gallery import hex_colour
from tests.pipeline.report import pages

NAME = """a#b?c%20d"><script>x</script>'&é;[/b]</script>"""


class Seen(HTMLParser):
    """What a browser makes of a page: its tags with attributes, its text, and its scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.scripts, self.inside = [], "", [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.text += data

    @property
    def data(self):
        return json.loads(self.scripts[0])


@pytest.fixture
def seen():
    return Seen(page.render(pages.content()))


def hostile():
    """A page in which every name of the data is NAME."""
    scores = {link: s for link, s in pages.content().scores.items() if link != "about"}
    about = {"saliency": NAME, "saliency_trained_on": NAME, "images_scored": 1, "temperature": {},
             "run_on": {NAME: {"device": NAME, "precision": NAME}}}  # fmt: skip
    shown = [dataclasses.replace(s, sample=dataclasses.replace(s.sample, id=NAME, tags=(NAME,)))
             for s in pages.content(2).shown]  # fmt: skip
    return pages.content(
        scores={**scores, "about": about}, classes=(NAME, "b", "c"), shown=shown,
        samples=[s.sample for s in shown], supervision=("guide", NAME),
        class_iou=[tallies.ClassIou(NAME, 50.0, None, None)],
        confusion=tallies.confusion([{"truth": NAME, "prediction": NAME}], [NAME]),
        charts=[charts.line_chart(NAME, {NAME: [(0, 1)]}, x_label=NAME, y_label=NAME, note=NAME)],
        made_of={"params": {NAME: NAME}, "versions": {NAME: NAME}, "data": NAME},
    )  # fmt: skip


def test_a_hostile_name_is_text_everywhere():
    plain, seen = Seen(page.render(pages.content())), Seen(page.render(hostile()))
    assert seen.text.count(NAME) >= 20
    assert len(seen.scripts) == len(plain.scripts) == 2
    assert seen.scripts[1] == plain.scripts[1]
    assert {t for t, _ in seen.tags} <= {t for t, _ in plain.tags}
    attributes = {a for _, given in seen.tags for a in given}
    assert attributes == {a for _, given in plain.tags for a in given}


def test_a_hostile_name_reaches_the_script_unchanged():
    data = Seen(page.render(hostile())).data
    assert data["images"][0][0] == NAME and data["classes"][1] == NAME
    assert NAME in data["run"]["classes"]


def test_the_script_sets_names_as_text_only():
    script = Seen(page.render(pages.content())).scripts[1]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\b\s*\(", script)


def test_the_page_may_run_its_own_script_and_load_its_own_pictures_only(seen):
    policy = next(a["content"] for t, a in seen.tags if "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(seen.scripts[1].encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'", "img-src": "'self' file:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }  # fmt: skip


def test_nothing_is_loaded_from_a_network_or_another_file(seen):
    addresses = [a[k] for _, a in seen.tags for k in ("src", "href") if k in a]
    assert addresses and all(a.startswith("#") for a in addresses)
    assert "http:" not in (html := page.render(pages.content())) and "https:" not in html
    assert not [t for t, _ in seen.tags if t in ("link", "iframe", "object", "base")]


def test_a_link_of_the_page_leads_to_a_part_or_a_choice_of_the_filter(seen):
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    fields = {a["name"] for t, a in seen.tags if t in ("select", "input") and "name" in a}
    for target in (a["href"][1:] for t, a in seen.tags if t == "a"):
        assert target in ids or target.split("=")[0] in fields


def test_every_part_is_there(seen):
    for text in ("The chain, link by link", "Every score", "IoU by class",
                 "Which class became which", "Seeds", "Images of each class", "seed.train.epochs",
                 "Tags that occur together", "python cli.py run report", "segmenter + CRF",
                 "cat, dog, cow", "A note."):  # fmt: skip
        assert text in seen.text
    assert "on 60 images with masks" in seen.text and "88.8" in seen.text


def test_images_are_short_lists_with_the_fields_that_the_script_names(seen):
    named = json.loads(re.search(r"FIELDS = (\[.*?\]);", seen.scripts[1], re.S)[1])
    row = dict(zip(named, seen.data["images"][0], strict=True))
    assert row["id"] == "img_00000" and row["split"] == "val" and row["aspect"] == 0.75
    assert row["present"] == [1] * 7 and row["classes"] == [1] and len(row["values"]) == 5
    assert seen.data["classes"] == ["background", "cat", "dog", "cow"]
    assert seen.data["colours"][1] == "#800000"


def test_brought_masks_are_a_layer_and_their_disagreement_is_a_choice_of_the_page():
    seen = Seen(page.render(pages.content(supervision=("guide", "brought"))))
    assert seen.data["layers"][3:6] == ["guide", "brought", "prediction"]
    sort = {a["value"] for t, a in seen.tags if t == "option" and "value" in a}
    link = next(a["href"] for t, a in seen.tags if t == "a" and "sort=" in a["href"])
    assert link == "#sort=-apart&layer=5" and "-apart" in sort
    assert "6 of the 12 images of the gallery have a brought mask and a guide" in seen.text
    assert seen.data["images"][2][-1] == 37.0 and seen.data["images"][3][-1] is None
    assert "28.5 % of the pixels of the median image, and on at most 47.0 %" in seen.text


def test_a_page_without_brought_masks_does_not_speak_of_them(seen):
    assert "brought" not in seen.data["layers"] and "brought" not in seen.text
    assert seen.data["images"][0][-1] is None


def test_a_page_on_nothing_has_no_empty_part():
    about = {"saliency": "none", "saliency_trained_on": "nothing", "images_scored": 0, "run_on": {}}
    html = page.render(pages.content(
        scores={"about": about}, supervision=("guide",), samples=[], shown=[], class_iou=[],
        scored=None, confusion=None, charts=[None], made_of={},
    ))  # fmt: skip
    seen = Seen(html)
    assert "No image has a mask" in seen.text and "Unknown: there is no record" in seen.text
    for absent in ("Every score", "IoU by class", "Curves", "None"):
        assert absent not in seen.text
    assert seen.data["images"] == []


def test_the_notes_of_the_score_table_come_with_their_scores():
    scores = {"about": pages.ABOUT, "guide": {"val": {"mIoU": 50.0}}}
    plain = Seen(page.render(pages.content(scores=scores))).text
    assert not re.search("bootstrap interval over|compare two segmenters|two or more tags", plain)
    more = {"FS%": 80.0, "several_tags_mIoU": 70.0, "several_tags_images": 12, "mIoU_low": 4.0}
    scores["guide"] = {"val": {"mIoU": 50.0, "mIoU_high": 60.0, **more}}
    scores["refined_guide"] = {"val": more}
    full = Seen(page.render(pages.content(scores=scores))).text
    assert "bootstrap interval over" in full and "compare two segmenters" in full
    assert "12 of val" in full


def test_equal_content_gives_equal_bytes():
    assert page.render(pages.content()) == page.render(pages.content())


def test_params_have_dotted_names():
    assert [*page.flat({"b": {"c": 1, "a": {"d": [2]}}, "a": {}}).items()] == [
        ("a", {}), ("b.a.d", [2]), ("b.c", 1),
    ]  # fmt: skip


def test_a_param_is_listed_once_though_stages_name_it_by_its_section_and_by_itself():
    assert page.flat({"b": {"c": 1, "d": 2}, "b.c": 1}) == {"b.c": 1, "b.d": 2}
    made_of = {"params": {"fuse": {"level": 0.5}, "fuse.level": 0.5}}
    assert page.render(pages.content(made_of=made_of)).count("fuse.level") == 1


def test_colours_are_written_as_html_does():
    assert hex_colour((0, 15, 255)) == "#000fff"
