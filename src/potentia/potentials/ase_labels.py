"""The labels of ASE's Atoms: where energy, forces and stress may stand, and which of them counts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from potentia.errors import DataError, PotentiaWarning
from potentia.potentials.stress import stress_from_virial, stress_matrix

__all__ = ["LabelKeys", "Labels", "Notes", "labels_of"]

_GEOMETRY = {"positions", "numbers", "cell", "pbc"}


@dataclass(frozen=True, kw_only=True)
class LabelKeys:
    """Names under which labels are looked for. The first one found counts.

    A name of ASE's own (``energy``, ``forces``, ``stress``) means the calculator's results first of all, because
    that is where ASE's readers put what a file calls so, then ``atoms.info`` and ``atoms.arrays``.
    """

    energy: tuple[str, ...] = (
        *("energy", "REF_energy", "ref_energy", "dft_energy", "DFT_energy"),
        *("total_energy", "Energy", "TotEnergy"),
    )
    """Total energy (eV). ``free_energy`` is another quantity and not taken for it."""

    forces: tuple[str, ...] = (
        *("forces", "REF_forces", "ref_forces", "dft_forces", "DFT_forces", "dft_force", "DFT_force"),
        *("force", "Forces"),
    )
    """Forces (atoms, 3), eV/Å."""

    stress: tuple[str, ...] = ("stress", "REF_stress", "ref_stress", "dft_stress", "DFT_stress")
    """Stress (eV/Å³), positive in tension: (3, 3), or Voigt xx yy zz yz xz xy."""

    virial: tuple[str, ...] = (
        *("virial", "virials", "REF_virial", "REF_virials", "ref_virial"),
        *("dft_virial", "DFT_virial", "dft_virials", "DFT_virials"),
    )
    """Virial (eV) as in extended XYZ files: −volume · stress. Used where there is no stress."""

    weight: tuple[str, ...] = ("weight", "config_weight")
    """Weight of the frame in the loss, in ``atoms.info``."""


class Notes:
    """What a reader should know about the labels, by kind, so that one remark serves ten thousand frames."""

    def __init__(self) -> None:
        self.kinds: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, where: str) -> None:
        """Count one more frame of which ``kind`` is true."""
        count, first = self.kinds.get(kind, (0, where))
        self.kinds[kind] = (count + 1, first)

    def warn(self, stacklevel: int = 2) -> None:
        """Emit one `PotentiaWarning` for each kind."""
        for kind, (count, first) in self.kinds.items():
            place = f" ({first})" if count == 1 else f" ({count} frames, the first is {first})"
            warnings.warn(f"{kind}{place}", PotentiaWarning, stacklevel=stacklevel + 1)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What stood on one Atoms object, in eV and Å; shapes are checked by `Structure`."""

    energy: Any = None
    forces: Any = None
    stress: Any = None
    weight: Any = 1.0
    info: dict[str, Any] = field(default_factory=dict)
    """The rest of ``atoms.info``."""


@dataclass(frozen=True)
class _Found:
    place: str
    value: Any


def labels_of(atoms: Atoms, keys: LabelKeys, notes: Notes, where: str, *, as_read: bool = False) -> Labels:
    """Collect the labels of ``atoms``; no calculation is ever started, and constraints change no force.

    Args:
        atoms: the object, with or without a calculator.
        keys: the names to look for.
        notes: receives what should be said of it: labels that differ, are not used, or are not recognised.
        where: file and frame, for messages.
        as_read: the calculator comes straight from a file, so its results are known to be for this geometry.
    """
    results = _results(atoms, notes, where, as_read)
    energy = list(_shelves(keys.energy, results, atoms.info))
    forces = list(_shelves(keys.forces, results, atoms.arrays))
    stress = [_Found(f.place, stress_matrix(f.value, where)) for f in _shelves(keys.stress, results, atoms.info)]
    virial = list(_shelves(keys.virial, {}, atoms.info))
    volume = abs(np.linalg.det(atoms.cell.array)) if (stress or virial) and atoms.pbc.all() else 0.0
    stress += [_Found(f.place, stress_from_virial(f.value, volume, where)) for f in virial if volume]
    read = {"energy": energy, "forces": forces, "stress": stress}
    for name, found in read.items():
        _note_differences(name, found, notes, where)
    if not energy and "free_energy" in results:
        notes.add("no energy is read: there is only a free_energy, which is another quantity", where)
    _note_unread(atoms, {name for name, found in read.items() if found}, notes, where)
    if (stress or virial) and not volume:
        notes.add("stress is not used: it has no meaning without three periodic directions", where)
    weight = next(_shelves(keys.weight, {}, atoms.info), _Found("", 1.0)).value
    used = {*keys.energy, *keys.stress, *keys.virial, *keys.weight}
    return Labels(
        energy=energy[0].value if energy else None,
        forces=forces[0].value if forces else None,
        stress=stress[0].value if stress and volume else None,
        weight=weight,
        info={name: value for name, value in atoms.info.items() if name not in used},
    )


def _results(atoms: Atoms, notes: Notes, where: str, as_read: bool) -> Mapping[str, Any]:
    calculator = atoms.calc
    if calculator is None:
        return {}
    if not isinstance(calculator, Calculator):
        notes.add(f"a calculator of class {type(calculator).__name__} keeps no results that can be read", where)
        return {}
    if not calculator.results:
        return {}
    if as_read or not _GEOMETRY & set(calculator.check_state(atoms)):
        return dict(calculator.results)
    notes.add(
        "the calculator's results are not used: they belong to another geometry than the atoms have now; "
        "keep labels with ase.calculators.singlepoint.SinglePointCalculator",
        where,
    )
    return {}


def _shelves(names: tuple[str, ...], results: Mapping[str, Any], shelf: Mapping[str, Any]) -> Iterator[_Found]:
    for name in names:
        if name in results:
            yield _Found(f"the calculator's {name!r}", results[name])
    for name in names:
        if name in shelf:
            yield _Found(repr(name), shelf[name])


def _note_differences(name: str, found: list[_Found], notes: Notes, where: str) -> None:
    for other in found[1:]:
        if not _same(found[0].value, other.value, where, name):
            notes.add(f"{name}: {found[0].place} and {other.place} differ; {found[0].place} is used", where)


def _same(one: Any, other: Any, where: str, name: str) -> bool:
    try:
        a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is not made of numbers in {where}: {error}") from None
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-6, atol=1e-6, equal_nan=True))


def _note_unread(atoms: Atoms, names: set[str], notes: Notes, where: str) -> None:
    """Note what looks like a label but has a name that nobody asked for; ``names`` are the labels found."""
    kept = [("energy", "energy", atoms.info), ("forces", "force", atoms.arrays), ("stress", "stress", atoms.info)]
    for name, word, shelf in kept:
        alike = [key for key in shelf if word in key.lower() and "weight" not in key.lower()]
        if name not in names and alike:
            hint = f"to use it, pass keys=LabelKeys({name}=({alike[0]!r},))"
            notes.add(f"no {name} label is read, although there is {alike[0]!r}: {hint}", where)
