"""Structure: what it accepts, what it refuses and how it says so, and the way from ASE and back."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from potentia.errors import DataError, PotentiaWarning
from potentia.potentials.ase_labels import LabelKeys
from potentia.potentials.structure import Structure

CELL = np.array([[4.0, 0, 0], [1, 5, 0], [0, -1, 6]])
STRESS = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]) / 100
FIELDS = ("positions", "species", "energy", "forces", "cell", "pbc", "name", "stress", "weight", "info")


def full(**changes):
    given = {
        "positions": np.arange(6.0).reshape(2, 3),
        "species": ["Ti", "O"],
        "energy": -3.5,
        "forces": [[0.1, 0, 0], [-0.1, 0, 0]],
        "cell": CELL,
        "name": "one",
        "stress": STRESS,
        "weight": 2.5,
        "info": {"config_type": "bulk"},
    }
    return Structure(**(given | changes))


def assert_same(one, other):
    for name in FIELDS:
        a, b = getattr(one, name), getattr(other, name)
        assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b, name


def test_lists_become_arrays_of_their_own():
    forces = np.zeros((1, 3), dtype=np.float32)
    structure = Structure([[0, 0, 0]], ("H",), 1, forces)
    forces[:] = 7
    assert structure.positions.dtype == structure.forces.dtype == np.float64
    assert structure.species == ["H"]
    assert structure.energy == 1.0
    assert not structure.forces.any()


def test_the_positional_order_is_that_of_the_field():
    fields = [f.name for f in dataclasses.fields(Structure) if not f.kw_only]
    assert fields == ["positions", "species", "energy", "forces", "cell", "pbc", "name"]
    with pytest.raises(TypeError, match="positional"):
        Structure([[0, 0, 0]], ["H"], None, None, None, None, None, np.eye(3))


@pytest.mark.parametrize(
    ("cell", "pbc", "expected"), [(None, None, "FFF"), (CELL, None, "TTT"), (CELL, [1, 0, 1], "TFT")]
)
def test_pbc_follows_the_cell_unless_given(cell, pbc, expected):
    structure = Structure([[0, 0, 0]], ["H"], cell=cell, pbc=pbc)
    assert "".join("FT"[int(p)] for p in structure.pbc) == expected
    assert structure.is_periodic() == ("T" in expected)


def test_a_free_direction_needs_no_vector():
    slab = Structure([[0, 0, 0]], ["H"], cell=np.diag([3.0, 3.0, 0.0]), pbc=(True, True, False))
    assert slab.is_periodic()
    with pytest.raises(DataError, match="volume needs a cell that is periodic in all three"):
        _ = slab.volume


def test_the_volume_has_no_sign():
    assert full().volume == pytest.approx(120.0)
    assert full(cell=CELL[::-1]).volume == pytest.approx(120.0)


def test_stress_may_be_given_in_the_order_of_voigt():
    assert_same(full(stress=[0.01, 0.02, 0.03, 0.004, 0.005, 0.006]), full())


def test_labels_are_told_apart():
    assert [full().has_energy(), full().has_forces(), full().has_stress()] == [True] * 3
    bare = Structure([[0, 0, 0]], ["H"])
    assert [bare.has_energy(), bare.has_forces(), bare.has_stress()] == [False] * 3
    assert repr(bare) == "Structure(H1; structure)"
    assert repr(full()) == "Structure(Ti1O1, energy, forces, stress; one)"
    assert Structure([[0, 0, 0]], ["H"], source="a.xyz, frame 3").label == "a.xyz, frame 3"


def test_it_does_not_change_but_can_be_replaced_and_pickled():
    with pytest.raises(dataclasses.FrozenInstanceError):
        full().energy = 0.0
    assert_same(dataclasses.replace(full(energy=1.0), energy=-3.5), full())
    assert_same(pickle.loads(pickle.dumps(full())), full())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.zeros((2, 2))}, r"positions must be \(N, 3\), got \(2, 2\)"),
        ({"positions": [0.0, 0.0, 0.0]}, r"positions must be \(N, 3\), got \(3,\)"),
        ({"positions": [["a", 0, 0]]}, r"positions must be \(N, 3\), and made of numbers"),
        ({"positions": [[0, 0, 0], [0, np.nan, 0]]}, "`positions` is not finite at atom 1"),
        ({"positions": [], "species": []}, "at least one atom"),
        ({"positions": np.zeros((0, 3)), "species": []}, "at least one atom"),
        ({"species": ["Ti"] * 3}, "species length 3 must match the 2 positions"),
        ({"species": "Ti"}, "a list with one symbol per atom"),
        ({"species": ["Ti", 8]}, "symbols such as 'Ti', got 8 for atom 1"),
        ({"species": ["Ti", ""]}, "for atom 1"),
        ({"forces": np.zeros((3, 3))}, r"forces shape \(3, 3\) must match the \(2, 3\) of the positions"),
        ({"forces": [[0, 0, 0], [np.inf, 0, 0]]}, "`forces` is not finite at atom 1"),
        ({"cell": [4.0, 5.0, 6.0]}, r"cell must be \(3, 3\) with lattice vectors as rows \(Å\), got \(3,\)"),
        ({"cell": np.full((3, 3), np.nan)}, "`cell` is not finite"),
        ({"cell": np.diag([4.0, 5, 0])}, "pbc is True along cell vector 2, but it is 0 Å long"),
        ({"cell": [[1.0, 0, 0], [0, 1, 0], [1, 1, 1e-9]]}, "the cell is singular"),
        ({"cell": None, "pbc": (True, False, False), "stress": None}, "there is no cell"),
        ({"pbc": [True, True]}, "pbc must have length 3"),
        ({"pbc": ["T", "T", "F"]}, "pbc must be True or False"),
        ({"pbc": (True, True, False)}, "stress needs a cell that is periodic in all three"),
        ({"stress": np.zeros(5)}, r"stress must be \(3, 3\) or Voigt \(6,\)"),
        ({"stress": [[0, 1, 0], [0, 0, 0], [0, 0, 0]]}, "stress must be symmetric"),
        ({"stress": np.full(6, np.nan)}, "`stress` is not finite"),
        ({"energy": np.nan}, "energy .* is not finite"),
        ({"energy": True}, "energy .* must be a number, got True"),
        ({"energy": [1.0, 2.0]}, "energy .* must be a number"),
        ({"weight": -1}, "weight must not be negative"),
        ({"weight": "big"}, "weight must be a number"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(changes, message):
    with pytest.raises(DataError, match=message) as error:
        full(source="a.xyz, frame 2", **changes)
    assert "a.xyz, frame 2" in str(error.value)


@pytest.mark.parametrize(
    "structure",
    [
        full(),
        full(stress=None, pbc=(True, False, True), weight=1.0, name=None),
        Structure([[0, 0, 0], [0.7, 0, 0]], ["H", "H"], energy=-1.0),
        Structure([[0, 0, 0]], ["He"]),
    ],
    ids=repr,
)
def test_to_ase_and_back_is_the_same(structure):
    assert_same(Structure.from_atoms(structure.to_atoms()), structure)


def test_a_name_that_is_no_element_stays_out_of_ase():
    with pytest.raises(DataError, match="'Ti1' is not a chemical element"):
        Structure([[0, 0, 0]], ["Ti1"]).to_atoms()


def test_stress_from_ase_is_the_derivative_by_strain():
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.05, seed=3)
    atoms.calc = EMT()
    atoms.get_stress()
    structure = Structure.from_atoms(atoms)
    strain = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]) * 1e-5

    def energy(sign):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        strained.calc = EMT()
        return strained.get_potential_energy()

    slope = (energy(1) - energy(-1)) / 2
    assert (structure.stress * strain).sum() * structure.volume == pytest.approx(slope, rel=1e-5)


class Untouchable(Calculator):
    """Fails the test when a calculation is started."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, *_arguments, **_settings):
        raise AssertionError("a calculation was started")


