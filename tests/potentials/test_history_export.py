"""The history of a training in files of any program, and back."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from potentia.errors import ConfigError, DataError, FileFormatError, NotFittedError
from potentia.potentials import Energies, export_history
from potentia.potentials.results import TrainOut
from potentials.epochs import by_energies, by_forces, told
from potentials.small_data import fresh, trained


def test_an_exported_history_makes_the_same_record_again(tmp_path):
    history = by_forces()
    history[1]["RMSE_test"] = math.nan
    out = TrainOut(history)
    export_history(out, tmp_path / "history.json", tmp_path / "history.csv")
    again = TrainOut.from_file(tmp_path / "history.json")
    assert again.errors.equals(out.errors)
    assert again.timing.equals(out.timing)
    assert again.learning_rate == out.learning_rate
    np.testing.assert_equal(again.stats, out.stats)
    assert again.energies is None


def test_an_export_is_strict_json_and_its_csv_has_rates_and_times(tmp_path):
    potential = trained()
    export_history(potential, tmp_path / "history.json", tmp_path / "history.csv")
    columns = json.loads((tmp_path / "history.json").read_text(), parse_constant=pytest.fail)
    assert columns["epoch"] == [1, 2]
    frame = pd.read_csv(tmp_path / "history.csv", index_col="epoch")
    assert np.isfinite(frame[["learning_rate", "epoch_time", "MAE_train", "MAE_test"]]).all(axis=None)
    kept = {name: column.tolist() for name, column in potential.metadata["training_history"].items()}
    assert frame["RMSE_train"].tolist() == kept["RMSE_train"] == columns["RMSE_train"]


@pytest.mark.parametrize("history", [by_forces(), pd.DataFrame(by_forces()).to_dict("list")])
def test_rows_and_columns_are_exported_alike(history, tmp_path):
    export_history(history, csv_path=tmp_path / "history.csv")
    assert pd.read_csv(tmp_path / "history.csv", index_col="epoch")["RMSE_test"].tolist() == [0.05, 0.02, 0.03]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_an_export_needs_a_place_and_a_history(tmp_path):
    with pytest.raises(ConfigError, match="nothing to write: give json_path, csv_path or both"):
        export_history(by_energies())
    with pytest.raises(NotFittedError, match="learned nothing yet"):
        export_history(fresh(), tmp_path / "history.json")
    assert not list(tmp_path.iterdir())


def test_a_history_of_aenet_is_understood():
    out = TrainOut.from_torch_history(
        {
            "train_energy_rmse": [0.2, 0.1],
            "test_energy_rmse": [0.3, 0.4],
            "train_energy_mae": [0.1, 0.05],
            "test_force_rmse": [math.nan, None],
            "learning_rate": [1e-3, 1e-4],
        }
    )
    assert out.stats["min_RMSE_test"] == 0.3
    assert out.stats["final_MAE_train"] == 0.05
    assert not out.has_force_data
    assert out.learning_rate == [1e-3, 1e-4]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", FileFormatError, "history.json is no whole JSON file"),
        ("[1, 2]", FileFormatError, "is no history: wanted is an object with a list of numbers for each column"),
        ('{"RMSE_train": ["low"]}', FileFormatError, "is no history"),
        ('{"a": [1], "b": [1, 2]}', DataError, r"one length, the number of epochs, got \{'a': 1, 'b': 2\}"),
    ],
)
def test_a_file_that_is_no_history_is_refused(text, error, message, tmp_path):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(error, match=message):
        TrainOut.from_file(tmp_path / "history.json")


def test_tables_of_energies_join_the_record(tmp_path):
    energies = Energies.of(told(), told(), 1.0)
    train, test = energies.write(tmp_path)
    out = TrainOut.from_torch_history({}, energies_train_files=[train, train], energies_test_files=[test])
    assert (len(out.energies.energies_train), len(out.energies.energies_test)) == (12, 6)
