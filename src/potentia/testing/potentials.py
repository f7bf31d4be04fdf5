"""Laws of potentials: forces and stress are slopes of the energy, and what must not change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from potentia.potentials.structure import Structure
from potentia.seeding import stream
from potentia.testing.comparing import STEPS, require, require_close, slopes
from potentia.testing.structures import MIRROR, deformed, other_images, reordered, repeated, turn

__all__ = [
    "Answers",
    "Potential",
    "answers_agree",
    "batch_size_changes_nothing",
    "check_potential",
    "forces_are_slopes_of_the_energy",
    "mirror_mirrors_forces_and_stress",
    "moving_changes_nothing",
    "order_of_atoms_does_not_matter",
    "other_images_change_nothing",
    "stress_is_the_slope_of_the_energy",
    "supercell_is_its_cell_many_times",
    "turning_turns_forces_and_stress",
]

Floats: TypeAlias = NDArray[np.float64]
STEP = 3e-4
"""Of differences: Å, and strain."""


class Answers(Protocol):
    """What a potential says of structures; `potentia.PredictOut` is one."""

    @property
    def total_energy(self) -> Sequence[float]:
        """EV, one for each structure."""

    @property
    def forces(self) -> Sequence[Floats] | None:
        """EV/Å.  [atoms, 3] of each structure"""

    @property
    def stress(self) -> Sequence[Floats | None] | None:
        """EV/Å³; None for a structure without a volume.  [3, 3] of each structure"""


class Potential(Protocol):
    """Whatever can be asked as a potential is."""

    def predict(
        self,
        structures: list[Structure],
        *,
        eval_forces: bool = ...,
        eval_stress: bool = ...,
        batch_size: int = ...,
    ) -> Answers:
        """Return energies, and forces and stress if asked for."""


def check_potential(potential: Potential, structures: Sequence[Structure], step: float = STEP) -> None:
    """Check all laws of this file on ``structures``.

    Args:
        potential: A trained one, or anything that answers alike.
        structures: What it is asked.
        step: Of differences: Å, and strain. A shorter one where the energy has kinks.

    Raises:
        AssertionError: a law is broken; the message names it.

    >>> from types import SimpleNamespace
    >>> class Springs:
    ...     "Pulls every atom to the middle of all, but with the wrong sign."
    ...
    ...     def predict(self, structures, eval_forces=False, eval_stress=False, batch_size=32):
    ...         away = [s.positions - s.positions.mean(0) for s in structures]
    ...         energies = [0.5 * (x**2).sum() for x in away]
    ...         return SimpleNamespace(total_energy=energies, forces=away, stress=[None] * len(away))
    >>> check_potential(Springs(), [Structure([[0, 0, 0], [0, 0, 1.2]], ["H", "H"])])
    Traceback (most recent call last):
    AssertionError: forces are minus the slopes of the energy: off by 1.2 at (0, 2), -0.6 instead of 0.6, ...
    """
    for structure in structures:
        forces_are_slopes_of_the_energy(potential, structure, step)
        moving_changes_nothing(potential, structure)
        turning_turns_forces_and_stress(potential, structure)
        mirror_mirrors_forces_and_stress(potential, structure)
        order_of_atoms_does_not_matter(potential, structure)
        other_images_change_nothing(potential, structure)
        if all(structure.pbc):
            stress_is_the_slope_of_the_energy(potential, structure, step)
            supercell_is_its_cell_many_times(potential, structure)
    batch_size_changes_nothing(potential, structures)


def forces_are_slopes_of_the_energy(potential: Potential, structure: Structure, step: float = STEP) -> None:
    """Forces are minus the differences of the energy by positions."""
    law = "forces are minus the slopes of the energy"
    ways = np.eye(3 * structure.n_atoms).reshape(-1, structure.n_atoms, 3)
    moved = [replace(structure, positions=structure.positions + h * step * way) for way in ways for h in STEPS]
    expected = -_slopes(potential, moved, step).reshape(-1, 3)
    require_close(law, _everything(potential, [structure]).forces[0], expected, atol=1e-7 * np.abs(expected).max())


def stress_is_the_slope_of_the_energy(potential: Potential, structure: Structure, step: float = STEP) -> None:
    """The stress of a crystal is the difference of its energy by strain, over the volume; and symmetric."""
    ways = np.eye(9).reshape(9, 3, 3)
    moved = [deformed(structure, np.eye(3) + h * step * way) for way in ways for h in STEPS]
    expected = _slopes(potential, moved, step).reshape(3, 3) / structure.volume
    found = _everything(potential, [structure]).stress[0]
    require("a crystal has a stress", found is not None, "there is none")
    assert found is not None
    size = np.abs(expected).max()
    require_close("stress is the slope of the energy by strain", found, expected, atol=1e-7 * size)
    require_close("stress is symmetric", found, found.T, atol=1e-14 * size)


def moving_changes_nothing(potential: Potential, structure: Structure) -> None:
    """Energy, forces and stress are the same anywhere in space."""
    _require(
        "moving a structure changes nothing", potential, deformed(structure, np.eye(3), [12.3, -4.5, 0.67]), structure
    )


def turning_turns_forces_and_stress(potential: Potential, structure: Structure) -> None:
    """The energy does not depend on the orientation; forces and stress turn with the structure."""
    by = turn(7)
    turned = deformed(structure, by)
    law = "turning a structure turns forces and stress"
    _require(law, potential, turned, structure, lambda f: f @ by.T, lambda s: by @ s @ by.T)


def mirror_mirrors_forces_and_stress(potential: Potential, structure: Structure) -> None:
    """A mirror image has the same energy, and mirrored forces and stress."""
    seen = deformed(structure, MIRROR)
    law = "a mirror mirrors forces and stress"
    _require(law, potential, seen, structure, lambda f: f @ MIRROR, lambda s: MIRROR @ s @ MIRROR)


def order_of_atoms_does_not_matter(potential: Potential, structure: Structure) -> None:
    """Forces follow their atoms when these stand in another order; nothing else changes."""
    order = stream(0, "order").permutation(structure.n_atoms)
    _require(
        "the order of atoms does not matter", potential, reordered(structure, order), structure, lambda f: f[order]
    )


def other_images_change_nothing(potential: Potential, structure: Structure) -> None:
    """An atom may be taken anywhere among its periodic images."""
    _require("a lattice vector added to an atom changes nothing", potential, other_images(structure), structure)


def supercell_is_its_cell_many_times(potential: Potential, structure: Structure) -> None:
    """A supercell has its cell's energy many times, and its forces and stress."""
    large = repeated(structure, (2, 3, 1))
    law = "a supercell is its cell many times"
    _require(law, potential, large, structure, lambda f: np.tile(f, (6, 1)), times=6)


