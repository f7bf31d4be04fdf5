"""A data set in one HDF5 file: built once from many sources, read entry by entry or all at once."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor

from potentia import progress
from potentia.checks import choice, integer
from potentia.data.ragged import RaggedFile
from potentia.data.ragged_writer import filters_of, write_ragged
from potentia.errors import ConfigError
from potentia.potentials.datasets.base import DatasetError, DatasetSummary, PotentialDataset, require_some
from potentia.potentials.datasets.build import Job, build
from potentia.potentials.datasets.limits import Limits
from potentia.potentials.datasets.lru import LRU
from potentia.potentials.datasets.manifest import manifest_of, recovered, require_compatible, require_whole
from potentia.potentials.datasets.sources import Sources, as_source_collection
from potentia.potentials.datasets.stored import StoredEntries
from potentia.potentials.descriptors.base import Descriptor
from potentia.potentials.geometry import Geometry
from potentia.potentials.structure import Structure
from potentia.potentials.surface import Featurised

__all__ = ["HDF5StructureDataset"]

KIND = "structure database"
VERSION = 1
MODES = ("auto", "build", "load")


class HDF5StructureDataset(PotentialDataset):
    """Structures in an HDF5 file, read when they are asked for; features and pairs besides, if they were persisted.

    The file is opened in no time, however many entries it has, and by each process for itself. It owns the energies
    of free atoms and the limits that it was built with: they need not be given again.

    Args:
        descriptor: What makes the features; None takes the one that the file was built with, if that was persisted.
        database_file: The file; a relative path is made absolute at once.
        sources: What to build from: paths, `SourceRecord` objects, or a source collection.
        mode: ``"build"`` waits for `build_database`, ``"load"`` needs the file, ``"auto"`` loads it if it is there.
        max_energy: Structures with more energy per atom, relative to free atoms, are left out of the build (eV).
        max_forces: Structures with an atom on which the force is larger in magnitude are left out (eV/Å).
        atomic_energies: Energy of the free atom of each species (eV); None means zeros.
        seed: Seed of splits that are given none.
        in_memory_cache_size: So many structures, those used last, are kept in memory; None keeps all.
        compression: ``"zlib"``, ``"lzf"`` or ``"none"``.
        compression_level: 0 (fast) to 9 (small), of zlib.

    Raises:
        ConfigError: a setting cannot be, or is not that of the file.
        FileFormatError: there is no such file, or it is no whole database.
        DatasetError: the descriptor is not the one that the file was built with.
    """

    def __init__(  # noqa: PLR0913  # the signature that users know
        self,
        descriptor: Descriptor | None,
        database_file: str | os.PathLike[str],
        sources: Sources | None = None,
        mode: str = "auto",
        *,
        max_energy: float | None = None,
        max_forces: float | None = None,
        atomic_energies: Mapping[str, float] | None = None,
        seed: int | None = None,
        in_memory_cache_size: int | None = 2048,
        compression: str | None = "zlib",
        compression_level: int = 5,
    ) -> None:
        self.database_file = Path(database_file).absolute()
        self.mode = choice("mode", mode, MODES)
        self.seed = seed
        self.limits = Limits(atomic_energies, max_energy, max_forces)
        self.compression, self.compression_level = compression, compression_level
        filters_of(compression, compression_level)
        if in_memory_cache_size is not None:
            integer("in_memory_cache_size", in_memory_cache_size, low=0)
        self._sources = None if sources is None else as_source_collection(sources)
        self._given = (descriptor, self.limits)
        self._descriptor = descriptor
        self._structures = LRU[Structure](in_memory_cache_size)
        self._stored: StoredEntries | None = None
        self._summary: DatasetSummary | None = None
        if mode == "load" or (mode == "auto" and self.database_file.exists()):
            self._load()

    def build_database(
        self,
        show_progress: bool = True,
        *,
        build_workers: int = 0,
        persist_descriptor: bool = False,
        persist_features: bool = False,
        persist_force_derivatives: bool = False,
    ) -> None:
        """Build the file from the sources, in their order; it takes the place of an older one when it is whole.

        Args:
            show_progress: Whether a bar shows how far it is.
            build_workers: Processes that read and featurise; up to 1, all is done here. The file is the same.
            persist_descriptor: Keep the settings of the descriptor, so that it need not be given again.
            persist_features: Keep the features of all entries, and the descriptor.
            persist_force_derivatives: Keep the pairs of entries with forces or stress, and the descriptor.

        Raises:
            ConfigError: there are no sources, or they cannot be read by several processes.
            DatasetError: a source cannot be loaded, there is no descriptor to persist, or the data set only reads.
            DataError: a structure cannot be kept, or none is left.
            OSError: the file cannot be written. An older one is untouched after any error.
        """
        persist = persist_descriptor or persist_features or persist_force_derivatives
        job = self._job(build_workers, persist, features=persist_features, pairs=persist_force_derivatives)
        assert self._sources is not None
        settings = {
            "limits": vars(job.limits),
            "descriptor": manifest_of(job.descriptor) if persist and job.descriptor is not None else None,
        }
        name, level = self.compression, self.compression_level
        with (
            write_ragged(
                self.database_file, KIND, job.tables(), version=VERSION, compression=name, level=level
            ) as writer,
            progress.bar(len(self._sources), "sources", shown=show_progress) as bar,
        ):
            writer.settings |= settings
            writer.attributes |= _filter_attributes(job.limits)
            seen = build(writer, self._sources.iter_records(), job, build_workers, bar.update)
            require_some(writer.rows["entries"], seen, job.limits)
        self.close()
        self._load()

    @property
    def descriptor(self) -> Descriptor | None:
        """What makes the features: the one given, else that of the file."""
        return self._descriptor

    def __len__(self) -> int:
        return len(self._entries)

    def get_structure(self, idx: int) -> Structure:
        """Return one structure."""
        number = self.checked_index(idx)
        return self._structures.get(number, lambda: self._entries.structures([number])[0])

    def get_structure_identifier(self, idx: int) -> str:
        """Return display name, source, or name of the structure, else ``structure_000007``, and ``#frame=0``."""
        known = self.get_entry_metadata(idx)
        named = known["display_name"] or known["source_id"] or known["name"] or f"structure_{known['number']:06d}"
        return f"{named}#frame={known['frame_idx']}"

    def get_entry_metadata(self, idx: int) -> dict[str, Any]:
        """Return where an entry comes from: source_id, source_kind, display_name, frame_idx, name; and more."""
        return self._entries.metadata(self.checked_index(idx))

    def labels(self, indices: Sequence[int]) -> list[Structure]:
        """Return many structures, in the order given; they are read together and not kept."""
        return self._entries.structures([self.checked_index(k) for k in indices])

    def summary(self) -> DatasetSummary:
        """Return the labels of all entries that are one number each, without reading structures."""
        if self._summary is None:
            self._summary = self._entries.summary(self.descriptor)
        return self._summary

    def featurised(self, indices: Sequence[int], differentiated: Sequence[bool]) -> Featurised:
        """Return the features of entries in the order given, with what derivatives need where ``differentiated``.

        What was persisted is read, the rest is computed.
        """
        rows = [self.checked_index(k) for k in indices]
        return self._entries.featurised(rows, differentiated, self.require_descriptor())

    def has_persisted_descriptor(self) -> bool:
        """Whether the file has the settings of its descriptor."""
        return self._manifest is not None

    def get_descriptor_manifest(self) -> dict[str, Any] | None:
        """Return the file's descriptor (class and settings), its pair layout and mark; None if it has none."""
        return None if self._manifest is None else dict(self._manifest)

    def load_persisted_descriptor(self) -> Descriptor | None:
        """Return the descriptor that the file was built with, on the CPU; None if it was not persisted."""
        return None if self._manifest is None else recovered(self._manifest, str(self.database_file))

    def has_persisted_features(self) -> bool:
        """Whether the file has features."""
        return self._entries.has_features

    def has_persisted_force_derivatives(self) -> bool:
        """Whether the file has what derivatives need."""
        return self._entries.has_pairs

    def get_persisted_feature_cache_info(self) -> dict[str, Any] | None:
        """Return number and type of the persisted features; None if there are none."""
        return self._cache_info("features", "values") if self._entries.has_features else None

    def get_force_derivative_cache_info(self) -> dict[str, Any] | None:
        """Return number and type of the persisted pairs; None if there are none."""
        return self._cache_info("pairs", "vector") if self._entries.has_pairs else None

    def load_persisted_features(self, idx: int) -> Tensor:
        """Return the persisted features of an entry, in the type of the descriptor.  [atoms, features]

        Raises:
            DatasetError: features were not persisted.
        """
        if not self._entries.has_features:
            raise DatasetError(f"{self.database_file} has no features: build it with persist_features=True")
        return self._entries.features(self.checked_index(idx), self.require_descriptor())

    def load_persisted_force_derivatives(self, idx: int) -> tuple[Geometry, Tensor] | None:
        """Return the geometry with pairs and the moments of an entry: what vjp and jvp of the descriptor need.

        None for an entry that has neither forces nor stress.

        Raises:
            DatasetError: they were not persisted.
        """
        if not self._entries.has_pairs:
            raise DatasetError(f"{self.database_file} has no pairs: build it with persist_force_derivatives=True")
        number, descriptor = self.checked_index(idx), self.require_descriptor()
        if not self._entries.is_supervised([number])[0]:
            return None
        geometry = self._entries.geometry([number], np.array([True]), descriptor)
        return geometry, self._entries.moments([number], descriptor)

    def close(self) -> None:
        """Close the file, as often as wanted; it is opened again when something is read."""
        if self._stored is not None:
            self._stored.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sources": None}  # loaders need not be known to the process that only reads

    @property
    def _entries(self) -> StoredEntries:
        if self._stored is None:
            raise DatasetError(f"{self.database_file} is not built yet: call build_database() first")
        return self._stored

    @property
    def _manifest(self) -> dict[str, Any] | None:
        manifest: dict[str, Any] | None = self._entries.file.header.settings["descriptor"]
        return manifest

    def _load(self) -> None:
        """Open the file and take over what it owns."""
        file = RaggedFile(self.database_file, KIND, version=VERSION)
        settings, where = file.header.settings, str(self.database_file)
        descriptor, given = self._given
        owned = Limits(**settings["limits"])
        for name, value in vars(given).items():
            if value is not None and value != vars(owned)[name]:
                raise ConfigError(
                    f"{name}={value} is not the {vars(owned)[name]} that {where} was built with: leave it out, or "
                    "build the database again"
                )
        if settings["descriptor"] is not None:
            require_whole(settings["descriptor"], where)
            if descriptor is None:
                descriptor = recovered(settings["descriptor"], where)
            require_compatible(settings["descriptor"], descriptor, where)
        self._descriptor, self.limits = descriptor, owned
        self._stored, self._summary = StoredEntries(file), None
        self._structures.clear()

    def _job(self, workers: int, persist: bool, *, features: bool, pairs: bool) -> Job:
        """Return what a build does, or raise what is in its way."""
        if self.mode == "load":
            raise DatasetError("a data set with mode='load' only reads: use mode='build' or 'auto' to build")
        if self._sources is None:
            raise ConfigError("sources must be provided to build_database(): give them to the data set")
        if integer("build_workers", workers) < 0:
            raise ConfigError(f"build_workers must be >= 0, got {workers}")
        if workers > 1 and not self._sources.capabilities.supports_parallel_build:
            raise ConfigError(f"sources of {type(self._sources).__name__} do not support build_workers > 1")
        descriptor, limits = self._given
        if persist and descriptor is None:
            what = "features" if features else "force derivatives" if pairs else "a descriptor"
            raise DatasetError(f"Persisting {what} requires a descriptor: give one to the data set")
        return Job(limits, descriptor, features, pairs)

    def _cache_info(self, table: str, column: str) -> dict[str, Any]:
        header = self._entries.file.header
        assert self._manifest is not None
        return {
            "n_entries": header.rows[table],
            "n_features": self.require_descriptor().n_features,
            "dtype": str(np.dtype(header.tables[table][column].dtype)),
            "descriptor_sha256": self._manifest["sha256"],
        }


def _filter_attributes(limits: Limits) -> dict[str, Any]:
    """Return the filter as attributes of the file, under the names of ænet."""
    energies = limits.atomic_energies
    return {
        "energy_filter_semantics": "referenced_energy_per_atom",
        "energy_filter_enabled": limits.max_energy is not None,
        "energy_filter_reference_mode": "zero_reference_fallback" if energies is None else "explicit_atomic_references",
        "energy_filter_max_referenced_energy_per_atom": math.nan if limits.max_energy is None else limits.max_energy,
        "energy_filter_atomic_energies_json": "" if energies is None else json.dumps(energies, separators=(",", ":")),
    }
