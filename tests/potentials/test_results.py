"""Results of potentials: numbers of a known history, what NaN means, and lists with one entry for each structure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from crossings import crossed
from potentia.errors import DataError, NotFittedError
from potentia.potentials.results import ParityData, PredictOut, TrainOut
from potentials.epochs import by_energies, by_forces, row, told

ENERGY_AND_FORCE = ["MAE_train", "RMSE_train", "MAE_test", "RMSE_test", "RMSE_force_train", "RMSE_force_test"]
STATS = {
    "final_MAE_train", "final_RMSE_train", "final_MAE_test", "final_RMSE_test", "min_RMSE_test", "epoch_min_RMSE_test",
    "final_RMSE_force_train", "final_RMSE_force_test", "min_RMSE_force_test", "epoch_min_RMSE_force_test",
}  # fmt: skip


def by_stress():
    return [{**errors, "RMSE_stress_train": 0.003, "RMSE_stress_test": 0.005} for errors in by_forces()]


def parity(n=20, forces=True, stress=False):
    rng = np.random.default_rng(0)
    energy, force, tensor = rng.normal(size=n), rng.normal(size=(5 * n, 3)), rng.normal(size=(n, 3, 3))
    return ParityData(
        energy,
        energy + 0.01,
        force if forces else None,
        force + 0.1 if forces else None,
        tensor if stress else None,
        tensor + 0.002 if stress else None,
    )


def words(figure):
    return " | ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def labels(figure):
    return {label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())}


# ---------------------------------------------------------------------------------------------------------- TrainOut


def test_errors_are_the_columns_by_epoch_from_one():
    errors = TrainOut(by_energies()).errors
    assert list(errors.columns) == ENERGY_AND_FORCE
    assert errors.index.name == "epoch"
    assert errors.index.tolist() == [1, 2, 3]
    assert errors["RMSE_test"].tolist() == [0.05, 0.02, 0.03]
    assert errors[["RMSE_force_train", "RMSE_force_test"]].isna().all(axis=None)


def test_stats_of_a_known_history():
    assert TrainOut(by_forces()).stats == {
        "final_MAE_train": 0.03 / 3,
        "final_RMSE_train": 0.04 / 3,
        "final_MAE_test": 0.8 * 0.03,
        "final_RMSE_test": 0.03,
        "final_RMSE_force_train": 0.1,
        "final_RMSE_force_test": 0.2,
        "final_MAE_force_train": 0.05,
        "final_MAE_force_test": 0.1,
        "min_RMSE_test": 0.02,
        "epoch_min_RMSE_test": 2,
        "min_RMSE_force_test": 0.2,
        "epoch_min_RMSE_force_test": 3,
    }


def test_stress_joins_when_it_was_trained():
    out = TrainOut(by_stress())
    assert out.has_stress_data
    assert out.stats["final_RMSE_stress_train"] == 0.003
    assert (out.stats["min_RMSE_stress_test"], out.stats["epoch_min_RMSE_stress_test"]) == (0.005, 1)
    assert {"RMSE_stress_train", "RMSE_stress_test"} <= set(out.errors.columns)
    assert "MAE_stress_test" not in out.errors


def test_timing_and_learning_rate():
    out = TrainOut(by_energies())
    assert list(out.timing.columns) == ["epoch_time", "forward_time", "backward_time"]
    assert out.timing["epoch_time"].tolist() == [2.0, 3.0, 4.0]
    assert out.learning_rate == [1e-3] * 3


@pytest.mark.parametrize("missing", [math.nan, None])
def test_a_column_of_nan_is_a_column_that_is_absent(missing):
    names = [f"{m}_{q}_{s}" for m in ("MAE", "RMSE") for q in ("force", "stress") for s in ("train", "test")]
    absent, given = TrainOut(by_energies()), TrainOut(by_energies(**dict.fromkeys(names, missing)))
    assert given.errors.equals(absent.errors)
    np.testing.assert_equal(given.stats, absent.stats)
    assert str(given) == str(absent)
    assert not given.has_force_data
    assert not given.has_stress_data


def test_one_finite_value_is_data():
    history = by_energies(RMSE_force_test=math.nan)
    history[1]["RMSE_force_test"] = 0.5
    out = TrainOut(history)
    assert out.has_force_data
    assert math.isnan(out.stats["final_RMSE_force_test"])
    assert (out.stats["min_RMSE_force_test"], out.stats["epoch_min_RMSE_force_test"]) == (0.5, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_lowest_error_is_sought_among_finite_ones_and_the_first_of_equals_counts(bad):
    values = [bad, 0.2, 0.1, 0.1, bad]
    out = TrainOut([{"RMSE_test": value} for value in values])
    assert (out.stats["min_RMSE_test"], out.stats["epoch_min_RMSE_test"]) == (0.1, 3)
    np.testing.assert_equal(out.stats["final_RMSE_test"], bad)


def test_without_a_test_set_its_stats_are_nan():
    stats = TrainOut([{"RMSE_train": 0.1, "MAE_train": 0.1}]).stats
    assert stats["final_RMSE_train"] == 0.1
    assert all(math.isnan(stats[name]) for name in stats if name.endswith("test"))


def test_zero_epochs_are_a_result(tmp_path):
    out = TrainOut([])
    assert set(out.stats) == STATS
    assert all(math.isnan(value) for value in out.stats.values())
    assert len(out.errors) == len(out.timing) == len(out.learning_rate) == 0
    assert list(out.errors.columns) == ENERGY_AND_FORCE
    assert "0 epochs" in str(out)
    assert not out.has_force_data
    assert isinstance(out.plot_training_summary(tmp_path / "summary.png"), Figure)


def test_the_record_does_not_follow_the_history_it_was_made_from():
    history = by_energies()
    out = TrainOut(history)
    history.append(row(0))
    history[0]["RMSE_test"] = 0.0
    assert len(out.errors) == 3
    assert out.stats["min_RMSE_test"] == 0.02


def test_print_is_a_table_with_units():
    history = by_stress()
    history[1]["skipped"] = 2.0
    text = str(TrainOut(history, seed=11, split_seed=7, train_indices=[0, 2], test_indices=[1], reading="3 files"))
    rows = {" ".join(line.split()) for line in text.splitlines()}
    assert "3 epochs, 2 training structures, 1 test structures, seed 11, split seed 7" in rows
    assert "energy RMSE (meV/atom) 13.33 30.00" in rows
    assert "energy MAE (meV/atom) 10.00 24.00" in rows
    assert "force component RMSE (eV/Å) 0.1000 0.2000" in rows
    assert "stress component RMSE (meV/Å³) 3.000 5.000" in rows
    assert "Errors of forces and stress are per component, not per atom or structure." in rows
    assert "The lowest energy RMSE of the test set was 20.00 meV/atom, in epoch 2." in rows
    assert "2 batches were left out because they were not finite." in rows
    assert "3 files" in rows


def test_print_is_silent_about_what_was_not_trained():
    text = str(TrainOut([{"RMSE_train": 0.01}]))
    assert "force" not in text
    assert "stress" not in text
    assert "lowest" not in text
    assert "10.00           –" in text
    assert "nan" not in text


def test_repr_is_one_line():
    assert repr(TrainOut(by_energies(), seed=3)) == "TrainOut(3 epochs, seed 3; print it for the errors)"
    assert repr(TrainOut(by_energies()[:1])).startswith("TrainOut(1 epoch;")


# ----------------------------------------------------------------------------------------------- figures of TrainOut


@pytest.mark.parametrize(
    ("plot", "suffix"),
    crossed(
        ["plot_training_errors", "plot_force_errors", "plot_training_summary", "plot_parity"], [".png", ".pdf", ".svg"]
    ),
)
def test_every_figure_can_be_written(plot, suffix, tmp_path):
    out = TrainOut(by_stress(), train_parity=parity(stress=True), test_parity=parity(stress=True))
    path = tmp_path / f"figure{suffix}"
    assert isinstance(getattr(out, plot)(outfile=path), Figure)
    assert path.stat().st_size > 1000


def test_axes_carry_the_units():
    out = TrainOut(by_stress())
    assert labels(out.plot_training_errors()) == {"epoch", "energy error (meV/atom)"}
    assert labels(out.plot_force_errors()) == {"epoch", "force component error (eV/Å)"}
    assert labels(out.plot_training_summary()) == {
        "", "epoch", "energy error (meV/atom)", "force component error (eV/Å)", "stress component error (meV/Å³)"
    }  # fmt: skip


def test_the_summary_shows_what_was_trained():
    assert len(TrainOut(by_energies()).plot_training_summary().axes) == 1
    assert len(TrainOut(by_forces()).plot_training_summary().axes) == 2


def test_the_summary_shows_a_learning_rate_that_changed():
    history = by_energies()
    history[2]["learning_rate"] = 5e-4
    assert "learning\nrate" in labels(TrainOut(history).plot_training_summary())


def test_curves_are_in_the_unit_of_their_axis_and_the_lowest_is_that_of_the_stats():
    figure = TrainOut(by_forces()).plot_training_summary()
    energy, force = (axes.lines[1].get_ydata() for axes in figure.axes)
    np.testing.assert_allclose(energy, [50, 20, 30])  # meV/atom
    np.testing.assert_allclose(force, [0.4, 0.3, 0.2])  # eV/Å
    assert "lowest test RMSE: 20.0 meV/atom in epoch 2" in words(figure)
    assert "lowest test RMSE: 0.200 eV/Å in epoch 3" in words(figure)


@pytest.mark.parametrize("history", [[], by_energies(), by_energies(RMSE_force_test=math.nan)])
def test_force_errors_that_are_not_there_are_missed_clearly(history, tmp_path):
    with pytest.raises(DataError, match=r"no force errors in this training.*force_weight above 0"):
        TrainOut(history).plot_force_errors(tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_parity_shows_train_and_test_of_all_labels():
    figure = TrainOut([], train_parity=parity(20, stress=True), test_parity=parity(4, forces=False)).plot_parity()
    assert {"reference energy (eV/atom)", "reference force component (eV/Å)", "predicted stress component (eV/Å³)"} <= (
        labels(figure)
    )
    told = words(figure)
    assert "train  RMSE 10.0, MAE 10.0 meV/atom, 20 points" in told
    assert "test  RMSE 10.0, MAE 10.0 meV/atom, 4 points" in told
    assert "train  RMSE 0.100, MAE 0.100 eV/Å, 300 points" in told
    assert "train  RMSE 2.00, MAE 2.00 meV/Å³, 180 points" in told
    assert "test  no data" in told


def test_a_split_has_one_colour_whether_the_other_is_there_or_not():
    both = TrainOut([], train_parity=parity(), test_parity=parity()).plot_parity()
    test = TrainOut([], test_parity=parity()).plot_parity()
    colours = [figure.axes[0].collections[-1].get_facecolor().tolist() for figure in (both, test)]
    assert colours[0] == colours[1]


@pytest.mark.parametrize("data", [None, ParityData(np.empty(0), np.empty(0))])
def test_parity_needs_predictions(data):
    with pytest.raises(NotFittedError, match="holds errors but no predictions"):
        TrainOut(by_energies(), test_parity=data).plot_parity()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"energy_pred": np.zeros(3)}, r"energy_ref and energy_pred must have one shape, got \(2,\) and \(3,\)"),
        ({"force_ref": np.zeros((2, 3))}, r"force_ref and force_pred must have one shape, got \(2, 3\) and None"),
        ({"stress_pred": np.zeros(6)}, r"stress_ref and stress_pred must have one shape, got None and \(6,\)"),
    ],
)
def test_parity_data_come_in_pairs(fields, message):
    with pytest.raises(DataError, match=message):
        ParityData(**{"energy_ref": np.zeros(2), "energy_pred": np.zeros(2)} | fields)


# -------------------------------------------------------------------------------------------------------- PredictOut


def prediction(**more):
    """A molecule of two atoms and one of three."""
    return {
        "coords": [np.zeros((2, 3)), np.ones((3, 3))],
        "atom_types": [["H", "H"], ["O", "H", "H"]],
        "atom_energies": [np.array([-15.0, -17.0]), np.array([-430.0, -15.0, -20.0])],
        "total_energy": [-32.0, -465.0],
        "cohesive_energy": [-4.0, -9.0],
        "structure_paths": ["h2.xsf", "h2o.xsf"],
        **more,
    }


FORCES = [np.array([[3.0, 4.0, 0.0], [-1.0, 0.0, 0.0]]), np.full((3, 3), -2.0)]


def test_energies_are_totals_and_the_properties_are_per_atom():
    out = PredictOut(**prediction())
    assert len(out) == out.num_structures == 2
    assert [out.num_atoms(0), out.num_atoms(1), out.num_atoms(-1)] == [2, 3, 3]
    assert out.total_energy_per_atom == [-16.0, -155.0]
    assert out.cohesive_energy_per_atom == [-2.0, -3.0]


def test_the_table_has_a_row_for_each_structure():
    table = PredictOut(**prediction(forces=FORCES)).to_dataframe()
    assert table.to_dict("list") == {
        "identifier": ["h2.xsf", "h2o.xsf"],
        "n_atoms": [2, 3],
        "total_energy": [-32.0, -465.0],
        "cohesive_energy": [-4.0, -9.0],
        "total_energy_per_atom": [-16.0, -155.0],
        "cohesive_energy_per_atom": [-2.0, -3.0],
        "max_force": [5.0, pytest.approx(math.sqrt(12))],
    }


def test_what_was_not_asked_for_is_none():
    out = PredictOut(**prediction())
    assert out.forces is None
    assert out.stress is None
    assert out.timing == {}
    assert "max_force" not in out.to_dataframe()


@pytest.mark.parametrize("forces", [None, []])
def test_an_empty_prediction_is_an_empty_result(forces):
    names = ["coords", "atom_types", "atom_energies", "total_energy", "cohesive_energy", "structure_paths"]
    empty = PredictOut(**{name: [] for name in names}, forces=forces)
    assert len(empty) == 0
    assert empty.total_energy_per_atom == empty.cohesive_energy_per_atom == []
    table = empty.to_dataframe()
    full = PredictOut(**prediction(forces=None if forces is None else FORCES)).to_dataframe()
    assert len(table) == 0
    assert table.dtypes.to_dict() == full.dtypes.to_dict()


@pytest.mark.parametrize("name", ["atom_types", "atom_energies", "total_energy", "forces", "stress", "structure_paths"])
def test_a_list_of_another_length_is_refused(name):
    with pytest.raises(DataError, match=f"{name} must have one entry for each of 2 structures, got 1"):
        PredictOut(**prediction(**{name: [None]}))


def test_repr_of_a_prediction_says_what_is_in_it():
    out = PredictOut(**prediction(forces=FORCES, stress=[None, np.zeros((3, 3))]))
    assert repr(out) == "PredictOut(2 structures, 5 atoms: energies, forces, stress)"


# -------------------------------------------------------------------------------------------- by group and by species


def test_errors_by_group_and_by_species_of_both_parts():
    out = TrainOut([], train_parity=told(), test_parity=told(forces=False))
    groups = out.errors_by_group()
    assert groups.index.tolist() == [("train", "free"), ("train", "solid"), ("test", "free"), ("test", "solid")]
    assert groups.index.names == ["split", "group"]
    np.testing.assert_allclose(groups[["MAE", "RMSE", "max"]], 0.01)
    np.testing.assert_allclose(groups.loc["train", ["MAE_force", "RMSE_force", "max_force"]], 0.2)
    assert groups.loc["test", "RMSE_force"].isna().all()
    species = out.errors_by_species()
    assert species.index.tolist() == [("train", "O"), ("train", "Ti")]
    np.testing.assert_allclose(species[["MAE_force", "RMSE_force", "max_force"]], 0.2)


def test_errors_by_group_need_predictions_and_by_species_forces():
    with pytest.raises(NotFittedError, match="holds errors but no predictions"):
        TrainOut(by_forces()).errors_by_group()
    with pytest.raises(DataError, match="no force errors in this training"):
        TrainOut([], train_parity=told(forces=False)).errors_by_species()
