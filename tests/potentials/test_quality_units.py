"""What a training says of its labels: quiet on good data, and naming each mistake when it is made."""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from potentia.errors import PotentiaWarning
from potentia.potentials.energy_work import ratio_of, steps_between
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.quality import in_training
from potentia.potentials.quality.in_training import warn_about_units
from potentia.potentials.structure import Structure

DATA = Path(__file__).parents[2] / "../shared/data"
TIO2 = {"Ti": -1604.604515075, "O": -432.503149303}
HARTREE, RYDBERG, KCAL, BOHR, GPA = 27.211386, 13.605693, 0.0433641, 0.529177, 160.217662


def unit_findings(*given):
    return [finding.sentence for finding in in_training.unit_findings(*given)]


@functools.cache
def crystals():
    """Rattled and strained copper with energy, forces and stress that belong together."""
    rng = np.random.default_rng(0)
    frames = []
    for k in range(40):
        atoms = bulk("Cu", cubic=True)
        if k >= 20:
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.03 * rng.uniform(-1, 1, (3, 3))), scale_atoms=True)
        atoms.rattle(0.08 if k < 20 else 0.01, rng=rng)
        atoms.calc = EMT()
        atoms.get_stress()
        frames.append(Structure.from_atoms(atoms, source=f"frame {k}"))
    return frames


def scaled(frames, energy=1.0, forces=1.0, stress=1.0):
    return [replace(s, energy=s.energy * energy, forces=s.forces * forces, stress=s.stress * stress) for s in frames]


def ratio_to_forces(frames):
    steps = [step for step in steps_between(frames) if not step.strained]
    return ratio_of(np.array([s.energy for s in steps]), np.array([s.force_work for s in steps]))


def test_good_data_gives_no_finding():
    assert unit_findings(crystals()) == []
    assert unit_findings(crystals(), {"Cu": 3.5}) == []
    assert unit_findings([]) == []


def test_the_energy_changes_by_the_work_of_the_forces():
    ratio = ratio_to_forces(crystals())
    assert ratio.value == pytest.approx(1, abs=0.1)
    assert ratio.agreement > 0.9


def test_atoms_may_be_moved_by_lattice_vectors():
    moved = [replace(s, positions=s.positions + s.cell[k % 3]) for k, s in enumerate(crystals())]
    assert ratio_to_forces(moved).value == pytest.approx(ratio_to_forces(crystals()).value, rel=1e-6)


@pytest.mark.parametrize(
    ("factors", "named"),
    [
        ({"energy": 1 / HARTREE}, "energies in Hartree"),
        ({"energy": 1 / RYDBERG}, "energies in Rydberg"),
        ({"energy": 1 / KCAL}, "energies in kcal/mol"),
        ({"energy": 1000.0}, "energies in meV"),
        ({"energy": 0.25}, "energies per atom"),
        ({"forces": BOHR / HARTREE}, "forces in Hartree/Bohr"),
        ({"forces": BOHR / RYDBERG}, "forces in Rydberg/Bohr"),
        ({"forces": 1 / HARTREE}, "forces in Hartree/Å"),
        ({"forces": -1.0}, "the sign of the forces"),
        ({"energy": 1 / HARTREE, "forces": BOHR / HARTREE}, "energies in Hartree and forces in Hartree/Bohr"),
        ({"stress": GPA}, "stress in GPa"),
        ({"stress": 10 * GPA}, "stress in kbar"),
        ({"stress": -1.0}, "the sign of the stress"),
        ({"stress": -10 * GPA}, "the sign of the stress .* and stress in kbar"),
        ({"energy": 1 / KCAL, "forces": 1 / KCAL}, "energies and forces in kcal/mol"),
    ],
)
def test_a_unit_or_sign_that_does_not_fit_is_named(factors, named):
    assert any(re.search(named, finding) for finding in unit_findings(scaled(crystals(), **factors)))


def test_each_finding_is_a_warning_at_the_place_of_the_call():
    turned = scaled(crystals(), forces=-1.0)
    with pytest.warns(PotentiaWarning, match="the sign of the forces") as caught:
        warn_about_units(turned)
    assert [str(w.message).partition("; see docs/")[0] for w in caught] == unit_findings(turned)
    assert Path(caught[0].filename).name == "test_quality_units.py"


def test_labels_in_one_foreign_system_are_seen_when_absurdly_large():
    frames = [replace(s, stress=None) for s in crystals()]
    assert unit_findings(scaled_without_stress(frames, 1 / KCAL)) == []
    assert any("the median force is" in finding for finding in unit_findings(scaled_without_stress(frames, 1e3)))
    assert any("the median force is" in finding for finding in unit_findings(scaled_without_stress(frames, 1e-5)))


