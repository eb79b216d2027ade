"""A headless Chromium, without network: screenshots, printed pages, and what a page measures about itself."""

import re
import shutil
import subprocess
from html import escape
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTH = re.compile(r"<title>(\d+)</title>")
FRAME = """<!DOCTYPE html><title>unknown</title><iframe width="{width}" height="1000" style="border:0" srcdoc="{page}"
onload="document.title = this.contentDocument.documentElement.scrollWidth"></iframe>"""


class Browser:
    """Runs the browser with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        self.program, self.profile = program, profile

    def run(self, page: Path, *flags: str) -> str:
        """Open `page`; what the browser printed. Fails where it did not end well."""
        command = [self.program, *FLAGS, f"--user-data-dir={self.profile}", *flags, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screenshot(self, page: Path, picture: Path, width: int, height: int) -> Path:
        """`page` as PNG, sizes in CSS pixels."""
        self.run(page, f"--screenshot={picture}", f"--window-size={width},{height}")
        return picture

    def pdf(self, page: Path, document: Path) -> Path:
        """`page` printed to a PDF."""
        self.run(page, "--no-pdf-header-footer", f"--print-to-pdf={document}")
        return document

    def content_width(self, page: Path, width: int) -> int:
        """How wide the content is in a window of `width` pixels: wider means that the page scrolls sideways.

        Measured from outside, by a page with a script that holds this one in a frame: a window has a least width.
        """
        outer = page.with_name(f"measure-{page.name}")
        outer.write_text(FRAME.format(width=width, page=escape(page.read_text(), quote=True)))
        found = WIDTH.search(self.run(outer, "--dump-dom", "--window-size=1600,1000"))
        assert found, "the page did not measure itself"
        return int(found.group(1))


def browser(profile: Path) -> Browser:
    """The browser that is installed; skips the test where there is none."""
    for name in NAMES:
        if program := shutil.which(name):
            return Browser(program, profile)
    pytest.skip(f"no browser found: none of {', '.join(NAMES)} is installed")
