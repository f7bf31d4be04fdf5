"""Tables of energies and forces: what is written is read back to the bit, and files of train.x are understood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from potentia import Structure
from potentia.errors import DataError, FileFormatError
from potentia.potentials import Energies
from potentia.potentials.breakdown import error_table, errors_by_group, errors_by_species
from potentia.potentials.parity import ParityData, ParityRows
from potentia.potentials.tables import force_table, read_forces, write_forces
from potentials.small_data import crystal, frames, molecule, without

TOTAL = -39038.49118938
NAMES = ["a b/c d.xsf", "run#3.xsf", " ends ", "", '"quoted"', "two\nlines", "tab\there", "Å–ü", "a\\b\u2028c"]


def of_train_x(*rows, elements=("Ti", "O")):
    """Lay rows out as ænet's Fortran program does: seven digits, and a header that holds blanks in its names."""
    head = "#  Ref(eV)        ANN(eV)      #atoms  Ref(eV/atom)   ANN(eV/atom) Ref-ANN(eV/atom)    ANN error   "
    lines = [head + "".join(f"#{name}  " for name in elements) + "  Path of input file"]
    for reference, predicted, counts, path in rows:
        n = sum(counts)
        energies = f"{reference:15.6E}{predicted:15.6E}{n:6d}{reference / n:15.6E}{predicted / n:15.6E}"
        errors = f"{(reference - predicted) / n:15.6E}{2 * (reference - predicted) / n:15.6E}"
        lines.append(energies + errors + "".join(f"{count:6d}" for count in counts) + f" {path}")
    return "\n".join(lines) + "\n"


FORTRAN = of_train_x((-15.25, -15.125, (8, 16), "../my files/1.xsf"), (2.5, 2.75, (8, 14), "../2.xsf"))


