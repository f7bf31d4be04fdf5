"""Committees of operators by commands: the laws of all families, and fields in files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from cli.answers import told
from cli.committee_laws import CommitteeLaws
from operators import fields_data
from potentia.cli import main
from potentia.cli.run_settings import read_run_settings
from potentia.operators import NeuralOperator, OperatorCommittee, write_operator_data

DATA = fields_data.data(n_other=24)


class TestOperators(CommitteeLaws):
    committee_class, member_class = OperatorCommittee, NeuralOperator
    short = ("training.epochs=2", "training.show_progress=false", "network.width=4", "network.layers=1",
             "network.modes=3")  # fmt: skip
    data = DATA
    first = held = new = "waves.hdf5"
    calibrated, uncalibrated = "data.calibrate=waves.hdf5", "data.calibrate=null"
    data_block = {"file": "waves.hdf5", "calibrate": "waves.hdf5"}
    files = {"losses.png", "lead_times.csv"}
    members = "members"
    along = ("lead_times",)
    loss = "val_loss"
    counted = {"samples": {"train": 10, "val": 24, "test": 24, "calibrate": 24}}
    title = "Committee of 3 neural operators of waves"
    tables = {"What error bars hold", "By step of the roll-out"}
    refused = (
        (["committee.batched=true"], "batched=True is not for operators"),
        (["start={init_from: x}"], "start is of one operator, and a committee has"),
        (["data.calibrate=few.hdf5"], "calibrating needs simulations"),
        (["data.calibrate=no.hdf5"], "no.hdf5"),
        (["network.modes=20"], "choose modes of at most 8"),
    )
    alone = "holds one operator, which has no spread"

    @classmethod
    def write(cls, folder):
        write_operator_data(folder / "waves.hdf5", DATA)
        write_operator_data(folder / "few.hdf5", replace(DATA, test=DATA.test.take([0])))

    def test_init_calibrates_on_the_data_themselves(self, run):
        assert read_run_settings(run.settings, [])[1].data.calibrate == str(run.held)

    def test_predictions_have_error_bars(self, run, committee, capsys):
        found = told(capsys, "predict", run.path, run.new)["predictions"]
        expected = committee.predict(DATA.test.initial, DATA.test.parameters, DATA.test.steps)
        table = expected.frame()
        for name in ("mean", "spread", "half_width", "level"):
            np.testing.assert_allclose([row[name] for row in found], table[name])
        out = run.folder / "fields.npz"
        assert main(["predict", str(run.path), str(run.new), "-o", str(out)]) == 0
        with np.load(out) as arrays:
            assert np.array_equal(arrays["fields"], expected.fields)
            assert np.array_equal(arrays["spread"], expected.fields_std)
            assert np.array_equal(arrays["half_width"], expected.half_width)

    def test_error_bars_are_learned_from_half_and_go_by_step(self, run, committee):
        bars = committee.error_bars(DATA.test)
        assert bars.samples == committee.calibration.blocks == 12
        np.testing.assert_allclose(pd.read_csv(run.path / "coverage.csv")["coverage"], bars.coverage["coverage"])
        assert pd.read_csv(run.path / "lead_times.csv")["step"].tolist() == [1, 2, 3, 4, 5, 6]
        assert pd.read_csv(run.path / "errors.csv")["predictor"].tolist()[0] == "committee"
