"""A real report in a real browser, on a screen, on a telephone and on paper."""

import pytest
from PIL import Image

from ambidex.stages import run
from helpers.browser import browser
from helpers.pages import read_page
from helpers.runs import extracted, pretrained, small_params

pytestmark = pytest.mark.slow
COLOURS = 200
"""distinct colours that a page with charts has at least; a blank one has one"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a small model, written by the real stages."""
    params = small_params(
        evaluate={
            "resamples": 100,
            "allocators": ["uniform", "modality", "category"],
            "allocator": "modality",
        }
    )
    layout = extracted(tmp_path_factory.mktemp("run"))
    pretrained(layout, params)
    model, report = layout.model("multi_task", "scratch", 0), layout.report("multi_task", "scratch", 0)
    run("train", params, {"features": layout.features}, {"model": model})
    inputs = {"features": layout.features, "model": model, "encoders": layout.encoders(0)}
    run("evaluate", params, inputs, {"report": report})
    return report / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    return browser(tmp_path_factory.mktemp("profile"))


@pytest.mark.parametrize("width", [1200, 420])
def test_a_report_fits_the_screen_and_is_not_blank(page, chromium, width, tmp_path):
    picture = Image.open(chromium.screenshot(page, tmp_path / "page.png", width, 6000)).convert("RGB")
    assert picture.width == width
    for third in range(3):
        part = picture.crop((0, 2000 * third, width, 2000 * (third + 1)))
        assert len(part.getcolors(part.width * part.height)) > COLOURS
    assert chromium.content_width(page, width) <= width


def test_the_measure_sees_a_page_that_is_too_wide(page, chromium, tmp_path):
    wide = tmp_path / "wide.html"
    wide.write_text(page.read_text().replace("<main>", '<main><div style="width:1500px">x</div>'))
    assert chromium.content_width(wide, 420) >= 1500


def test_a_report_prints_on_several_sheets_of_paper(page, chromium, tmp_path):
    document = chromium.pdf(page, tmp_path / "page.pdf").read_bytes()
    assert document.startswith(b"%PDF-")
    assert document.rstrip().endswith(b"%%EOF")
    sheets = document.count(b"/Type /Page\n") or document.count(b"/Type /Page")
    assert 4 <= sheets <= 25
    assert b"/MediaBox [0 0 594" in document or b"/MediaBox [0 0 595" in document  # A4


def test_what_is_folded_on_screen_is_open_on_paper(page, chromium, tmp_path):
    """The sheets are more than those of the same page without what is folded."""
    _, text = read_page(page)
    bare = tmp_path / "bare.html"
    bare.write_text(text.replace("<details>", '<details style="display:none">'))
    whole, short = (
        chromium.pdf(p, tmp_path / f"{p.stem}.pdf").read_bytes().count(b"/Type /Page") for p in (page, bare)
    )
    assert whole > short
