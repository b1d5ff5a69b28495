"""The page in a real Chromium: no error, filter, slider, keyboard, 5,000 images, dark, phone.

`pytest -s tests/pipeline/report/test_browser.py` prints the times that docs/page.md shows.
"""

import dataclasses
import re
import shutil
import time

import pytest

from tests.pipeline.report import pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MANY = 5000
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PICTURES = "[...document.querySelectorAll('.cell img')].every(i => i.complete && i.naturalWidth)"


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian: apt install chromium")
    with sync_api.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return pages.write(tmp_path_factory.mktemp("small") / "report", pages.content(60))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return pages.write(tmp_path_factory.mktemp("large") / "report", pages.content(MANY))


@pytest.fixture
def visit(browser):
    """Return a function that opens a page. At the end, no page may have complained."""
    complaints, contexts = [], []

    def go(file, *, hash_="", viewport=DESKTOP, context=None, **options):
        context = context or browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda m: complaints.append(m.text))
        tab.on("pageerror", lambda e: complaints.append(str(e)))
        tab.on("requestfailed", lambda r: complaints.append(f"{r.url}: {r.failure}"))
        tab.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
        tab.goto(file.as_uri() + hash_)
        tab.evaluate("document.querySelector('#images').scrollIntoView()")
        return tab

    yield go
    assert complaints == []
    for context in contexts:
        context.close()


def wait_for(tab, expression):
    """Wait until an expression is true. The page's policy forbids what `wait_for_function` does."""
    end = time.monotonic() + 30
    while not tab.evaluate(expression):
        assert time.monotonic() < end, expression
        tab.wait_for_timeout(20)


def shown(tab):
    """The names of the images in view, in their order."""
    cells = tab.locator(".cell").evaluate_all(
        "nodes => nodes.sort((a, b) => a.dataset.i - b.dataset.i)"
        ".map(n => n.querySelector('.name').textContent)"
    )
    return cells


def count(tab):
    return tuple(map(int, re.findall(r"\d+", tab.locator("#count").inner_text())))


def scores(tab):
    return [float(t) for t in tab.locator(".cell b").evaluate_all(
        "nodes => nodes.sort((a, b) => a.closest('.cell').dataset.i - b.closest('.cell').dataset.i)"
        ".map(n => n.textContent)")]  # fmt: skip


def test_a_page_opens_from_disk_and_shows_its_pictures(visit, small):
    tab = visit(small)
    assert count(tab) == (60, 60)
    wait_for(tab, PICTURES)
    assert scores(tab) == sorted(scores(tab))  # the worst come first


def test_filters_narrow_the_gallery_and_are_kept_in_the_address(visit, small):
    made = pages.content(60).shown
    tab = visit(small)
    tab.select_option("[name=class]", "2")
    dogs = [s for s in made if "dog" in s.sample.tags or 2 in s.facts.classes]
    assert count(tab) == (len(dogs), 60) and 0 < len(dogs) < 60
    tab.check("[name=several]")
    several = [s for s in dogs if len(s.sample.tags) > 1]
    assert count(tab) == (len(several), 60) and "several=1" in tab.url
    again = visit(small, hash_=tab.url[tab.url.index("#") :])
    assert count(again) == count(tab) and shown(again)[:5] == shown(tab)[:5]
    tab.get_by_role("button", name="Reset").click()
    wait_for(tab, "document.querySelector('#count').textContent.startsWith('60')")
    for name, value, chosen in (
        ("kind", "wrong class", [s for s in made if s.facts.kind == "wrong class"]),
        ("failed", "guide", [s for s in made if s.facts.failed == "guide"]),
        ("split", "val", [s for s in made if s.sample.split == "val"]),
    ):
        tab.select_option(f"[name={name}]", value)
        assert count(tab) == (len(chosen), 60) and 0 < len(chosen) < 60, name
        tab.select_option(f"[name={name}]", "")
    tab.fill("[name=high]", "30")
    assert count(tab)[0] == sum(s.facts.score <= 30 for s in made)
    tab.fill("[name=high]", "")
    tab.fill("[name=id]", "00007")
    assert shown(tab) == ["img_00007"]
    tab.fill("[name=id]", "no such name")
    assert count(tab)[0] == 0 and tab.locator(".empty").is_visible()


def test_a_link_to_what_the_page_does_not_have_shows_no_image_and_says_so(visit, small):
    """Another run's bookmark, or a link of the chain that fails first nowhere."""
    tab = visit(small, hash_="#failed=saliency")
    assert "saliency" not in [s.facts.failed for s in pages.content(60).shown]
    assert count(tab) == (0, 60) and tab.locator(".empty").is_visible()
    assert tab.locator("[name=failed]").evaluate("f => f.selectedOptions[0].text") == "saliency (0)"
    tab.get_by_role("button", name="Reset").click()
    wait_for(tab, "document.querySelector('#count').textContent.startsWith('60')")
    assert not tab.locator(".empty").is_visible()


