"""A page as a program sees it: its headings, tables, pictures and links."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from potentia.words import COVERAGE, METRICS, OUTSIDE, PARAMETERS

VOID = {"meta", "img"}
NAMES = {name for name in (*METRICS, *COVERAGE, *PARAMETERS) if "_" in name} | {*OUTSIDE} - {"distance"}
NAMES |= {"vrmse", "nmse", "nrmse", "ade", "fde"}
"""Names of metrics that programs read, and people should not have to."""


class Seen(HTMLParser):
    """What stands on a page; every tag that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.rows: list[list[str]] = []
        self.words = ""

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if name in found and tag != "img"]
        self.images += [found["src"]] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)
        self.sections += [""] if tag == "h2" else []
        self.rows += [[]] if tag == "tr" else []
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if "h2" in self.open:
            self.sections[-1] += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def seen(path: Path) -> Seen:
    """Read a page, and see that it needs nothing else: no link but to its own sections, every picture is in it."""
    page = Seen()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert all(link.startswith("#section-") for link in page.links)
    assert len(page.links) == len(page.sections)
    for source in page.images:
        head, content = source.split(",", 1)
        assert head == "data:image/png;base64"
        image = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
        image.load()
        assert min(image.size) > 100
    cells = {cell for row in page.rows for cell in row}
    assert not cells & NAMES
    return page


def table(report, section: str, name: str) -> list[dict]:
    """Return the rows of a table of the plain report."""
    (found,) = [one for one in report["sections"] if one["title"] == section]
    return found["tables"][name]
