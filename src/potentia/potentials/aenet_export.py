"""Export to ænet: a potential as files ``.nn.ascii`` and ``.nn`` of each species, and the proof that they are right.

ænet always normalises features, and for each species by numbers of its file. Ours are therefore folded into the first
layer, W' = W·scale and b' = b - W (mean·scale), and the files say mean 0 and mean square 1, which changes nothing. So
what statistics of features the files carry beside that is information only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike

from potentia.errors import ConfigError, DataError, warn_user
from potentia.nn import MLP
from potentia.potentials.aenet_proof import Proof, proof_structures, prove
from potentia.potentials.aenet_repulsion import described, repulsion_report, warn_of_missing
from potentia.potentials.aenet_statistics import (
    FeatureStatistics,
    given_statistics,
    imported_statistics,
    measured_statistics,
)
from potentia.potentials.descriptors import ChebyshevDescriptor
from potentia.potentials.formats.aenet_network import ACTIVATION_CODES, AenetNetwork
from potentia.potentials.formats.aenet_records import Reals
from potentia.potentials.formats.reading import StructureLike, read_structures
from potentia.potentials.networks import Architecture, AtomicNetworks
from potentia.potentials.repulsion import ZBL
from potentia.potentials.structure import Structure
from potentia.storage import release, replacing

__all__ = ["AenetExport", "StagedExport"]

RC_MIN = (0.1, 0.8)
"""Shortest distances (Å) that ænet can make its buffers for; it crashes, or finds no neighbours, far below."""
_SPECIES = re.compile(r"[A-Za-z][A-Za-z0-9_]?")


@dataclass(frozen=True)
class AenetExport:
    """A trained potential on its way to ænet."""

    arch: Architecture
    descriptor: ChebyshevDescriptor
    model: AtomicNetworks
    atomic_energies: Mapping[str, float]
    """Energy of the free atom of each species, eV."""
    record: Mapping[str, Any]
    """How it was trained, or where it was imported from."""
    uncertainty: str | None = None
    """Content of ``<prefix>.uncertainty.json``; None for no such file."""
    repulsion: ZBL | None = None
    """What was trained with and cannot be in the files: they, the report and a warning say so."""

    def write(
        self,
        output_dir: str | os.PathLike[str],
        prefix: str,
        descriptor_stats: Mapping[str, ArrayLike] | None,
        structures: StructureLike | Iterable[StructureLike] | None,
        *,
        compute_stats: bool,
    ) -> dict[str, Path]:
        """Write files and report, whole or not at all.

        Args:
            output_dir: Folder of the files; it is made if it is not there.
            prefix: Their names begin with it.
            descriptor_stats: ``min``, ``max``, ``avg``, ``cov`` (mean square) of the features, for information only.
            structures: Structures, ASE Atoms or paths, for proof and statistics; None: random ones for the proof.
            compute_stats: Whether the features of ``structures`` are looked at, for information only.

        Returns:
            The ``.nn.ascii`` of each species.

        Raises:
            ConfigError: ænet cannot express this potential.
            DataError: a weight is not finite, or there is no structure to prove with.
            FileFormatError: the proof has failed.

        Warns:
            PotentiaWarning: the potential computes in float32, ænet in float64; or it has a repulsion, which the
                files cannot hold.
        """
        with ExitStack() as stack:
            staged = self.stage(stack, output_dir, prefix, descriptor_stats, structures, compute_stats=compute_stats)
        return staged.settle()

    def stage(
        self,
        stack: ExitStack,
        output_dir: str | os.PathLike[str],
        prefix: str,
        descriptor_stats: Mapping[str, ArrayLike] | None,
        structures: StructureLike | Iterable[StructureLike] | None,
        *,
        compute_stats: bool,
    ) -> StagedExport:
        """Write and prove files that take their names when ``stack`` is left without an error; see `write`."""
        self._require_expressible()
        if not prefix or Path(prefix).name != prefix:
            raise ConfigError(f"prefix must be the beginning of a file name, got {prefix!r}")
        given = None if structures is None else read_structures(structures).structures
        if given is not None and not given:
            raise DataError("structures is empty: give some for the proof, or None for random ones")
        statistics = self._statistics(descriptor_stats, given if compute_stats else None)
        networks = {s: self._network(s, statistics.get(s)) for s in self.descriptor.species}
        folder = Path(output_dir).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        named = {s: (folder / f"{prefix}.{s}.nn.ascii", folder / f"{prefix}.{s}.nn") for s in networks}
        report = stack.enter_context(replacing(folder / f"{prefix}.export.json"))
        if self.uncertainty is not None:
            beside = stack.enter_context(replacing(folder / f"{prefix}.uncertainty.json"))
            beside.write_text(self.uncertainty, encoding="utf-8")
        written = {s: tuple(stack.enter_context(replacing(path)) for path in paths) for s, paths in named.items()}
        for species, network in networks.items():
            written[species][0].write_bytes(network.to_text().encode())
            written[species][1].write_bytes(network.to_binary())
        pairs = {s: (text, binary) for s, (text, binary) in written.items()}
        items = proof_structures(self.descriptor) if given is None else given
        proof = prove(self.descriptor, self.model, self.atomic_energies, pairs, items, self.repulsion)
        said = self._report(named, networks, statistics, proof, drawn=given is None)
        report.write_text(json.dumps(said, allow_nan=False, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return StagedExport(self, folder, prefix, proof, {species: text for species, (text, _) in named.items()})

    def _require_expressible(self) -> None:
        """Raise `ConfigError` unless Fortran gives the same energies from the files."""
        descriptor = self.descriptor
        for species, layers in self.arch.items():
            if not _SPECIES.fullmatch(species):
                raise ConfigError(f"ænet knows species of one or two letters or digits, not {species!r}")
            for k, (_, activation) in enumerate(layers):
                if activation not in ACTIVATION_CODES:
                    raise ConfigError(
                        f"arch[{species!r}][{k}] has the activation {activation!r}, which ænet does not know; it knows "
                        f"{', '.join(ACTIVATION_CODES)}: train with one of them",
                        page="simulations.md#for-ænet-and-from-it",
                    )
        if descriptor.multi and descriptor.ang_cutoff > descriptor.rad_cutoff:
            raise ConfigError(
                f"ang_cutoff = {descriptor.ang_cutoff} Å is above rad_cutoff = {descriptor.rad_cutoff} Å: with several "
                "species ænet then takes wrong species weights; train with a radial cutoff at least as large",
                page="simulations.md#for-ænet-and-from-it",
            )
        low, high = RC_MIN
        if not low <= descriptor.min_cutoff <= high:
            raise ConfigError(
                f"min_cutoff = {descriptor.min_cutoff} Å is outside {low} to {high} Å, where ænet works as Rc_min; "
                "train with one inside"
            )

    def _statistics(
        self, stats: Mapping[str, ArrayLike] | None, structures: Sequence[Structure] | None
    ) -> dict[str, FeatureStatistics]:
        """Return by species what is known of the features: given, else measured, else as imported."""
        if stats is not None:
            return dict.fromkeys(self.descriptor.species, given_statistics(stats, self.descriptor.n_features))
        if structures is not None:
            return measured_statistics(structures, self.descriptor)
        return imported_statistics(self.record)

    def _network(self, species: str, statistics: FeatureStatistics | None) -> AenetNetwork:
        descriptor, n = self.descriptor, self.descriptor.n_features
        parameters = np.zeros((4, n))
        parameters[:, 0] = descriptor.rad_cutoff, descriptor.rad_order, descriptor.ang_cutoff, descriptor.ang_order
        training = self._training()
        return AenetNetwork(
            nodes=(n, *(nodes for nodes, _ in self.arch[species]), 1),
            activations=(*(ACTIVATION_CODES[name] for _, name in self.arch[species]), ACTIVATION_CODES["linear"]),
            weights=self._weights(species),
            description=described(training["description"], self.repulsion),
            species=species,
            environment=descriptor.species,
            rc_min=descriptor.min_cutoff,
            rc_max=descriptor.cutoff,
            sf=np.zeros(n, dtype=np.int32),
            sfparam=parameters,
            sfenv=np.zeros((2, n), dtype=np.int32),
            neval=0 if statistics is None else statistics.n_atoms,
            sfval_min=np.zeros(n) if statistics is None else statistics.low,
            sfval_max=np.zeros(n) if statistics is None else statistics.high,
            sfval_avg=np.zeros(n),
            sfval_cov=np.ones(n),
            training_set=training["training_set"],
            normalized=training["normalized"],
            scale=float(self.model.e_scaling),
            shift=float(self.model.e_shift),
            type_names=descriptor.species,
            e_atom=np.array([self.atomic_energies[name] for name in descriptor.species]),
            n_atoms=training["atoms"],
            n_structures=training["structures"],
            e_range=training["e_range"],
        )

    def _weights(self, species: str) -> Reals:
        """Return the weights of all layers in ænet's order, with the normalisation of features in the first."""
        network = cast("MLP", self.model.networks[self.descriptor.species.index(species)])
        layers = [
            (_double(weight), _double(bias)) for weight, bias in zip(network.weights, network.biases, strict=True)
        ]
        mean, scale = _double(self.model.feature_mean), _double(self.model.feature_scale)
        weight, bias = layers[0]
        layers[0] = weight * scale, bias - weight @ (mean * scale)
        weights = np.concatenate([np.column_stack(layer).ravel(order="F") for layer in layers])
        if not np.isfinite(weights).all():
            raise DataError(f"the network of {species} has weights that are not finite: its training went wrong")
        return weights

    def _training(self) -> dict[str, Any]:
        """Return what the files say of the training: as imported, else what is known of it.

        The range of energies is the one that scale and shift map to [-1, 1], its middle stands for the mean.
        """
        imported = self.record.get("imported")
        if imported is not None:
            return {**imported, "e_range": tuple(imported["e_range"])}
        scale, shift = float(self.model.e_scaling), float(self.model.e_shift)
        normalized = (scale, shift) != (1.0, 0.0)
        return {
            "description": "potentia",
            "training_set": "potentia",
            "normalized": normalized,
            "atoms": 0,
            "structures": int(self.record.get("data", {}).get("structures", 0)),
            "e_range": (shift - 1 / scale, shift + 1 / scale, shift) if normalized else (0.0, 0.0, 0.0),
        }

    def _report(
        self,
        named: Mapping[str, tuple[Path, Path]],
        networks: Mapping[str, AenetNetwork],
        statistics: Mapping[str, FeatureStatistics],
        proof: Proof,
        *,
        drawn: bool,
    ) -> dict[str, Any]:
        """Return what stands in the report, as plain values."""
        digests = {
            s: {".nn.ascii": _digest(n.to_text().encode()), ".nn": _digest(n.to_binary())} for s, n in networks.items()
        }
        return {
            "format": "potentia export to ænet",
            "version": 1,
            "versions": {"potentia": release(), "torch": str(torch.__version__), "numpy": np.__version__},
            "files": {s: {".nn.ascii": text.name, ".nn": binary.name} for s, (text, binary) in named.items()},
            "sha256": digests,
            "descriptor": self.descriptor.settings(),
            "arch": {species: [list(layer) for layer in layers] for species, layers in self.arch.items()},
            "repulsion": repulsion_report(self.repulsion, self.descriptor.species),
            "folded_into_the_first_layer": {
                "feature_mean": _double(self.model.feature_mean).tolist(),
                "feature_scale": _double(self.model.feature_scale).tolist(),
            },
            "feature_statistics": {species: found.plain() for species, found in statistics.items()},
            "proof": {"of": "random structures" if drawn else "given structures", **proof.plain()},
        }


@dataclass(frozen=True)
class StagedExport:
    """Files that are written and proven, and what is left to do once they have their names."""

    export: AenetExport
    folder: Path
    prefix: str
    proof: Proof
    paths: dict[str, Path]
    """The ``.nn.ascii`` of each species."""

    def settle(self) -> dict[str, Path]:
        """Remove what belongs to another potential, warn of what the files do not hold, and return the paths."""
        if self.export.uncertainty is None:
            (self.folder / f"{self.prefix}.uncertainty.json").unlink(missing_ok=True)
        self._warn_of_rounding()
        warn_of_missing(self.export.repulsion, self.folder / f"{self.prefix}.export.json")
        return self.paths

    def _warn_of_rounding(self) -> None:
        proof = self.proof
        if proof.float32_difference is not None:
            energy, force = proof.float32_difference
            warn_user(
                "this potential computes in float32, ænet in float64: the files answer as its weights do in float64 "
                f"(proven to {proof.energy_tolerance:.0e} eV); its own answers differ from that by up to {energy:.1e} "
                f"eV and {force:.1e} eV/Å"
            )


def _double(tensor: torch.Tensor) -> Reals:
    array: Reals = tensor.detach().double().cpu().numpy()
    return array


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
