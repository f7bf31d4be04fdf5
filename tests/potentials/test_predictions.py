"""Predictions: several of one structure side by side, output of ænet's predict.x, and structures made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from potentia import PredictOut
from potentia.errors import DataError, FileFormatError
from potentia.potentials import PredictOutAnalyzer
from potentials.small_data import crystal, molecule, without

FOLDER = Path(__file__).parents[3] / "shared" / "referee" / "tio2"


def printed(structures, *, forces=True, atomic=True, quiet=False):
    """Lay structures out as predict.x does: the cell of an isolated one is a box around it."""
    lines = [" Atomic species : Ti", " File name      : Ti.nn", ""] * (not quiet)
    for k, s in enumerate(structures):
        if not quiet:
            cell = s.cell if s.is_periodic() else np.diag(np.ptp(s.positions, axis=0))
            lines += [f" Structure number  : {k + 1}", f" File name         : {s.name}"]
            lines += [f" Number of atoms   : {s.n_atoms}", f" Number of species : {len(set(s.species))}", ""]
            lines += [" Lattice vectors (Angstrom):", ""]
            lines += [
                f"   {name} = ( " + "".join(f"  {x:15.8f}" for x in row) + " )"
                for name, row in zip("abc", cell, strict=True)
            ]
        lines += ["", *atoms(s, forces, atomic), ""]
        lines += [f" Cohesive energy            :  {-1.5 * s.n_atoms:20.8f} eV"]
        lines += [f" Total energy               :  {s.energy:20.8f} eV"]
        lines += [" Mean force (must be zero)  :      0.000000      0.000000      0.000000"] * forces
        lines += ["", f" {'+' * 70}", ""]
    return "\n".join([*lines, " Atomic Energy Network done.", ""])


def atoms(s, forces, atomic, what="input"):
    yield f" Cartesian atomic coordinates ({what}){' and corresponding atomic forces' if forces else ''}:"
    yield ""
    names = ["x", "y", "z"] + ["Fx", "Fy", "Fz"] * forces + ["E_atom"] * atomic
    units = ["(Ang)"] * 3 + ["(eV/Ang)"] * (3 * forces) + ["(eV)"] * atomic
    yield "   " + "".join(f"  {name:>12}" for name in names)
    yield "   " + "".join(f"  {unit:>12}" for unit in units)
    yield f" {'-' * (14 * len(names) + 2)}"
    for k, symbol in enumerate(s.species):
        values = [*s.positions[k], *(s.forces[k] if forces else []), *([s.energy / s.n_atoms] if atomic else [])]
        yield f" {symbol:<2}" + "".join(f"  {value:12.6f}" for value in values)


def output(tmp_path, text):
    path = tmp_path / "predict.out"
    path.write_text(text)
    return path


PAIR = [replace(crystal(0, 3), name="my cells/1.xsf"), replace(molecule(1, 4), name="scan/10eV")]


@pytest.mark.parametrize("forces", [True, False])
@pytest.mark.parametrize("atomic", [True, False])
def test_output_of_predict_x_is_read_to_its_last_digit(forces, atomic, tmp_path):
    out = PredictOut.from_file(output(tmp_path, printed(PAIR, forces=forces, atomic=atomic)))
    assert out.structure_paths == ["my cells/1.xsf", "scan/10eV"]
    assert out.atom_types == [s.species for s in PAIR]
    assert (out.forces is not None, out.atom_energies is not None) == (forces, atomic)
    for k, s in enumerate(PAIR):
        assert out.total_energy[k] == round(s.energy, 8)
        assert out.cohesive_energy[k] == -1.5 * s.n_atoms
        np.testing.assert_allclose(out.coords[k], s.positions, rtol=0, atol=5.1e-7)
        if forces:
            np.testing.assert_allclose(out.forces[k], s.forces, rtol=0, atol=5.1e-7)
        if atomic:
            np.testing.assert_allclose(out.atom_energies[k], s.energy / s.n_atoms, rtol=0, atol=5.1e-7)


def test_quiet_output_has_structures_without_names(tmp_path):
    out = PredictOut.from_file(output(tmp_path, printed(PAIR, quiet=True)))
    assert out.structure_paths == ["structure_000000", "structure_000001"]
    assert out.total_energy[1] == round(PAIR[1].energy, 8)
    assert out.cells == [None, None]


def test_of_a_relaxation_the_last_geometry_counts(tmp_path):
    text = printed(PAIR[:1])
    relaxed = replace(PAIR[0], positions=PAIR[0].positions + 0.1)
    table = "\n".join(atoms(relaxed, forces=True, atomic=False, what="optimized"))
    text = text.replace(" Cohesive energy", f" Geometry optimization:\n\n{table}\n\n Cohesive energy")
    out = PredictOut.from_file(output(tmp_path, text))
    np.testing.assert_allclose(out.coords[0], relaxed.positions, rtol=0, atol=5.1e-7)
    assert out.atom_energies is None


def test_a_long_path_may_stand_on_its_own_line(tmp_path):
    text = printed(PAIR).replace(": my cells/1.xsf", f":\n {'deep/' * 20}1.xsf")
    assert PredictOut.from_file(output(tmp_path, text)).structure_paths[0] == "deep/" * 20 + "1.xsf"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", r"predict.out holds no energies of predict.x: is it the output of another program\?"),
        (lambda text: text[: text.rindex(" Total energy")], "ends in the middle of structure 1: predict.x did not"),
        (lambda text: text[: text.rindex(" Lattice")], "ends in the middle of structure 1"),
        (lambda text: text.replace("Number of atoms   : 4", "Number of atoms   : 5"), "5 atoms are wanted, got 4"),
        (
            lambda text: text.replace("  -10.900000", "*" * 12, 1),
            r"line 20: could not convert string to float: '\*{12}'",
        ),
        (
            lambda text: text.replace("    -10.900000", "", 1),
            r"line 20: 7 numbers are wanted \(x, y, z, Fx, Fy, Fz, E_atom\), got 6",
        ),
        (
            lambda text: text.replace("Total energy               :  ", "Total energy : ****"),
            "could not convert string",
        ),
    ],
)
def test_output_that_is_not_whole_is_refused(change, message, tmp_path):
    with pytest.raises(FileFormatError, match=message):
        PredictOut.from_file(output(tmp_path, change(printed([replace(s, energy=-10.9 * s.n_atoms) for s in PAIR]))))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the referee data is not beside the checkout")
def test_predicted_structures_take_the_cell_from_their_files(tmp_path):
    answers = json.loads((FOLDER / "predict.json").read_text())["structures"]
    from potentia import read_structures

    names = list(answers)
    structures = [
        replace(
            read_structures([FOLDER / name]).structures[0],
            name=name,
            energy=answers[name]["total_energy"],
            forces=answers[name]["forces"],
            stress=None,
        )
        for name in names
    ]
    found = PredictOut.from_file(output(tmp_path, printed(structures))).to_structures(FOLDER)
    for s, original in zip(found, structures, strict=True):
        assert s.energy == pytest.approx(original.energy, abs=1e-8)
        assert s.pbc.tolist() == original.pbc.tolist()
        assert (s.cell is None) == (original.cell is None)
        np.testing.assert_allclose(s.positions, original.positions, atol=1e-6)


def in_files(tmp_path, *structures):
    """Write structures as XYZ files, and the output of predict.x for them."""
    named = [replace(s, name=f"{k}.xyz") for k, s in enumerate(structures)]
    for s in named:
        s.to_atoms().write(tmp_path / s.name, format="extxyz")
    return PredictOut.from_file(output(tmp_path, printed(named)))


def test_structures_of_predict_x_take_periodicity_from_their_files(tmp_path):
    out = in_files(tmp_path, crystal(0), molecule(1))
    solid, free = out.to_structures(tmp_path)
    assert solid.is_periodic()
    assert not free.is_periodic()
    np.testing.assert_allclose(solid.cell, crystal(0).cell, rtol=0, atol=1e-7)
    assert solid.energy == out.total_energy[0]
    np.testing.assert_array_equal(free.forces, out.forces[1])
    assert free.name == "1.xyz"


def test_a_file_with_another_structure_is_refused(tmp_path):
    out = in_files(tmp_path, crystal(0), molecule(1))
    crystal(5).to_atoms().write(tmp_path / "0.xyz", format="extxyz")
    with pytest.raises(DataError, match=r"0\.xyz does not hold the structure that was predicted: atoms or cell differ"):
        out.to_structures(tmp_path)
    with pytest.raises(
        DataError, match=r"does not tell whether structure 0 is periodic, and its file '.*' is not there"
    ):
        out.to_structures(tmp_path / "elsewhere")


def prediction(structures, **more):
    return PredictOut(
        **{
            "coords": [s.positions for s in structures],
            "atom_types": [s.species for s in structures],
            "atom_energies": None,
            "total_energy": [s.energy for s in structures],
            "cohesive_energy": [-1.0] * len(structures),
            "structure_paths": [s.label for s in structures],
            "forces": [s.forces for s in structures],
            "cells": [s.cell for s in structures],
            "pbc": [s.pbc for s in structures],
            **more,
        }
    )


def test_structures_hold_what_was_predicted():
    structures = [crystal(0), molecule(1), crystal(2, pbc=(True, True, False))]
    stress = [structures[0].stress, None, None]
    found = prediction(structures, stress=stress).to_structures()
    for k, (one, other) in enumerate(zip(found, structures, strict=True)):
        assert (one.energy, one.name, one.species) == (other.energy, other.name, other.species)
        np.testing.assert_equal([one.positions, one.forces], [other.positions, other.forces])
        np.testing.assert_equal([one.cell, one.pbc, one.stress], [other.cell, other.pbc, stress[k]])
    assert prediction(structures, forces=None).to_structures()[0].forces is None


# ---------------------------------------------------------------------------------------------------------- analyzer


def shifted(by):
    structures = [crystal(0, 4), molecule(1, 5)]
    return prediction([replace(s, energy=s.energy + by, forces=s.forces + [by, 0, -by]) for s in structures])


def test_the_spread_of_several_predictions():
    analyzer = PredictOutAnalyzer([shifted(by) for by in (0.0, 1.0, 5.0)])
    energy, std = crystal(0, 4).energy, np.std([0, 1, 5])
    assert analyzer.energy_stats(0, normalize=False) == pytest.approx((energy, energy + 5, energy + 2, std))
    stats = analyzer.energy_stats(0)
    assert (stats.min, stats.std) == pytest.approx((energy / 4, std / 4))
    table = analyzer.all_energy_stats()
    assert list(table.columns) == ["min", "max", "avg", "std"]
    assert table.index.tolist() == ["crystal 0", "molecule 1"]
    assert tuple(table.iloc[0]) == analyzer.energy_stats(0)
    assert analyzer.all_energy_stats(normalize=False)["std"].tolist() == pytest.approx([std, std])
    np.testing.assert_allclose(analyzer.force_stats(1), np.tile([std, 0, std], (5, 1)), atol=1e-14)
    np.testing.assert_allclose(analyzer.force_uncertainty(1), np.full(5, 2 * std / 3), atol=1e-14)
    assert repr(analyzer) == "PredictOutAnalyzer(3 predictions of 2 structures)"


def test_one_prediction_has_no_spread():
    assert PredictOutAnalyzer([shifted(0.0)]).energy_stats(1).std == 0


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (lambda: [], "at least one PredictOut, got none"),
        (lambda: [shifted(0.0), prediction([crystal(0, 4)])], "prediction 1 is of 1 structures, the first of 2"),
        (
            lambda: [shifted(0.0), prediction([crystal(0, 4), molecule(2, 5)])],
            r"structure 1 of prediction 1 \(molecule 2\) is not that of the first \(molecule 1\)",
        ),
    ],
)
def test_only_predictions_of_the_same_structures_are_compared(predictions, message):
    with pytest.raises(DataError, match=message):
        PredictOutAnalyzer(predictions())


def test_forces_that_were_not_predicted_are_missed():
    analyzer = PredictOutAnalyzer([shifted(0.0), replace(shifted(0.0), forces=None)])
    with pytest.raises(DataError, match="prediction 1 has no forces: predict with eval_forces=True"):
        analyzer.force_uncertainty(0)


def test_labels_are_no_part_of_a_structure_to_compare():
    one, other = (prediction([without(crystal(0), "stress")]) for _ in range(2))
    assert PredictOutAnalyzer([one, other]).num_atoms(0) == 4