def test_sorting(visit, small):
    made = pages.content(60).shown
    tab = visit(small)
    tab.select_option("[name=sort]", "-score")
    assert scores(tab) == sorted(scores(tab), reverse=True)
    tab.select_option("[name=sort]", "id")
    assert shown(tab)[0] == "img_00000"
    tab.select_option("[name=sort]", "-parts1")
    most = max(made, key=lambda s: s.facts.parts[1])
    assert shown(tab)[0] == most.sample.id


def test_a_link_shows_where_brought_masks_disagree_most_with_guide_labels(visit, tmp_path):
    made = pages.content(60, supervision=("guide", "brought"))
    tab = visit(pages.write(tmp_path / "report", made))
    tab.get_by_role("link", name="most disagreement first").click()
    most = max(made.shown, key=lambda s: s.facts.apart or 0)
    wait_for(tab, f"document.querySelector('.cell .name').textContent === '{most.sample.id}'")
    assert count(tab) == (60, 60)  # those without such a mask come last
    assert tab.locator("[name=layer]").evaluate("f => f.selectedOptions[0].text") == "brought"
    tab.locator(".cell").first.click()
    tab.get_by_role("button", name="brought", exact=True).click()
    assert tab.locator("#stops [aria-pressed=true]").inner_text() == "brought"
    assert f"disagree on {most.facts.apart} % of" in tab.locator("#facts").inner_text()


def test_a_box_of_the_chain_selects_the_images_that_fail_there_first(visit, small):
    tab = visit(small)
    tab.locator(".chain.wide a").nth(4).click()
    wait_for(tab, "!document.querySelector('#count').textContent.startsWith('60')")
    assert count(tab)[0] == sum(s.facts.failed == "guide" for s in pages.content(60).shown)


def test_the_slider_fades_from_layer_to_layer(visit, small):
    tab = visit(small)
    tab.locator(".cell").first.click()
    opacity = "[...document.querySelectorAll('.layer')].map(i => +i.style.opacity)"
    slider = tab.locator("#slider")
    slider.fill("0")
    assert tab.evaluate(opacity) == [0, 0]
    slider.fill("2")
    assert tab.evaluate(opacity)[0] == 1
    slider.fill("2.25")
    assert tab.evaluate(opacity) == [0.75, 0.25]
    place = "[...document.querySelectorAll('.layer')].map(i => i.style.objectPosition)"
    positions = tab.evaluate(place)
    assert len(set(positions)) == 2
    tab.get_by_role("button", name="errors", exact=True).click()
    assert tab.locator("#stops [aria-pressed=true]").inner_text() == "errors"
    assert "false negative" in tab.locator("#facts").inner_text()


def test_an_image_of_train_has_no_stop_for_a_prediction_that_was_not_made(visit, small):
    tab = visit(small, hash_="#id=img_00001")
    tab.locator(".cell").first.click()
    stops = tab.locator("#stops button").all_inner_texts()
    assert "guide" in stops and "prediction" not in stops


