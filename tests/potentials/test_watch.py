"""A watch over a simulation: how far outside what training has seen each atom is, and what is done then."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest

from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentia.potentials.watch import Watch
from potentials.small_data import crystal, trained
from potentials.walks import atoms_of


class Ranges:
    """Takes the first atom for the farther outside the longer the first radial feature is."""

    def __init__(self, excess: float) -> None:
        self.value = excess

    def excess(self, features, species):
        assert features.shape == (len(species), trained().descriptor.n_features)
        return np.concatenate([[self.value], np.zeros(len(species) - 1)])

    def worst_features(self, features, species):
        return ["radial 0"] + [""] * (len(species) - 1)


def test_a_watch_says_how_far_outside_each_atom_is():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator(watch=Watch(Ranges(0.5), "ignore"))
    atoms.get_forces()
    atoms.get_stress()
    np.testing.assert_array_equal(atoms.calc.results["extrapolation"], [0.5, 0, 0, 0])
    assert atoms.calc.watch.count == 1


def test_a_watch_warns_once():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator(watch=Watch(Ranges(0.5), "warn"))
    with pytest.warns(PotentiaWarning, match=r"1 of 4 atoms are outside .* the farthest atom 0 \(Ti\) by 0.5"):
        atoms.get_forces()
    atoms.positions[0] += 0.01
    atoms.get_forces()
    assert atoms.calc.watch.count == 2


def test_a_watch_writes_frames_down(tmp_path):
    atoms, file = atoms_of(crystal(0)), tmp_path / "outside.xyz"
    atoms.calc = trained().calculator(watch=Watch(Ranges(0.5), "log", file=file))
    for _ in range(2):
        atoms.positions[0] += 0.01
        atoms.get_forces()
    written = ase.io.read(file, index=":")
    assert len(written) == 2
    np.testing.assert_allclose(written[1].positions, atoms.positions, atol=1e-7)
    np.testing.assert_allclose(written[0].arrays["extrapolation"], [0.5, 0, 0, 0])


def test_a_watch_stops_the_run():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator(watch=Watch(Ranges(0.5), "stop", threshold=0.4))
    for _ in range(2):
        with pytest.raises(DataError, match=r"atom 0 \(Ti\) by 0.5 in .radial 0.: add such structures"):
            atoms.get_forces()


def test_a_watch_says_nothing_below_its_threshold():
    atoms = atoms_of(crystal(0))
    atoms.calc = trained().calculator(watch=Watch(Ranges(0.5), "stop", threshold=0.5))
    atoms.get_forces()
    assert atoms.calc.watch.count == 0


def test_watches_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="action must be one of 'ignore', 'warn', 'log', 'stop'"):
        Watch(Ranges(0.0), "halt")
    with pytest.raises(ConfigError, match="needs the path of an"):
        Watch(Ranges(0.0), "log")
    with pytest.raises(ConfigError, match="with action='log' only, not with 'warn'"):
        Watch(Ranges(0.0), "warn", file="outside.xyz")