def batch_size_changes_nothing(potential: Potential, structures: Sequence[Structure]) -> None:
    """Structures asked one by one, three by three, or all at once have the same energies, forces and stress."""
    whole = _everything(potential, structures)
    for size in (1, 3, len(structures)):
        law = f"the batch size changes nothing, {size}"
        _require_answers(law, _everything(potential, structures, size), whole, rel=1e-13)


def answers_agree(law: str, found: Answers, expected: Answers, rel: float = 1e-10) -> None:
    """Raise an `AssertionError` unless energies, forces and stress agree to ``rel`` of the largest of each."""
    n = len(expected.total_energy)
    _require_answers(law, _All(found, n), _All(expected, n), rel)


class _All:
    """Energies, forces and stress, all of which were asked for."""

    def __init__(self, answers: Answers, n: int) -> None:
        assert answers.forces is not None
        assert answers.stress is not None
        self.energies = np.array(answers.total_energy, dtype=np.float64)
        self.forces = list(answers.forces)
        self.stress = list(answers.stress)
        counts = {"energies": len(self.energies), "forces": len(self.forces), "stress": len(self.stress)}
        require("there is one answer for each structure", set(counts.values()) == {n}, f"{counts} for {n}")


def _everything(potential: Potential, structures: Sequence[Structure], batch_size: int = 32) -> _All:
    found = potential.predict(list(structures), eval_forces=True, eval_stress=True, batch_size=batch_size)
    return _All(found, len(structures))


def _slopes(potential: Potential, moved: Sequence[Structure], step: float) -> Floats:
    """Return derivatives of the energy, of structures at `STEPS` along each direction.  [directions]"""
    return slopes(np.array(potential.predict(list(moved)).total_energy).reshape(-1, len(STEPS)), step)


def _require(
    law: str,
    potential: Potential,
    changed: Structure,
    structure: Structure,
    forces: Callable[[Floats], Floats] = lambda f: f,
    stress: Callable[[Floats], Floats] = lambda s: s,
    times: int = 1,
) -> None:
    """Ask for both structures; what the first has must be what these functions make of the second's."""
    known = _everything(potential, [structure])
    known.energies = times * known.energies
    known.forces = [forces(f) for f in known.forces]
    known.stress = [None if s is None else stress(s) for s in known.stress]
    _require_answers(law, _everything(potential, [changed]), known)


def _require_answers(law: str, found: _All, expected: _All, rel: float = 1e-10) -> None:
    require_close(f"{law} (energies)", found.energies, expected.energies, atol=rel * np.abs(expected.energies).max())
    for k, (one, other) in enumerate(zip(found.forces, expected.forces, strict=True)):
        atol = rel * max(np.abs(other).max(), 0.1)
        require_close(f"{law} (forces of structure {k})", one, other, atol=atol)
    for k, (this, that) in enumerate(zip(found.stress, expected.stress, strict=True)):
        require(law, (this is None) == (that is None), f"only one of both has a stress (structure {k})")
        if this is not None and that is not None:
            atol = rel * max(np.abs(that).max(), 0.01)
            require_close(f"{law} (stress of structure {k})", this, that, atol=atol)
