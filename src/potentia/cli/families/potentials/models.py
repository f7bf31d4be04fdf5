"""A trained potential, or a committee of them, as the commands ask it: predictions, errors, files of ænet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms

from potentia.cli.families.potentials.errors import Row, labelled_errors, require_energies
from potentia.errors import ConfigError
from potentia.potentials.committee import TorchCommitteePotential, TorchCommitteePredictResult
from potentia.potentials.committee.calibrating import measured_again
from potentia.potentials.estimator import TorchANNPotential
from potentia.potentials.predictions import PredictOut
from potentia.potentials.structure import Structure
from potentia.runs.models import kind_of

__all__ = ["Alone", "Asked", "Predicted", "Together", "opened", "opened_committee"]


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of structures."""

    table: pd.DataFrame
    """A row for each structure."""
    answer: PredictOut
    """Energies, forces and stress; of a committee, the mean of its members."""
    spread: TorchCommitteePredictResult | None = None
    """How far the members differ; None where there is one potential only."""

    def frames(self) -> list[Atoms]:
        """Return the structures with what was predicted as their labels, and error bars beside it.

        ``energy_std`` (eV) and ``forces_std`` (eV/Å) are standard deviations over the members, ``energy_half_width``
        and ``force_half_width`` those of the calibrated intervals.
        """
        frames = [one.to_atoms() for one in self.answer.to_structures()]
        for atoms, found in zip(frames, self.spread or (), strict=False):
            atoms.info["energy_std"] = found.energy_std
            atoms.set_array("forces_std", found.forces_std)
            if found.energy_half_width is not None:
                atoms.info["energy_half_width"] = found.energy_half_width
            if found.force_half_width is not None:
                atoms.set_array("force_half_width", found.force_half_width)
        return frames


class Asked(ABC):
    """A trained model of potentials."""

    @abstractmethod
    def predict(self, structures: Sequence[Structure]) -> Predicted:
        """Predict energies, forces, and stress where there is a volume."""

    @abstractmethod
    def errors(self, part: str, structures: Sequence[Structure]) -> list[Row]:
        """Return a row of errors for each quantity; ``part`` says what the structures are."""

    @abstractmethod
    def tables(self, structures: Sequence[Structure]) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``, and whatever else labels tell of the model."""

    @abstractmethod
    def export(self, out: Path) -> list[Path]:
        """Write files of ænet."""


@dataclass(frozen=True, eq=False)
class Alone(Asked):
    """One potential."""

    potential: TorchANNPotential

    def predict(self, structures: Sequence[Structure]) -> Predicted:
        """Predict energies, forces, and stress where there is a volume."""
        found = self.potential.predict(structures, eval_forces=True, eval_stress=True)
        return Predicted(found.to_dataframe(), found)

    def errors(self, part: str, structures: Sequence[Structure]) -> list[Row]:
        """Return a row of errors for each quantity."""
        require_energies(structures)
        return labelled_errors(part, self.predict(structures).answer, structures)

    def tables(self, structures: Sequence[Structure]) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``."""
        return {"errors": pd.DataFrame(self.errors("data", structures))}

    def export(self, out: Path) -> list[Path]:
        """Write ``.nn.ascii`` and ``.nn`` of each species."""
        return _both(self.potential.to_aenet_ascii(out).values())


@dataclass(frozen=True, eq=False)
class Together(Asked):
    """Several potentials."""

    committee: TorchCommitteePotential

    def predict(self, structures: Sequence[Structure]) -> Predicted:
        """Predict energies, forces, and stress where there is a volume, as the mean of the members, with the spread."""
        found = self.committee.predict(structures, eval_forces=True, eval_stress=True)
        table = found.to_dataframe().drop(columns="member_energies")  # a list in each row
        return Predicted(table, _mean(found.member_outputs), found)

    def errors(self, part: str, structures: Sequence[Structure]) -> list[Row]:
        """Return a row of errors of the mean for each quantity, with the spread of the members beside the RMSE."""
        require_energies(structures)
        return _with_spread(part, self.predict(structures), structures)

    def tables(self, structures: Sequence[Structure]) -> dict[str, pd.DataFrame]:
        """Return ``"errors"``; of a calibrated committee, ``"calibration"`` and ``"coverage"``."""
        require_energies(structures)
        predicted, known = self.predict(structures), self.committee.calibration
        found = {"errors": pd.DataFrame(_with_spread("data", predicted, structures))}
        if known is None or predicted.spread is None:
            return found
        return found | measured_again(predicted.spread, structures, known)

    def export(self, out: Path) -> list[Path]:
        """Write ``.nn.ascii`` and ``.nn`` of each species for each member, and what error bars need beside them."""
        files = [file for member in self.committee.to_aenet_ascii(out) for file in _both(member.values())]
        return [*files, *sorted(out.glob("*.uncertainty.json"))]


def opened(path: Path) -> Asked:
    """Read a potential or a committee from a file."""
    if kind_of(path) == TorchCommitteePotential.kind:
        return Together(TorchCommitteePotential.load(path))
    return Alone(TorchANNPotential.load(path))


def opened_committee(path: Path) -> TorchCommitteePotential:
    """Read a committee from a file.

    Raises:
        ConfigError: it holds one potential.
    """
    if kind_of(path) != TorchCommitteePotential.kind:
        raise ConfigError(f"{path} holds one potential, which has no spread: train a committee (settings: `committee`)")
    return TorchCommitteePotential.load(path)


def _with_spread(part: str, predicted: Predicted, structures: Sequence[Structure]) -> list[Row]:
    rows, found = labelled_errors(part, predicted.answer, structures), predicted.spread
    assert found is not None
    labelled = [one.forces_std.ravel() for one, s in zip(found, structures, strict=True)
                if s.has_forces() and one.forces_std is not None]  # fmt: skip
    spreads = {"energy": found.energy_std / found.n_atoms, "force": np.concatenate([np.zeros(0), *labelled])}
    for row in rows:
        values = spreads.get(row["quantity"], np.zeros(0))
        row["spread"] = float(np.sqrt(np.mean(values**2))) if len(values) else np.nan
    return rows


def _mean(members: Sequence[PredictOut]) -> PredictOut:
    """Return the mean of what members say of the same structures."""
    first = members[0]
    atoms = [member.atom_energies or [] for member in members]
    forces = [member.forces or [] for member in members]
    stress = [member.stress or [] for member in members]
    return replace(
        first,
        atom_energies=[np.mean(one, axis=0) for one in zip(*atoms, strict=True)],
        total_energy=np.mean([member.total_energy for member in members], axis=0).tolist(),
        cohesive_energy=np.mean([member.cohesive_energy for member in members], axis=0).tolist(),
        forces=[np.mean(one, axis=0) for one in zip(*forces, strict=True)],
        stress=[None if one[0] is None else np.mean(one, axis=0) for one in zip(*stress, strict=True)],
    )


def _both(ascii_files: Iterable[Path]) -> list[Path]:
    """Return files of networks, and those in ænet's own format beside them."""
    written = list(ascii_files)
    return [*written, *(path.with_suffix("") for path in written)]
