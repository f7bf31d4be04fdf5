"""Building a database: sources are read, filtered, featurised and laid out as rows, here or by other processes."""

from __future__ import annotations

import multiprocessing
import pickle
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch

from potentia.data.ragged import Column, Ragged, Table
from potentia.data.ragged_writer import RaggedWriter
from potentia.errors import ConfigError
from potentia.potentials.datasets.base import DatasetError
from potentia.potentials.datasets.entries import ENTRIES, SOURCES, Entry, SpeciesTable, encode, encode_sources
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.datasets.persisted import feature_rows, pair_rows, persisted_tables
from potentia.potentials.datasets.sources import SourceRecord
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import species_indices
from potentia.potentials.structure import Structure

__all__ = ["Job", "build"]

SOURCES_AT_ONCE = 16
"""Sources that a process takes at a time."""
STRUCTURES_AT_ONCE = 128
"""Structures that are featurised and laid out at a time: what a build needs memory for."""


@dataclass(frozen=True)
class Job:
    """What is done with each structure."""

    limits: Limits
    descriptor: Descriptor | None
    """Structures with a species that it does not know are refused."""
    features: bool = False
    """Whether features are kept."""
    pairs: bool = False
    """Whether pairs are kept, of structures with forces or stress."""

    def tables(self) -> dict[str, dict[str, Column]]:
        """Return the tables of the database."""
        tables = {"entries": ENTRIES, "sources": SOURCES}
        if self.descriptor is None or not (self.features or self.pairs):
            return tables
        return tables | persisted_tables(self.descriptor, features=self.features, pairs=self.pairs)


@dataclass(frozen=True)
class Block:
    """Rows of some structures. Their sources and numbers count from the first of the records that were asked for."""

    tables: dict[str, Table]
    species: list[str]
    """What the species of the entries mean."""
    seen: int
    """Structures that were looked at up to here, those left out included."""
    notes: list[tuple[type[Warning], str]] = field(default_factory=list)
    """Warnings raised on the way."""


Chunk: TypeAlias = tuple[list[SourceRecord], Iterable[Block]]


def build(
    writer: RaggedWriter, records: Iterator[SourceRecord], job: Job, workers: int, tell: Callable[[int], object]
) -> int:
    """Write the structures of ``records`` in their order; ``tell`` hears how many sources are done.

    Returns:
        How many structures were seen, those left out included.

    Raises:
        DatasetError: a source cannot be loaded, or a process has died.
        DataError: a structure cannot be kept.
        ConfigError: a loader cannot be sent to other processes.
    """
    species, seen, told = SpeciesTable(), 0, set[tuple[type[Warning], str]]()
    for chunk, blocks in _by_processes(job, records, workers) if workers > 1 else _here(job, records):
        first_source, last = writer.rows["sources"], 0
        writer.append("sources", encode_sources(chunk))
        for block in blocks:
            _warn_once(block.notes, told)
            _append(writer, block, species, first_source, seen)
            last = block.seen
        seen += last
        tell(len(chunk))
    writer.settings["species"] = species.names
    return seen


def _here(job: Job, records: Iterator[SourceRecord]) -> Iterator[Chunk]:
    while chunk := list(islice(records, SOURCES_AT_ONCE)):
        yield chunk, _blocks(job, chunk)


def _by_processes(job: Job, records: Iterator[SourceRecord], workers: int) -> Iterator[Chunk]:
    """Give blocks in the order of the records, with two chunks under way for each process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        chunks = iter(lambda: list(islice(records, SOURCES_AT_ONCE)), [])
        futures = ((chunk, pool.submit(_all_blocks, job, _sendable(chunk))) for chunk in chunks)
        try:
            waiting = deque(islice(futures, 2 * workers))
            while waiting:
                chunk, future = waiting.popleft()
                yield chunk, future.result()
                waiting.extend(islice(futures, 1))
        except BrokenProcessPool as error:
            raise DatasetError(
                "a process of the build has died: it was killed, there was not enough memory, or the script that "
                "builds lacks `if __name__ == '__main__':`. Build with build_workers=0 to see more"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _sendable(chunk: list[SourceRecord]) -> list[SourceRecord]:
    for record in chunk:
        try:
            pickle.dumps(record)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the loader of source {record.source_id!r} cannot be sent to other processes ({error}): make it a "
                "function of a module, or functools.partial of one, or build with build_workers=0"
            ) from error
    return chunk


def _all_blocks(job: Job, records: Sequence[SourceRecord]) -> list[Block]:
    return list(_blocks(job, records))


def _blocks(job: Job, records: Sequence[SourceRecord]) -> Iterator[Block]:
    """Give the structures of ``records`` as blocks, each with the warnings that its making has raised."""
    making = _make_blocks(job, records)
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            block = next(making, None)
        if block is None:
            return
        yield replace(block, notes=[(note.category, str(note.message)) for note in caught])


def _make_blocks(job: Job, records: Sequence[SourceRecord]) -> Iterator[Block]:
    entries: list[Entry] = []
    seen = 0
    for source, record in enumerate(records):
        for frame_idx, structure in enumerate(record.iter_structures()):
            where = f"{record.display_name or record.source_id}, frame {frame_idx}"
            if job.limits.keep(structure):
                entries.append(Entry(structure, seen, source, frame_idx, where))
            seen += 1
            if len(entries) == STRUCTURES_AT_ONCE:
                yield _block(job, entries, seen)
                entries = []
    yield _block(job, entries, seen)


def _block(job: Job, entries: Sequence[Entry], seen: int) -> Block:
    species = SpeciesTable()
    tables = {"entries": encode(entries, species)}
    named = [_named(entry) for entry in entries]
    for structure in named:
        job.limits.reference_energy(structure)
        if job.descriptor is not None:
            species_indices(structure, job.descriptor.species_to_idx)
    if entries and job.descriptor is not None and (job.features or job.pairs):
        geometry = job.descriptor.geometry(named)
        tables |= feature_rows(job.descriptor.features(geometry), geometry)
        if job.pairs:
            supervised = np.array([s.has_forces() or s.has_stress() for s in named])
            tables["pairs"] = pair_rows(geometry, supervised)
    return Block(tables, species.names, seen)


def _named(entry: Entry) -> Structure:
    """Return the structure with a name for messages."""
    structure = entry.structure
    return structure if structure.name or structure.source else replace(structure, source=entry.where)


def _warn_once(notes: Iterable[tuple[type[Warning], str]], told: set[tuple[type[Warning], str]]) -> None:
    for category, text in notes:
        if (category, text) not in told:
            warnings.warn(text, category, stacklevel=4)
        told.add((category, text))


def _append(writer: RaggedWriter, block: Block, species: SpeciesTable, first_source: int, first_number: int) -> None:
    """Write a block, its species, sources and numbers counted as in the whole file."""
    entries = dict(block.tables["entries"])
    if not len(entries["energy"]):
        return
    entries["source"] = entries["source"] + first_source
    entries["number"] = entries["number"] + first_number
    there = species.indices(block.species)
    kinds, composition = entries["species"], entries["composition"]
    entries["species"] = Ragged(there[kinds.values], kinds.lengths)
    counted = composition.values.copy()
    counted[:, 0] = there[counted[:, 0]]
    entries["composition"] = Ragged(counted, composition.lengths)
    writer.append("entries", entries)
    for table in writer.rows:
        if table not in {"entries", "sources"}:
            writer.append(table, block.tables[table])
