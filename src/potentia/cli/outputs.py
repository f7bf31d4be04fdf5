"""Files that commands write: none that is there is ever replaced, but a page of potentia by a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from potentia.errors import ConfigError

if TYPE_CHECKING:
    import os

__all__ = ["require_empty", "require_new", "require_place", "write_page"]


class Paged(Protocol):
    """What can be written as a page."""

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write it."""
        ...


def require_new(path: Path, option: str) -> None:
    """Refuse a file that is there already.

    Args:
        path: Of the file that is to be written.
        option: What chooses another one.

    Raises:
        ConfigError: it is there.
    """
    if path.exists():
        raise ConfigError(f"{path} is there already: remove it, or choose another file by {option}")


def require_empty(folder: Path, advice: str) -> None:
    """Refuse a folder that has something in it; it need not be there.

    Args:
        folder: In which several files are to be written.
        advice: How to choose another one, behind the words of it.

    Raises:
        ConfigError: there is something in it, or it is a file.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{folder} is {'a file' if folder.is_file() else 'not empty'}: choose another folder{advice}")


def require_place(page: Path | None, option: str) -> None:
    """Refuse a place where no page can go, before anything is measured for it; None is no page at all.

    Args:
        page: File of the page.
        option: What chooses another one.

    Raises:
        ConfigError: a file is there that potentia has not written, or its name is not that of a page.
    """
    if page is None:
        return
    from potentia.plots.page import require_place  # and with it matplotlib

    require_place(page, f"choose another file by {option}")


def write_page(told: Paged, page: Path | None) -> None:
    """Write a page, and the folder that it is to be in; None is no page at all."""
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        told.to_html(page)
