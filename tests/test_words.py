"""Metrics in words: people read words, and what is known already or nobody knows stays as it is."""

from __future__ import annotations

import pandas as pd
import pytest

from potentia.words import COVERAGE, METRICS, POTENTIALS, TRAJECTORIES, in_words, worded


@pytest.mark.parametrize(
    ("name", "meant", "words"),
    [
        ("vrmse", {}, "VRMSE"),
        ("val_rel_l2", {}, "relative L2, validation"),
        ("RMSE_force_test", POTENTIALS, "force RMSE, test"),
        ("MAE_train", POTENTIALS, "energy MAE, training"),
        ("train_loss", {}, "loss, training"),
        ("train_loss", TRAJECTORIES, "MAE, training"),
        ("test_rmse_linear", TRAJECTORIES, "RMSE of the states, test"),
        ("val_rmse_v", {}, "RMSE of v, validation"),
        ("coverage", COVERAGE, "share held"),
        ("coverage", {}, "coverage"),
        ("prey_1", {}, "prey_1"),
        ("train", {}, "train"),
    ],
)
def test_a_name_in_words(name, meant, words):
    assert in_words(name, meant) == words


def test_words_are_no_names_of_others():
    for meant in ({}, COVERAGE, POTENTIALS, TRAJECTORIES):
        words = {**METRICS, **meant}.values()
        assert [in_words(word, meant) for word in words] == list(words)


def test_a_table_in_words_has_the_same_numbers():
    table = pd.DataFrame({"vrmse": [1.0, 2.0], "x": [3.0, 4.0]}, index=pd.Index(["val_loss", "linear"], name="of"))
    found = worded(table)
    assert list(found) == ["VRMSE", "x"]
    assert list(found.index) == ["loss, validation", "linear"]
    assert (found.index.name, found.to_numpy().tolist()) == ("of", table.to_numpy().tolist())
    assert list(table) == ["vrmse", "x"]
    assert list(worded(table.reset_index()).index) == [0, 1]