def test_everything_can_be_done_by_keyboard(visit, small):
    tab = visit(small)
    tab.locator(".cell[tabindex='0']").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    columns = int(tab.evaluate("shape.columns"))
    assert tab.evaluate("document.activeElement.dataset.i") == str(columns + 1)
    tab.keyboard.press("End")
    assert tab.evaluate("document.activeElement.dataset.i") == "59"
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    assert tab.locator("#viewer").is_visible()
    name = tab.locator("#name").inner_text()
    before = tab.locator("#stops [aria-pressed=true]").inner_text()
    tab.keyboard.press("ArrowLeft")
    assert tab.locator("#stops [aria-pressed=true]").inner_text() != before
    tab.keyboard.press("ArrowDown")
    assert tab.locator("#name").inner_text() != name
    tab.keyboard.press("Escape")
    assert not tab.locator("#viewer").is_visible()
    wait_for(tab, "document.activeElement.dataset.i === '1'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_schemes(visit, small, scheme):
    """WCAG asks for a contrast of 4.5 for text."""
    tab = visit(small, color_scheme=scheme)
    tab.locator(".cell").first.wait_for()
    contrast = """(selector) => {
      const level = (text) => {
        const rgb = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
        const [r, g, b] = rgb.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const node = document.querySelector(selector), style = getComputedStyle(node);
      let ground = node;
      const clear = (n) => getComputedStyle(n).backgroundColor === "rgba(0, 0, 0, 0)";
      while (clear(ground)) ground = ground.parentElement;
      const of = [level(style.fill !== "rgb(0, 0, 0)" ? style.fill : style.color),
        level(getComputedStyle(ground).backgroundColor)].sort((a, b) => b - a);
      return (of[0] + 0.05) / (of[1] + 0.05);
    }"""
    for selector in ("h2", "p", ".small", "nav a", "nav .strong", ".cell .name", ".cell .tags",
                     "form label", "select", "#count", "dt", ".bars .n", ".matrix th"):  # fmt: skip
        assert tab.evaluate(contrast, selector) >= 4.5, selector
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", dark)[:3])) < 200) == (scheme == "dark")


def test_a_phone_needs_no_sideways_scrolling_and_shows_the_tall_chain(visit, small):
    tab = visit(small, viewport=PHONE, is_mobile=True, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.locator(".chain.narrow").is_visible() and not tab.locator(".chain.wide").is_visible()
    tab.locator(".cell").first.tap()
    assert tab.locator("#slider").is_visible()
    box = tab.locator("#viewer").bounding_box()
    assert box["width"] <= PHONE["width"] and tab.locator("#close").is_visible()
    assert tab.evaluate("shape.columns") == 2


@pytest.mark.parametrize("size", [(300, 300), (300, 360), (300, 600), (600, 300)])
def test_photograph_and_layers_lie_on_each_other_undistorted(visit, tmp_path, size):
    """A phone's stage is about square. A square image must fit its width too."""
    one = pages.image(1)
    sample = dataclasses.replace(one.sample, height_px=size[0], width_px=size[1])
    made = pages.content(shown=[dataclasses.replace(one, sample=sample)])
    tab = visit(pages.write(tmp_path / "report", made), viewport=PHONE)
    tab.locator(".cell").first.click()
    stage, *boxes = tab.evaluate("""[".stage", "#photo", ".layer"].map((s) => {
      const { x, y, width, height } = document.querySelector(s).getBoundingClientRect();
      return [x, y, width, height];
    })""")
    for x, y, width, height in boxes:
        assert width / height == pytest.approx(size[1] / size[0], rel=0.02)
        assert (
            x >= stage[0] - 1
            and y >= stage[1] - 1
            and width <= stage[2] + 1
            and height <= stage[3] + 1
        )
        assert width > stage[2] - 2 or height > stage[3] - 2  # as large as it can be
    assert boxes[0] == boxes[1]


def test_names_with_signs_of_html_and_of_addresses_show_their_pictures(visit, tmp_path):
    key = """sub/a#b?c%20d"><script>x<'&é;[b]"""
    made = pages.content(shown=[pages.image(0, key=key)])
    tab = visit(pages.write(tmp_path / "report", made))
    assert shown(tab) == [key]
    tab.locator(".cell").first.click()
    assert tab.locator("#name").inner_text() == key
    wait_for(tab, "document.querySelector('#photo').naturalWidth > 0")


def test_another_report_is_compared_link_by_link_and_image_by_image(visit, small, tmp_path):
    scores_before = {link: dict(s) for link, s in pages.content().scores.items()}
    scores_before["guide"] = {"val": {"mIoU": 51.5}}
    other = pages.write(tmp_path / "other", pages.content(60, scores=scores_before))
    tab = visit(small)
    tab.set_input_files("#others", other)
    tab.wait_for_selector("#changes table")
    assert "51.5 (+10.0)" in tab.locator("#changes").inner_text()
    assert tab.locator(".chain.wide .change.up").all_text_contents() == ["+10.0"]
    tab.select_option("[name=sort]", "change")
    assert "(0.0)" in tab.locator(".cell b").first.inner_text()


def test_the_change_since_the_last_run_at_this_address(visit, browser, tmp_path):
    file = pages.write(tmp_path / "report", pages.content(6))
    context = browser.new_context(viewport=DESKTOP)
    first = visit(file, context=context)
    assert first.locator("#changes").inner_text() == ""
    later = {link: dict(s) for link, s in pages.content().scores.items()}
    later["refined_guide"] = {"val": {"mIoU": 58.4}}
    shutil.rmtree(tmp_path / "report")
    pages.write(tmp_path / "report", pages.content(6, scores=later))
    for _ in range(2):  # to load the page again does not count as a run
        tab = visit(file, context=context)
        assert tab.locator(".chain.wide .change.down").all_text_contents() == ["-2.5"]


def test_many_images_do_not_stutter(visit, large):
    """Times are printed, not asserted: the machine may be busy. What costs time is counted."""
    start = time.monotonic()
    tab = visit(large)
    loaded = time.monotonic() - start
    paint = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert count(tab) == (MANY, MANY)
    assert tab.evaluate("document.querySelectorAll('*').length") < 3000
    frames = tab.evaluate("""async () => {
      document.querySelector("#images").scrollIntoView();
      const times = [];
      let last = performance.now();
      for (let i = 0; i < 120; i++) {
        scrollBy(0, 400);
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - last);
        last = performance.now();
      }
      return times.sort((a, b) => a - b);
    }""")
    filtered = tab.evaluate("""() => {
      const start = performance.now();
      form.elements.class.value = "2";
      form.dispatchEvent(new Event("input"));
      return performance.now() - start;
    }""")
    tab.keyboard.press("End")
    assert tab.locator(".cell").count() < 120
    wait_for(tab, PICTURES)  # those that rush by are left out, those that stay are not
    print(f"\n{MANY} images: first paint {paint:.0f} ms, loaded {1000 * loaded:.0f} ms, a frame "
          f"while scrolling {frames[60]:.0f} ms (worst of 120: {frames[-1]:.0f} ms), "
          f"filter {filtered:.0f} ms, page {large.stat().st_size / 1e6:.2f} MB")  # fmt: skip