def scaled_without_stress(frames, factor):
    return [replace(s, energy=s.energy * factor, forces=s.forces * factor) for s in frames]


def test_energies_per_atom_do_not_grow_with_the_number_of_atoms():
    def frames(per_atom):
        for k in range(12):
            n = 2 + 2 * (k % 3)
            energy = -5.0 + 0.01 * np.sin(k)
            yield Structure(np.arange(3.0 * n).reshape(n, 3), ["Na", "Cl"] * (n // 2), energy * (1 if per_atom else n))

    assert unit_findings(list(frames(per_atom=False))) == []
    (finding,) = unit_findings(list(frames(per_atom=True)))
    assert "the energies of ClNa do not grow with the number of atoms (2, 4, 6)" in finding
    assert "if they are per atom: wanted is the total energy" in finding


@pytest.mark.parametrize(
    ("factor", "named"),
    [(1 / HARTREE, "energies in Hartree"), (1 / KCAL, "energies in kcal/mol"), (0.5, "per atom"), (3.0, "same method")],
)
def test_energies_must_be_near_the_atomic_energies(factor, named):
    atomic = {"Ti": -1604.0, "O": -432.0}
    frames = [Structure([[0, 0, 0], [0, 0, 1.7]], ["Ti", "O"], -2036.0 - 9.0 + 0.1 * k) for k in range(3)]
    assert unit_findings(frames, atomic) == []
    (finding,) = unit_findings([replace(s, energy=s.energy * factor) for s in frames], atomic)
    assert "off the atomic energies" in finding
    assert named in finding


def test_energies_that_scatter_without_reason_are_told():
    rng = np.random.default_rng(0)
    frames = [Structure([[0, 0, 0], [0, 0, 1.7]], ["Ti", "O"], e) for e in rng.uniform(-100, 100, 20)]
    (finding,) = unit_findings(frames)
    assert "check the unit of energies" in finding


def test_forces_set_to_zero_by_constraints_are_told_with_frame_and_atoms():
    frames = crystals()[:4]
    forces = frames[2].forces.copy()
    forces[[0, 2]] = 0.0
    (finding,) = unit_findings([*frames[:2], replace(frames[2], forces=forces), frames[3]])
    assert "exactly zero on some atoms of 1 frame," in finding
    assert "frame 2, frame 0 (atoms 0, 2)" in finding
    assert "apply_constraint=False" in finding


def test_forces_that_vanish_by_symmetry_are_no_finding():
    line = Structure(
        [[0, 0, -1.2], [0, 0, 0], [0, 0, 1.2]], ["O", "C", "O"], forces=[[0, 0, 1.0], [0, 0, 0], [0, 0, -1]]
    )
    rest = Structure([[0, 0, 0]], ["H"], forces=np.zeros((1, 3)))
    assert unit_findings([line, rest]) == []


def test_frames_that_are_far_apart_say_nothing():
    rng = np.random.default_rng(0)
    frames = [
        Structure(rng.uniform(0, 8, (5, 3)), ["H"] * 5, rng.normal(), rng.normal(size=(5, 3)), cell=8 * np.eye(3))
        for _ in range(30)
    ]
    assert steps_between(frames) == []
    assert unit_findings(frames) == []


SETS = [
    "tio2/structures.xyz",
    *(f"mlearn/{x}_{part}.xyz" for x in ("Li", "Si", "Ni", "Cu") for part in ("train", "test")),
]


@functools.cache
def published(file):
    return read_structures(DATA / file).structures


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize("file", SETS)
def test_published_data_gives_no_finding(file):
    assert unit_findings(published(file), TIO2 if "tio2" in file else None) == []


@pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize("file", SETS[1:])
def test_published_stress_in_gpa_is_told(file):
    assert any("GPa" in finding for finding in unit_findings(scaled(published(file), stress=GPA)))


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
@pytest.mark.parametrize(
    "file", ["tio2/structures.xyz", "mlearn/Si_train.xyz", "mlearn/Ni_train.xyz", "mlearn/Cu_train.xyz"]
)
def test_published_energies_in_another_unit_are_told(file):
    for factor in (1 / HARTREE, HARTREE, KCAL):
        frames = [replace(s, energy=s.energy * factor) for s in published(file)]
        assert any("times the work of the forces" in finding for finding in unit_findings(frames))
