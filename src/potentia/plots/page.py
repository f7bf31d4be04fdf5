"""One HTML page that needs no other file: words, tables and figures under headings, everything escaped."""

from __future__ import annotations

import base64
import html
import io
import math
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from potentia.errors import ConfigError
from potentia.storage import write_text

__all__ = ["Page", "require_place"]

SUFFIXES = (".html", ".htm")
_DOTS_PER_INCH = 110
_HEAD = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="generator" content="potentia">'
"""How every page begins, and nothing else."""
_CODE = re.compile("`([^`]+)`")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #ddd; }
h3 { font-size: 1.05em; margin-bottom: .3em; } p.words { color: #595959; }
table { border-collapse: collapse; font-size: .9em; margin: 1em 0; display: block; overflow-x: auto; }
th, td { padding: .25em .8em; text-align: right; white-space: nowrap; border-bottom: 1px solid #eee; }
th { color: #595959; white-space: normal; vertical-align: bottom; }
td.text { white-space: normal; }
th:first-child, td:first-child, .text { text-align: left; }
td.best { font-weight: 700; color: #0072B2; }
figure { margin: 1.2em 0; } img { max-width: 100%; height: auto; } figcaption { color: #595959; font-size: .9em; }
summary { cursor: pointer; color: #0072B2; margin: .6em 0; } nav a { margin-right: 1em; display: inline-block; }
""".strip()


@dataclass
class Page:
    """A page that is filled from the top and then written.

    >>> page = Page("Errors < 1 %")
    >>> page.section("Accuracy")
    >>> page.words("Of the held-out part, see `evaluate`.")
    >>> "Errors &lt; 1 %" in page.html() and 'href="#section-1"' in page.html()
    True
    >>> "see <code>evaluate</code>" in page.html()
    True
    """

    title: str
    """On top of it."""
    _parts: list[str] = field(default_factory=list, repr=False)
    _sections: list[str] = field(default_factory=list, repr=False)
    _folded: bool = field(default=False, repr=False)

    def section(self, title: str) -> None:
        """Begin a section; the page begins with a link to it."""
        self.unfold()
        self._sections.append(title)
        self._parts.append(f'<h2 id="section-{len(self._sections)}">{html.escape(title)}</h2>')

    def fold(self, title: str) -> None:
        """Begin a part that is shown when the reader opens it; it ends with the next one or the section."""
        self.unfold()
        self._parts.append(f"<details><summary>{html.escape(title)}</summary>")
        self._folded = True

    def words(self, text: str) -> None:
        """Add a paragraph; what stands between backticks is code."""
        words = _CODE.sub(r"<code>\1</code>", html.escape(text))
        self._parts.append(f'<p class="words">{words}</p>')

    def table(self, frame: pd.DataFrame, caption: str = "", *, texts: Collection[str] = ()) -> None:
        """Add a table with its index in front; numbers have four digits, a cell ``"* … *"`` is shown as the best.

        Args:
            frame: Its rows.
            caption: Above it.
            texts: Columns that are read and not compared: they stand to the left.
        """
        if caption and [caption] != self._sections[-1:]:  # else it stands above it already
            self._parts.append(f"<h3>{html.escape(caption)}</h3>")
        names = "" if frame.index.name is None else str(frame.index.name)
        sides = [' class="text"' if name in texts else "" for name in frame.columns]
        head = "".join(
            f"<th{side}>{html.escape(str(name))}</th>"
            for name, side in zip([names, *frame.columns], ["", *sides], strict=True)
        )
        rows = []
        for name, row in zip(frame.index, frame.itertuples(index=False, name=None), strict=True):
            rows.append(f"<tr><td>{html.escape(str(name))}</td>{''.join(map(_cell, row, sides))}</tr>")
        self._parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>")

    def figure(self, figure: Figure, caption: str = "") -> None:
        """Add a figure as it looks now."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
        self.png(buffer.getvalue(), caption)

    def png(self, content: bytes, caption: str = "") -> None:
        """Add a figure that is already the content of a PNG file."""
        data = base64.b64encode(content).decode("ascii")
        words = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{words}" src="data:image/png;base64,{data}"><figcaption>{words}</figcaption></figure>'
        )

    def html(self) -> str:
        """Return the page."""
        title = html.escape(self.title)
        links = "".join(
            f'<a href="#section-{k}">{html.escape(name)}</a>' for k, name in enumerate(self._sections, start=1)
        )
        body = "\n".join([f"<h1>{title}</h1>", f"<nav>{links}</nav>", *self._parts, "</details>" * self._folded])
        return f"{_HEAD}<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page, whole or not at all; a page that was written before is replaced, no other file is.

        Raises:
            ConfigError: another file stands there, its name is not that of a page, or the directory does not exist.
        """
        require_place(path)
        folder = Path(path).parent
        if not folder.is_dir():
            raise ConfigError(f"{path}: the directory {str(folder)!r} does not exist; make it first")
        write_text(path, self.html())

    def unfold(self) -> None:
        """End a part that the reader opens."""
        if self._folded:
            self._parts.append("</details>")
        self._folded = False


def require_place(path: str | os.PathLike[str], advice: str = "name another file") -> None:
    """Refuse a place where no page can go: what `Page` has written before can be made again, other files cannot.

    Args:
        path: File of the page.
        advice: What to do instead.

    Raises:
        ConfigError: another file or a folder is there, or the name does not end as that of a page.
    """
    file = Path(path)
    if file.is_dir():
        raise ConfigError(f"{file} is a folder: the page needs the name of a file, such as {file / 'report.html'}")
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"pages are HTML, so the name of one ends in {' or '.join(SUFFIXES)}, got {str(path)!r}")
    beyond = next(one for one in file.parents if one.exists())
    if not beyond.is_dir():
        raise ConfigError(f"{beyond} is a file, so no page can be in it: {advice}")
    if not file.exists():
        return
    with file.open("rb") as stream:
        own = stream.read(len(_HEAD.encode())) == _HEAD.encode()
    if not own:
        raise ConfigError(f"{file} is there already, and potentia has not written it: remove it, or {advice}")


def _cell(value: object, side: str) -> str:
    match value:
        case str() if value.startswith("* ") and value.endswith(" *"):
            return f'<td class="{"best text" if side else "best"}">{html.escape(value[2:-2])}</td>'
        case float():
            return f"<td>{'' if math.isnan(value) else format(value, '.4g').replace('inf', '∞')}</td>"  # NaN is blank
        case bool():
            return f"<td>{'yes' if value else 'no'}</td>"
    return f"<td{side}>{html.escape(str(value))}</td>"