def test_no_calculation_is_ever_started():
    atoms = molecule("H2O")
    atoms.calc = Untouchable()
    structure = Structure.from_atoms(atoms)
    assert not structure.has_energy()
    assert not structure.has_forces()


def test_constraints_change_no_force():
    atoms = molecule("H2O")
    forces = np.arange(9.0).reshape(3, 3)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.calc = SinglePointCalculator(atoms, energy=1.0, forces=forces)
    np.testing.assert_array_equal(Structure.from_atoms(atoms).forces, forces)


def test_results_for_another_geometry_are_not_used():
    atoms = bulk("Cu")
    atoms.calc = EMT()
    atoms.get_potential_energy()
    assert Structure.from_atoms(atoms).has_energy()
    atoms.positions += 0.1
    with pytest.warns(PotentiaWarning, match="another geometry .*SinglePointCalculator"):
        assert not Structure.from_atoms(atoms).has_energy()


@pytest.mark.parametrize(
    ("info", "arrays", "label"),
    [
        *(({key: -2.5}, {}, "energy") for key in LabelKeys().energy),
        *(({}, {key: np.ones((2, 3))}, "forces") for key in LabelKeys().forces),
        *(({key: STRESS}, {}, "stress") for key in LabelKeys().stress),
        *(({key: -120.0 * STRESS}, {}, "stress") for key in LabelKeys().virial),
        *(({key: 2.5}, {}, "weight") for key in LabelKeys().weight),
    ],
)
def test_labels_are_found_under_every_name_of_the_list(info, arrays, label):
    atoms = Atoms("TiO", positions=np.eye(3)[:2], cell=CELL, pbc=True, info=info | {"kept": "yes"})
    for name, values in arrays.items():
        atoms.set_array(name, values)
    structure = Structure.from_atoms(atoms)
    expected = {"energy": -2.5, "forces": np.ones((2, 3)), "stress": STRESS, "weight": 2.5}[label]
    np.testing.assert_allclose(getattr(structure, label), expected, rtol=1e-14)
    assert structure.info == {"kept": "yes"}


