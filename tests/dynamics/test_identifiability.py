"""What data can tell: null directions that are known, their gauge, and errors that noise leaves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from dynamics.known_drives import CAR, EXPLOSIVE, drive, explosive_data, place_of
from potentia.dynamics import get_model_spec
from potentia.dynamics.identifiability import IdentifiabilitySettings, identifiability
from potentia.dynamics.polish import FitSettings, fit_constant
from potentia.errors import ConfigError, DataError

TRACK, AUGMENTED = get_model_spec("singletrack"), get_model_spec("singletrack-augmented")
GAINS = {"a_d": 1.1, "b_d": 0.01, "a_v": 0.95, "b_v": 0.2, "a_r": 0.9, "b_r": 0.1, "a_b": 1.05, "b_b": -0.02}


def analytic(spec, *changes):
    """Directions as powers of one factor, by the names of what changes."""
    rows = np.zeros((len(changes), spec.vector_size))
    for row, change in zip(rows, changes, strict=True):
        for name, power in change.items():
            row[place_of(spec, name)] = power
    return rows


TYRES, INERTIA = {"mu": -1, "C_Sf": 1, "C_Sr": 1}, {"m": 1, "I": 1}


def test_a_single_track_has_exactly_two_null_directions():
    report = identifiability(TRACK, drive(TRACK, CAR, windows=20, horizon=6), CAR)
    assert report.rank == 6
    angles = subspace_angles(report.directions[6:].T, analytic(TRACK, TYRES, INERTIA).T)
    assert angles.max() < 1e-3
    assert report.singular_values[6:].max() < 1e-9 * report.singular_values[0]
    assert report.identifiable == {
        **dict.fromkeys(("mu", "C_Sf", "C_Sr", "m", "I"), False),
        **dict.fromkeys(("lf", "lr", "h"), True),
    }
    assert report.gauge == ("C_Sf", "m")
    assert report.combinations() == ["mu·c, C_Sf·c^-1, C_Sr·c^-1 has no effect", "m·c, I·c has no effect"]


def test_gains_of_the_augmented_one_hide_a_third():
    params = {**CAR, **GAINS}
    report = identifiability(AUGMENTED, drive(AUGMENTED, params, windows=24, horizon=6), params)
    gain = {"a_r": 1, "I": 1}  # a_r times m/I stays
    angles = subspace_angles(report.directions[13:].T, analytic(AUGMENTED, TYRES, INERTIA, gain).T)
    assert report.rank == 13
    assert angles.max() < 1e-3
    assert report.gauge == ("C_Sf", "m", "a_r")


def test_the_suggested_gauge_takes_all_null_directions_away():
    params = {**CAR, **GAINS}
    data = drive(AUGMENTED, params, windows=24, horizon=6)
    gauge = identifiability(AUGMENTED, data, params).gauge
    fixed = AUGMENTED.with_fixed({key: params[key] for key in gauge})
    report = identifiability(fixed, data, params)
    assert report.rank == fixed.vector_size
    assert all(report.identifiable.values())
    assert report.gauge == ()


def test_errors_are_those_of_a_fit():
    """The bound of Cramér and Rao is what a fit of the same windows with the same noise reports."""
    spec = TRACK.gauge_fixed()
    true = {**CAR, "C_Sf": 4.718, "m": 3.74}
    data = drive(spec, {key: true[key] for key in spec.param_keys}, windows=16, horizon=6)
    noise = (0.01,) * 7
    report = identifiability(spec, data, true, IdentifiabilitySettings(noise=noise))
    fit = fit_constant(TRACK, data, FitSettings(noise=noise))
    np.testing.assert_allclose(report.errors, fit.errors / fit.values, rtol=1e-6)


def test_noise_decides_what_is_known_well_enough():
    data = drive(TRACK, CAR, windows=16, horizon=6)
    quiet, loud = (identifiability(TRACK, data, CAR, IdentifiabilitySettings(noise=(s,) * 7)) for s in (1e-4, 10.0))
    assert quiet.identifiable["lf"]
    assert not loud.identifiable["lf"]
    assert loud.errors[3] == pytest.approx(1e5 * quiet.errors[3], rel=1e-6)


def test_parameters_of_each_window_may_differ():
    data = drive(TRACK, CAR, windows=12, horizon=5)
    own = {**CAR, "mu": np.linspace(0.5, 1.0, 12)}
    assert identifiability(TRACK, data, own).rank == 6
    with pytest.raises(DataError, match=r"parameter 'mu' must have shape \(\) or \(12,\), got \(5,\)"):
        identifiability(TRACK, data, {**CAR, "mu": np.ones(5)})


def test_frames_json_and_text_say_the_same(tmp_path):
    report = identifiability(TRACK, drive(TRACK, CAR, windows=40, horizon=4), CAR, IdentifiabilitySettings(windows=16))
    assert report.windows == 16
    report.write(tmp_path / "identifiability.json")
    read = json.loads((tmp_path / "identifiability.json").read_text())
    assert read["rank"] == report.rank
    assert read["errors"]["mu"] is None
    assert read["null_directions"][1] == pytest.approx({"m": 1.0, "I": 1.0})
    frame = report.frame()
    assert frame.loc["mu", "error"] == np.inf
    assert frame.loc["lf", "null_part"] < 1e-6
    assert report.direction_frame()["has_effect"].sum() == 6
    text = report.text()
    assert "16 windows determine 6 of 8 directions" in text
    assert "hold C_Sf, m to make the rest unique" in text


def test_what_cannot_be():
    data = drive(TRACK, CAR, windows=4, horizon=3)
    with pytest.raises(ConfigError, match="parameter 'I' of model 'singletrack' is missing"):
        identifiability(TRACK, data, {key: CAR[key] for key in CAR if key != "I"})
    with pytest.raises(ConfigError, match="noise must be one number for each of the states x, y"):
        identifiability(TRACK, data, CAR, IdentifiabilitySettings(noise=(0.1,)))
    with pytest.raises(DataError, match="roll-outs of model 'explosive' diverge with these parameters"):
        identifiability(EXPLOSIVE, explosive_data(), {"k": 8.0})
