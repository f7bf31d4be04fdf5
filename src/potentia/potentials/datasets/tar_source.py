"""XSF files in a tar archive, of any compression, as sources: read in order, never unpacked to disk."""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from potentia.errors import DataError, FileFormatError
from potentia.potentials.datasets.sources import SourceCapabilities, SourceCollection, SourceRecord
from potentia.potentials.formats.xsf import parse_xsf
from potentia.potentials.structure import Structure

__all__ = ["TarArchiveXSFSourceCollection"]


class TarArchiveXSFSourceCollection(SourceCollection):
    """The XSF files in a tar archive, in the order of the archive.

    Members of one name are told apart by their number in the archive. The archive is read in order, once to see what
    is in it and once for the build; other processes get the text of a member.

    Args:
        archive_path: The archive; a relative path is made absolute at once.
        member_suffixes: Endings of the members that are taken, in any case of letters.
    """

    def __init__(self, archive_path: str | os.PathLike[str], member_suffixes: Sequence[str] = (".xsf",)) -> None:
        self.archive_path = Path(archive_path).absolute()
        if isinstance(member_suffixes, str):
            member_suffixes = (member_suffixes,)
        self.member_suffixes = tuple(suffix.lower() for suffix in member_suffixes)
        self._names: Counter[str] | None = None

    @property
    def capabilities(self) -> SourceCapabilities:
        """What can be done with it: the archive is read in order, the texts are parsed by any process."""
        return SourceCapabilities(supports_random_access=False)

    def __len__(self) -> int:
        return self._counted().total()

    def iter_records(self) -> Iterator[SourceRecord]:
        """Give the members in their order.

        Raises:
            FileFormatError: there is no such archive, or it is truncated or damaged.
        """
        names = self._counted()
        with self._reading(), tarfile.open(self.archive_path) as archive:
            for number, member in enumerate(self._members(archive)):
                file = archive.extractfile(member)
                content = b"" if file is None else file.read()
                place = f"{self.archive_path}::member={number}:{member.name}"
                mark = f"@member={number}" if names[member.name] > 1 else ""
                shown = f"{self.archive_path.name}:{member.name}{mark}"
                yield SourceRecord(place, partial(_parse, content, place), "tar_xsf_member", shown)

    def _counted(self) -> Counter[str]:
        """How many members have each name."""
        if self._names is None:
            with self._reading(), tarfile.open(self.archive_path) as archive:
                self._names = Counter(member.name for member in self._members(archive))
            if not self._names:
                raise DataError(f"{self.archive_path} has no member that ends in {' or '.join(self.member_suffixes)}")
        return self._names

    def _members(self, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        return (m for m in archive if m.isfile() and m.name.lower().endswith(self.member_suffixes))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if not self.archive_path.is_file():
            raise FileFormatError(f"no such file: {self.archive_path}")
        try:
            yield
        except FileFormatError:
            raise
        except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
            raise FileFormatError(f"{self.archive_path} cannot be read as a tar archive: {error}") from error


def _parse(content: bytes, place: str) -> list[Structure]:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{place} cannot be read as text: {error}") from error
    return parse_xsf(text, place)