def test_a_name_of_ones_own_can_be_given():
    atoms = Atoms("H", info={"my_e": -1.0, "energy": -2.0})
    assert Structure.from_atoms(atoms, keys=LabelKeys(energy=("my_e",))).energy == -1.0
    with pytest.warns(
        PotentiaWarning, match=r"no energy label is read, although there is 'Efinal_energy': .*LabelKeys"
    ):
        Structure.from_atoms(Atoms("H", info={"Efinal_energy": -1.0}))


def test_the_calculator_wins_and_the_difference_is_told():
    atoms = Atoms("H", info={"REF_energy": -2.0})
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    with pytest.warns(PotentiaWarning, match=r"the calculator's 'energy' and 'REF_energy' differ; .* is used"):
        assert Structure.from_atoms(atoms).energy == -1.0
    atoms.info["REF_energy"] = -1.0
    assert Structure.from_atoms(atoms).energy == -1.0


def test_free_energy_is_not_energy():
    atoms = Atoms("H")
    atoms.calc = SinglePointCalculator(atoms, free_energy=-1.0)
    with pytest.warns(PotentiaWarning, match="only a free_energy"):
        assert Structure.from_atoms(atoms).energy is None


@pytest.mark.parametrize("key", ["energy", "stress", "virial"])
def test_labels_that_are_no_numbers_are_refused(key):
    with pytest.raises(DataError, match=rf"{key} .*numbers? .*in these atoms|{key} .*must be a number"):
        Structure.from_atoms(Atoms("H", cell=CELL, pbc=True, info={key: "much"}))


def test_stress_without_three_periodic_directions_is_left_out():
    atoms = Atoms("H", cell=CELL, pbc=(True, True, False), info={"virial": -STRESS, "energy": 1.0})
    with pytest.warns(PotentiaWarning, match="stress is not used"):
        assert not Structure.from_atoms(atoms, source="slab.xyz").has_stress()
