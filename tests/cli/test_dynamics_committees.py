"""Committees of dynamics by commands: the laws of all families, and logs cut for error bars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cli.answers import told
from cli.committee_laws import CommitteeLaws
from potentia.cli import main
from potentia.dynamics import DynamicsCommittee, DynamicsParameterNet, OpenedRun
from potentia.dynamics.job import DynamicsJob, network_of


class TestDynamics(CommitteeLaws):
    committee_class, member_class = DynamicsCommittee, DynamicsParameterNet
    short = (
        "training.epochs=2", "training.progress=false", "training.horizon=5", "training.stride=2",
        "training.model_hidden=[8]", "training.constant_fit=false",
    )  # fmt: skip
    first, held, new = "logs", "held", "new"
    calibrated, uncalibrated = "data.calibrate=[held]", "data.calibrate=[]"
    data_block = {"train": ["logs"], "validation": [], "calibrate": []}
    files = {"loss_history.json", "pct_network_loss.png", "lead_times.csv"}
    along = ("lead_times",)
    loss = "train_loss"
    counted = {}
    title = "Parameters of unicycle by 3 networks"
    tables = {"What error bars hold", "By step of the window"}
    refused = (
        (["committee.batched=true"], "batched=True is not for networks of dynamics"),
        (["data.calibrate=[logs]"], "learned from what the networks have seen"),
        (["data.calibrate=[gone]"], "these data are not there"),
        (["training.output=x.json"], "output is of one network, and a committee"),
    )
    alone = "does not say how its logs were cut"

    @classmethod
    def write(cls, folder):
        for name, seed in (("logs", 1), ("held", 2), ("new", 3)):
            made = ["dynamics", "simulate", str(folder / name), "--model", "unicycle", "--logs", "2", "--seconds", "20"]
            assert main([*made, "--seed", str(seed), "--noise", "v=0.05"]) == 0

    def trained_in_python(self, run, settings, output):
        inputs = DynamicsJob(settings.config).inputs
        found = DynamicsCommittee(network_of(settings.config, inputs))
        found.train(inputs.training, settings.config.training(None), replace(self.wanted, output_dir=output))
        return found

    def held_out(self, run):
        return OpenedRun.of(run.path).windows_apart([str(run.held)])

    def test_predictions_have_error_bars(self, run, committee, capsys):
        found = told(capsys, "predict", run.path, run.new)["predictions"]
        table = committee.predict(OpenedRun.of(run.path).windows([str(run.new)])).frame()
        assert found[0]["log"].endswith("new/log-000.csv")
        for name in ("drag", "std_of_drag", "std_v", "half_width_v", "level"):
            np.testing.assert_allclose([row[name] for row in found], table[name])

    def test_error_bars_are_learned_from_half_of_windows_that_share_no_row(self, run, committee):
        held = self.held_out(run)
        assert len(held) == len(np.unique(held.initial_states, axis=0))
        bars = committee.error_bars(held)
        assert bars.left_out == committee.calibration.blocks == len(held) // 2
        np.testing.assert_allclose(pd.read_csv(run.path / "coverage.csv")["coverage"], bars.coverage["coverage"])
        assert pd.read_csv(run.path / "lead_times.csv")["step"].tolist() == [1, 2, 3, 4, 5] * 4

    def test_errors_stand_beside_persistence(self, run, capsys):
        assert {"committee", "persistence"} <= set(pd.read_csv(run.path / "errors.csv"))
        assert {"committee", "persistence"} <= set(told(capsys, "evaluate", run.path, run.held)["errors"][0])
        told_too = told(capsys, "dynamics", "evaluate", run.path, "--dataset", run.held)
        assert {"committee", "persistence"} <= {row["surrogate"] for row in told_too}

    def test_a_forecast_tells_of_all_windows(self, run, capsys):
        assert set(told(capsys, "train", *run.given, "--dry-run")["data"]) == {"training", "calibrate"}

    @pytest.mark.slow
    def test_a_report_is_of_all_members(self, run, capsys):
        words = " ".join(self.reported_bars(run, capsys)["words"])
        assert "were learned" in words or "left out" in words

    def test_the_training_of_one_network_refuses_them(self, run, capsys):
        assert main(["dynamics", "train", "--config", str(run.settings)]) == 2
        assert "has settings of a committee: give it to potentia train" in capsys.readouterr().err
