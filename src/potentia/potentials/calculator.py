"""A trained potential, or a committee of them, as an ASE calculator: energy, forces, stress and atomic energies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from numpy.typing import NDArray

from potentia.checks import choice, integer
from potentia.ensemble.spread import AGGREGATIONS
from potentia.errors import ConfigError
from potentia.potentials.simulation import SKIN, Engine, Evaluation, Intervals, Simulated
from potentia.potentials.stress import voigt_from_matrix
from potentia.potentials.watch import Watch

__all__ = ["ANNCalculator", "CommitteeCalculator"]

GRADIENTS = {"forces", "stress"}


class ANNCalculator(Calculator):
    """ASE calculator of a trained potential, for relaxation, molecular dynamics, phonons and all else in ASE.

    Energies in eV, forces in eV/Å, stress in eV/Å³ with ASE's sign and order (xx, yy, zz, yz, xz, xy); stress is there
    for structures that repeat in three directions. Energies come without the work for forces when these are not asked
    for. With a watch (`Watch.of`), ``results["extrapolation"]`` says how far each atom is outside of the training, and
    ``results["extrapolation_feature"]`` in which feature.

    Args:
        potential: A trained potential, or anything with its `simulation_model`; a committee gives its mean.
        skin: Neighbours are looked for so much farther than the cutoff (Å), and last until atoms have come so far.
        watch: What to do when atoms leave what the potential was trained on; None: nothing.

    Raises:
        NotFittedError: the potential is not trained.
        ConfigError: the skin is negative.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, potential: Simulated, *, skin: float = SKIN, watch: Watch | None = None) -> None:
        super().__init__()
        self.potential = potential
        self.engine = Engine(potential.simulation_model(), skin)
        self.watch = watch
        self._now: Evaluation | None = None

    @property
    def rebuilds(self) -> int:
        """How often neighbours have been searched."""
        return self.engine.rebuilds

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Compute what ``properties`` asks for, and what comes with it for nothing.

        Raises:
            PropertyNotImplementedError: stress of a structure that does not repeat in three directions.
        """
        super().calculate(atoms, properties, system_changes)
        if "stress" in properties and not self.atoms.pbc.all():
            raise PropertyNotImplementedError(
                f"stress needs a cell that is periodic in all three directions, but pbc is {self.atoms.pbc.tolist()}"
            )
        if self._now is None or system_changes:
            self.results = {}
            self._now = None  # an error must not leave the last geometry behind
            a = self.atoms
            now = self.engine.evaluate(a.numbers, a.positions, a.cell.array, a.pbc)
            if self.watch is not None:
                excess = self.watch.look(a, now.features, now.species)
                self.results.update({"extrapolation": excess, "extrapolation_feature": self.watch.features})
            self._now = now
        if GRADIENTS & set(properties):
            self.results.update(self._gradients(self._now))
        self.results.update(self._energies(self._now))

    def _energies(self, now: Evaluation) -> dict[str, Any]:
        energy = float(self._aggregated(now.energy))
        return {"energy": energy, "free_energy": energy, "energies": self._aggregated(now.atomic)}

    def _gradients(self, now: Evaluation) -> dict[str, Any]:
        found: dict[str, Any] = {"forces": self._aggregated(now.gradients.forces)}
        if not np.isnan(now.volume):
            found["stress"] = voigt_from_matrix(self._aggregated(now.gradients.strain) / now.volume)
        return found

    def _aggregated(self, members: NDArray[np.float64]) -> NDArray[np.float64]:
        """Make one of the members' values [members, ...]."""
        mean: NDArray[np.float64] = members.mean(0)
        return mean


class CommitteeCalculator(ANNCalculator):
    """ASE calculator of a committee: its mean, or one member, and the spread of all.

    Besides ASE's properties, ``results`` holds, after the energy, ``energy_mean``, ``energy_std`` (over members, ddof
    0), ``member_energies`` [members] and, after forces, ``forces_mean``, ``forces_std`` [atoms, 3], ``member_forces``
    [members, atoms, 3] and ``force_uncertainty`` [atoms], the mean of an atom's three; ``stress_std`` [6] likewise.
    Of a calibrated committee whose mean is taken also ``energy_half_width`` (eV), after forces ``force_half_width``
    [atoms], for each component (eV/Å), and the ``level`` of both.

    Args:
        potential: A committee: anything whose `simulation_model` has two members or more.
        skin: As for `ANNCalculator`.
        watch: As for `ANNCalculator`.
        aggregation: ``"mean"`` of all members, or ``"reference"``: energies, forces and stress of one member.
        reference_member: Which one.

    Raises:
        ConfigError: the committee has one member only, or there is no such member.
    """

    def __init__(
        self,
        potential: Simulated,
        *,
        skin: float = SKIN,
        watch: Watch | None = None,
        aggregation: str = "mean",
        reference_member: int = 0,
    ) -> None:
        super().__init__(potential, skin=skin, watch=watch)
        members = self.engine.model.n_members
        if members < 2:
            raise ConfigError("a committee of one has no spread: take ANNCalculator for a single potential")
        self.aggregation = choice("aggregation", aggregation, AGGREGATIONS)
        self.reference_member = integer("reference_member", reference_member, low=0, high=members - 1)

    def _energies(self, now: Evaluation) -> dict[str, Any]:
        energy = now.energy
        more = {"energy_mean": float(energy.mean()), "energy_std": float(energy.std()), "member_energies": energy}
        return {**super()._energies(now), **more, **self._energy_interval(energy)}

    def _energy_interval(self, energy: NDArray[np.float64]) -> dict[str, Any]:
        """Half-width of the interval around the mean of the members' energies [members]."""
        intervals = self._intervals
        if intervals is None:
            return {}
        n_atoms = len(self.atoms)
        width = n_atoms * float(intervals.energy_half_width(np.array(energy.std() / n_atoms)))
        return {"energy_half_width": width, "level": intervals.level}

    @property
    def _intervals(self) -> Intervals | None:
        """What makes intervals; they are for the mean."""
        return self.engine.model.intervals if self.aggregation == "mean" else None

    def _gradients(self, now: Evaluation) -> dict[str, Any]:
        forces = now.gradients.forces
        spread = forces.std(0)  # [atoms, 3]
        more = {"forces_mean": forces.mean(0), "forces_std": spread, "member_forces": forces}
        found = {**super()._gradients(now), **more, "force_uncertainty": spread.mean(1)}
        if self._intervals is not None:
            width = self._intervals.force_half_width(spread, self.atoms.get_chemical_symbols())
            found |= {} if width is None else {"force_half_width": width}
        if "stress" in found:
            found["stress_std"] = voigt_from_matrix(now.gradients.strain.std(0) / now.volume)
        return found

    def _aggregated(self, members: NDArray[np.float64]) -> NDArray[np.float64]:
        """Make one of the members' values [members, ...]."""
        if self.aggregation == "mean":
            return super()._aggregated(members)
        chosen: NDArray[np.float64] = members[self.reference_member]
        return chosen
