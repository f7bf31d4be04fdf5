"""Laws of the short-range repulsion: the published curve, a smooth end, and forces and stress that are its slopes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from potentia import Structure
from potentia.errors import ConfigError
from potentia.potentials.repulsion import ZBL
from potentials import small_data

CLOSE = ZBL(inner=1.5, outer=2.6)
PLACES = [small_data.crystal(1), small_data.crystal(2, 3, pbc=(True, False, True)), small_data.molecule(3)]


def test_the_curve_is_the_published_one():
    """φ by its four terms, E = Z₁Z₂e²/r φ(r/a), written down on their own."""
    r = np.array([0.05, 0.3, 0.8])
    a = 0.46850 / (22**0.23 + 8**0.23)
    x = r / a
    phi = 0.18175 * np.exp(-3.1998 * x) + 0.50986 * np.exp(-0.94229 * x)
    phi += 0.28022 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.20162 * x)
    energy, _ = ZBL(inner=1.0, outer=20.0).pair("Ti", "O", r)
    shift = energy - 14.399645 * 22 * 8 / r * phi
    assert np.ptp(shift) < 1e-9  # a constant below `inner`
    assert abs(shift[0]) < 0.01


def test_it_ends_smoothly():
    r = np.array([CLOSE.inner - 1e-6, CLOSE.inner + 1e-6, CLOSE.outer - 1e-5, CLOSE.outer, CLOSE.outer + 1])
    energy, slope = CLOSE.pair("Ti", "O", r)
    assert abs(slope[0] - slope[1]) < 1e-3
    assert np.abs(energy[2:]).max() < 1e-8
    assert np.abs(slope[2:]).max() < 1e-8
    grid = np.linspace(0.2, CLOSE.outer, 2000)
    energy, slope = CLOSE.pair("Ti", "Ti", grid)
    assert (np.diff(energy) < 1e-12).all()
    assert np.abs(np.gradient(energy, grid) - slope)[5:-1].max() < 1e-2 * np.abs(slope).max()


@pytest.mark.parametrize("structure", PLACES)
def test_forces_and_strain_are_its_slopes(structure):
    found, step = CLOSE.of([structure])[0], 1e-5

    def energy(positions, cell):
        return CLOSE.of([replace(structure, positions=positions, cell=cell)])[0].energy

    assert found.energy > 0
    for atom in range(structure.n_atoms):
        for axis in range(3):
            moved = np.zeros_like(structure.positions)
            moved[atom, axis] = step
            rise = energy(structure.positions + moved, structure.cell) - energy(
                structure.positions - moved, structure.cell
            )
            assert abs(found.forces[atom, axis] + rise / (2 * step)) < 1e-5
    for axes in ((0, 0), (0, 2), (1, 2)):
        strain = np.zeros((3, 3))
        strain[axes] = step
        ways = [np.eye(3) + strain, np.eye(3) - strain]
        cells = [None if structure.cell is None else structure.cell @ way for way in ways]
        up, down = (energy(structure.positions @ way, cell) for way, cell in zip(ways, cells, strict=True))
        assert abs(found.strain[axes] - (up - down) / (2 * step)) < 1e-5


def test_atoms_far_apart_feel_nothing():
    found = ZBL(0.5, 1.0).of([Structure([[0, 0, 0], [5, 0, 0]], ["H", "O"])])[0]
    assert (found.energy, found.forces.any(), found.strain.any()) == (0.0, False, False)


def test_what_cannot_be_is_refused():
    for inner, outer in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (np.nan, 1.0)):
        with pytest.raises(ConfigError, match="inner"):
            ZBL(inner, outer)
    with pytest.raises(ConfigError, match="species 'Xx7'"):
        ZBL(0.5, 1.0).of([Structure([[0, 0, 0], [0.6, 0, 0]], ["H", "Xx7"])])