def parity(structures=None, seed=0, forces=True, places=None, **more):
    """Predictions that are off by random errors, for structures in any order."""
    structures = frames(6) if structures is None else structures
    rng = np.random.default_rng(seed)
    rows = ParityRows.of(structures, range(len(structures)) if places is None else places, forces=forces, **more)
    energy = rng.normal(size=len(structures))
    labels = [s.forces for s in structures if s.has_forces()] if forces else []
    force = np.concatenate(labels) if labels else None
    return ParityData(
        energy,
        energy + 0.01 * rng.normal(size=len(structures)),
        force,
        None if force is None else force + 0.1 * rng.normal(size=force.shape),
        rows=rows,
    )


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two tables hold the same bits under the same names."""
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    return True


# ---------------------------------------------------------------------------------------------------------- energies


def test_energies_of_a_known_case():
    one = Structure([[0, 0, 0], [0, 0, 1.7], [9, 0, 0]], ["O", "Ti", "O"], -2469.0, name="oxide.xsf")
    two = Structure([[0, 0, 0], [0, 0, 1.2]], ["O", "O"], -866.0)
    rows = ParityRows.of([one, two], [7, 3], forces=False)
    data = ParityData(np.array([-1.0, -0.5]), np.array([-1.25, 0.0]), rows=rows)
    table = Energies.of(data, None, e_scaling=2.0).energies_train
    assert table.to_dict("list") == {
        "Ref(eV)": [-2469.0, -866.0],
        "ANN(eV)": [-2469.75, -865.0],
        "#atoms": [3, 2],
        "Ref(eV/atom)": [-823.0, -433.0],
        "ANN(eV/atom)": [-823.25, -432.5],
        "Ref-ANN(eV/atom)": [0.25, -0.5],
        "Cost-Func": [0.5, -1.0],
        "#O": [2, 2],
        "#Ti": [1, 0],
        "Path-of-input-file": ["oxide.xsf", "structure_000003"],
    }


def test_energies_come_back_to_the_bit(tmp_path):
    helium = Structure([[0, 0, 0]], ["He"], -79.1)
    train, test = parity(), parity([helium, crystal(2)], seed=1, places=[11, 4])
    energies = Energies.of(train, test, e_scaling=0.7)
    assert energies.elements == ["O", "Ti", "He"]
    paths = energies.write(tmp_path / "new" / "folder")
    assert paths == [tmp_path / "new" / "folder" / f"energies.{part}.0" for part in ("train", "test")]
    again = Energies(*paths)
    assert same(again.energies_train, energies.energies_train)
    assert same(again.energies_test, energies.energies_test)
    assert again.energies_train["#He"].tolist() == [0] * 6
    assert again.energies_train["#atoms"].tolist() == [s.n_atoms for s in frames(6)]


def test_seventeen_digits_keep_what_seven_lose(tmp_path):
    structure = Structure([[0, 0, 0]], ["Ti"], TOTAL)
    data = ParityData(np.zeros(1), np.full(1, 1e-3), rows=ParityRows.of([structure], [0], forces=False))
    path, _ = Energies.of(data, None, 1.0).write(tmp_path)
    assert Energies(path).energies_train["Ref(eV)"][0] == TOTAL
    assert abs(float(f"{TOTAL:14.6E}") - TOTAL) > 1e-3  # what ænet's format keeps of it


def test_names_survive_whatever_is_in_them(tmp_path):
    structures = [replace(molecule(k), name=name or None, source=None) for k, name in enumerate(NAMES)]
    expected = [name or f"structure_{k:06d}" for k, name in enumerate(NAMES)]
    energies = Energies.of(parity(structures), None, 1.0)
    path, _ = energies.write(tmp_path)
    assert Energies(path).energies_train["Path-of-input-file"].tolist() == expected
    write_forces(tmp_path, parity(structures), None)
    assert list(dict.fromkeys(read_forces(tmp_path / "forces.train.0")["Path-of-input-file"])) == expected


def test_other_programs_read_the_numbers_between_blanks(tmp_path):
    energies = Energies.of(parity(), None, 1.0)
    path, _ = energies.write(tmp_path)
    numbers = np.loadtxt(path, usecols=range(9))
    np.testing.assert_array_equal(numbers, energies.energies_train.iloc[:, :9].to_numpy(dtype=float))
    header, *lines = path.read_text().splitlines()
    assert header.split()[:9] == ["#", *energies.energies_train.columns[:8]]
    ends = {len(line) - len(line.split(None, 9)[-1]) for line in lines}
    assert len(ends) == 1  # columns stand under each other


def test_files_of_train_x_are_read(tmp_path):
    (tmp_path / "energies.train.0").write_text("\n" + FORTRAN)
    (tmp_path / "energies.train.1").write_text(FORTRAN.replace("#Ti  #O ", "#O  #Li"))
    energies = Energies(tmp_path / "energies.train.0")
    assert energies.elements == ["Ti", "O"]
    assert energies.energies_train["Ref(eV)"].tolist() == [-15.25, 2.5]
    assert energies.energies_train["Path-of-input-file"].tolist() == ["../my files/1.xsf", "../2.xsf"]
    assert list(energies.energies_test.columns) == list(energies.energies_train.columns)
    energies.add_energies(path_train=tmp_path / "energies.train.1", path_test=tmp_path / "energies.train.0")
    assert energies.energies_train["#O"].tolist() == [16, 14, 8, 8]
    assert energies.energies_train["#Li"].tolist() == [0, 0, 16, 14]
    assert energies.energies_test["#Li"].tolist() == [0, 0]
    assert len(energies.energies_test) == 2


def test_energies_without_a_test_set_write_a_table_without_rows(tmp_path):
    (tmp_path / "energies.test.0").write_text("from another training")
    paths = Energies.of(parity(), None, 1.0).write(tmp_path)
    assert len(Energies(*paths).energies_test) == 0
    assert repr(Energies(*paths)) == "Energies(6 training structures, 0 test structures)"


def test_nothing_is_written_but_where_it_was_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    energies = Energies.of(parity(), parity(seed=1), 1.0)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    energies.write("there")
    assert {path.name for path in tmp_path.rglob("*")} == {"there", "energies.train.0", "energies.test.0"}


def test_the_correlation_is_drawn_with_its_errors(tmp_path):
    energies = Energies.of(parity(), None, 1.0)
    figure = energies.plot_correlation(tmp_path / "energies.pdf")
    table = energies.energies_train
    rmse = 1000 * np.sqrt(np.mean((table["ANN(eV/atom)"] - table["Ref(eV/atom)"]) ** 2))
    told = " | ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert f"train  RMSE {rmse:.3g}" in told
    assert "test  no data" in told
    assert (tmp_path / "energies.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is no table: its first line must name the columns after a '#', got ''"),
        ("-1.0 2.0\n", r"its first line must name the columns"),
        (
            FORTRAN.replace("     8    14 ../2.xsf", ""),
            r"energies, line 3: 10 columns are named \(Ref\(eV\), .*\), got 7",
        ),
        (FORTRAN.replace("2.500000E+00", "************"), r"line 3: could not convert string to float: '\*+'"),
        (FORTRAN.rstrip(), "is cut off: its last line has no end"),
        (FORTRAN.replace("../2.xsf", '"../2.xsf'), "line 3: Unterminated string"),
    ],
)
def test_files_that_are_no_table_are_refused(text, message, tmp_path):
    (tmp_path / "energies").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        Energies(tmp_path / "energies")


# ------------------------------------------------------------------------------------------------------------ forces


def test_forces_come_back_to_the_bit_and_name_their_atoms(tmp_path):
    structures = [crystal(0, 3), without(molecule(1), "forces"), molecule(2, 4)]
    data = parity(structures, places=[5, 9, 2])
    table = force_table(data)
    assert table["Structure"].tolist() == [5] * 3 + [2] * 4
    assert table["Atom"].tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert table["Species"].tolist() == [*structures[0].species, *structures[2].species]
    assert table["Path-of-input-file"].tolist() == ["crystal 0"] * 3 + ["molecule 2"] * 4
    reference = table[[f"Ref-F{axis}(eV/Ang)" for axis in "xyz"]].to_numpy()
    np.testing.assert_array_equal(reference, np.concatenate([structures[0].forces, structures[2].forces]))
    predicted = table[[f"ANN-F{axis}(eV/Ang)" for axis in "xyz"]].to_numpy()
    np.testing.assert_allclose(table["|dF|(eV/Ang)"], np.linalg.norm(predicted - reference, axis=1), rtol=1e-15)
    paths = write_forces(tmp_path / "folder", data, parity([molecule(3)], forces=False))
    assert [path.name for path in paths] == ["forces.train.0", "forces.test.0"]
    assert same(read_forces(paths[0]), table)
    assert len(read_forces(paths[1])) == 0
    np.testing.assert_array_equal(np.loadtxt(paths[0], usecols=(3, 4, 5)), reference)


def test_without_a_test_set_the_table_of_its_forces_has_no_rows(tmp_path):
    _, path = write_forces(tmp_path, parity(), None)
    assert same(read_forces(path), force_table(parity()).iloc[:0])


def test_a_species_with_a_blank_cannot_be_a_column(tmp_path):
    structure = Structure([[0, 0, 0]], ["Ti 4+"], 0.0, [[0, 0, 0]])
    with pytest.raises(DataError, match=r"'Ti 4\+' in column 'Species' holds a blank"):
        write_forces(tmp_path, parity([structure]), None)
    with pytest.raises(DataError, match=r"'#Ti 4\+' in the names of columns holds a blank"):
        Energies.of(parity([structure]), None, 1.0).write(tmp_path)
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------------------------------- by group and by species


def test_errors_under_each_label_are_exact_and_their_sums_are_the_whole():
    rng = np.random.default_rng(0)
    residuals, labels = rng.normal(size=(500, 3)), rng.choice(["a", "b", "c"], 500)
    table = error_table(residuals, labels)
    assert table["count"].sum() == 1500
    assert np.sqrt((table["RMSE"] ** 2 * table["count"]).sum() / 1500) == pytest.approx(np.sqrt((residuals**2).mean()))
    assert (table["MAE"] * table["count"]).sum() / 1500 == pytest.approx(np.abs(residuals).mean())
    assert table["max"].max() == np.abs(residuals).max()
    only = residuals[labels == "b"]
    assert table.loc["b"].tolist() == pytest.approx(
        [only.size, np.abs(only).mean(), np.sqrt((only**2).mean()), np.abs(only).max()]
    )
    with pytest.raises(DataError, match="each of the 500 rows of residuals needs a label, got 499"):
        error_table(residuals, labels[1:])


def test_errors_by_group_go_by_the_config_type_of_the_structures():
    kinds = ["bulk", "slab", "bulk", None]
    structures = [replace(molecule(k, 4), info={"config_type": kind} if kind else {}) for k, kind in enumerate(kinds)]
    structures[1] = without(structures[1], "forces")
    data = parity(structures)
    table = errors_by_group(data)
    assert table.index.tolist() == ["(no group)", "bulk", "slab"]
    assert table["structures"].tolist() == [1, 2, 1]
    assert table["force_components"].tolist() == [12, 24, 0]
    error = np.abs(data.energy_pred - data.energy_ref)
    assert table.loc["bulk", "MAE"] == pytest.approx(error[[0, 2]].mean())
    assert table.loc["bulk", "max"] == error[[0, 2]].max()
    force = (data.force_pred - data.force_ref).reshape(3, 12)[:2]  # of structures 0 and 2
    assert table.loc["bulk", "RMSE_force"] == pytest.approx(np.sqrt((force**2).mean()))
    assert np.isnan(table.loc["slab", "RMSE_force"])
    other = errors_by_group(
        parity([replace(s, info={"run": k % 2}) for k, s in enumerate(structures)], group_key="run")
    )
    assert other.index.tolist() == ["0", "1"]


def test_errors_by_species_are_of_the_forces_on_their_atoms():
    data = parity([molecule(1, 5), crystal(2, 3)])
    table = errors_by_species(data)
    species = np.array([*molecule(1, 5).species, *crystal(2, 3).species])
    error = data.force_pred - data.force_ref
    assert table.index.tolist() == ["O", "Ti"]
    assert table["atoms"].tolist() == [3, 5]
    assert table["force_components"].tolist() == [9, 15]
    assert table.loc["O", "RMSE_force"] == pytest.approx(np.sqrt((error[species == "O"] ** 2).mean()))
    assert table.loc["Ti", "max_force"] == np.abs(error[species == "Ti"]).max()


@pytest.mark.parametrize(
    "ask", [force_table, errors_by_group, errors_by_species, lambda data: Energies.of(data, None, 1.0)]
)
def test_tables_need_to_know_the_structures(ask):
    with pytest.raises(DataError, match="do not say which structures they belong to: give ParityData its `rows`"):
        ask(ParityData(np.zeros(1), np.zeros(1)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"energy_ref": np.zeros(2), "energy_pred": np.zeros(2)}, "rows must name each of the 2 structures, got 1"),
        ({"force_ref": None, "force_pred": None}, "rows name 15 force components, but force_ref has 0"),
        ({"force_ref": np.zeros((4, 3)), "force_pred": np.zeros((4, 3))}, "rows name 15 .* has 12"),
    ],
)
def test_rows_must_fit_the_values(fields, message):
    data = parity([molecule(1, 5)])
    with pytest.raises(DataError, match=message):
        replace(data, **fields)


def test_rows_have_one_length():
    rows = parity([molecule(1, 5)]).rows
    with pytest.raises(DataError, match=r"one entry for each structure, got \{.*'groups': 0"):
        replace(rows, groups=[])
