"""Committees of surrogates by commands: the laws of all families, and tables of states."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cli.answers import told
from cli.committee_laws import CommitteeLaws
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.trajectories import FullyConnected, TrajectoryData, write_trajectories
from potentia.trajectories.committee import TrajectoryCommittee
from trajectories.decays import decays

PARTS = [decays(n, name, parameters=1) for n, name in ((24, "train"), (6, "test"), (24, "val"))]
DATA = TrajectoryData.of(*PARTS, name="decays")


class TestTrajectories(CommitteeLaws):
    committee_class, member_class = TrajectoryCommittee, FullyConnected
    short = ("training.epochs=2", "training.show_progress=false", "network.hidden_size=8",
             "network.num_hidden_layers=1")  # fmt: skip
    data = DATA
    first = held = new = "decays.hdf5"
    calibrated, uncalibrated = "data.calibrate=decays.hdf5", "data.calibrate=null"
    data_block = {"file": "decays.hdf5", "calibrate": "decays.hdf5"}
    files = {"losses.png", "time_windows.csv"}
    along = ("time_windows",)
    loss = "test_loss"
    counted = {"trajectories": {"train": 24, "test": 6, "val": 24, "calibrate": 24}}
    title = "Committee of 3 surrogates (FullyConnected) of decays"
    tables = {"What error bars hold", "By window of time", "Coverage of state B errors (dex)"}
    refused = (
        (["committee.batched=true"], "batched=True is not for surrogates"),
        (["data.calibrate=few.hdf5"], "calibrating needs trajectories"),
        (["data.calibrate=no.hdf5"], "no.hdf5"),
    )
    alone = "holds one surrogate, which has no spread"

    @classmethod
    def write(cls, folder):
        write_trajectories(folder / "decays.hdf5", DATA)
        few = TrajectoryData.of(*PARTS[:2], DATA.val.take([0]), name="few")
        write_trajectories(folder / "few.hdf5", few)

    def test_init_calibrates_on_the_data_themselves(self, run):
        assert read_run_settings(run.settings, [])[1].data.calibrate == str(run.held)

    def test_predictions_have_error_bars(self, run, committee, capsys):
        found = told(capsys, "predict", run.path, run.new)["predictions"]
        expected = committee.predict(DATA.val.initial_states, DATA.val.times, DATA.val.parameters).frame()
        for name in ("time", "A", "A_spread", "C_half_width", "B_low", "B_high", "level"):
            np.testing.assert_allclose([row[name] for row in found], expected[name])
        out = run.folder / "states.csv"
        assert main(["predict", str(run.path), str(run.new), "-o", str(out)]) == 0
        np.testing.assert_allclose(pd.read_csv(out)["B_high"], expected["B_high"])

    def test_error_bars_are_learned_from_half_and_go_by_window(self, run, committee, capsys):
        bars = committee.error_bars(DATA.val)
        assert bars.samples == committee.calibration.blocks == 12
        np.testing.assert_allclose(pd.read_csv(run.path / "coverage.csv")["coverage"], bars.coverage["coverage"])
        assert len(told(capsys, "evaluate", run.path, run.held)["time_windows"]) == 30
        assert pd.read_csv(run.path / "errors.csv")["predictor"].tolist()[0] == "committee"

    def test_a_report_is_of_all_members(self, run, committee, capsys):
        bars = self.reported_bars(run, capsys)
        assert "in 12 held-out samples. 12 more are left out" in bars["words"][0]
        rows = bars["tables"]["What error bars hold"]
        held = committee.error_bars(DATA.val)
        assert [row["coverage"] for row in rows] == pytest.approx(held.coverage["coverage"].tolist())
        assert [row["window"] for row in bars["tables"]["By window of time"]][:2] == ["window 1", "window 2"]
        members = told(capsys, "report", run.path / self.members, "--data", run.held)
        assert members["headline"] == told(capsys, "report", run.path)["headline"]
