"""Metrics of roll-outs: known answers, exact sums, diverged roll-outs, spread of parameters, scenarios and figures."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from dynamics.known_drives import CAR, drive
from potentia.dynamics import FeatureDataset, get_model_spec
from potentia.dynamics.evaluation import (
    WindowErrors,
    choose_scenarios,
    evaluate_rollouts,
    parameter_spread,
    scenario_figures,
    spread_by_group,
)
from potentia.errors import ConfigError, DataError

UNICYCLE, TRACK, TANKS = (get_model_spec(name) for name in ("unicycle", "singletrack", "cascaded-tanks"))


def still(windows=4, steps=5, groups=None, spec=UNICYCLE):
    """Windows in which nothing moves."""
    shape = (windows, steps)
    return FeatureDataset(
        np.zeros((windows, len(spec.states))),
        np.zeros((*shape, len(spec.controls))),
        np.zeros((*shape, len(spec.states))),
        np.array(0.1),
        spec.state_names,
        spec.control_names,
        group=groups,
        group_names=("a", "b"),
    )


def value(evaluation, metric, name="one"):
    table = evaluation.metrics
    return float(table[(table["metric"] == metric) & (table["surrogate"] == name)]["value"].iloc[0])


def test_known_answers():
    """The place is off by (3, 4) · step in every window, the heading by 2π plus one degree."""
    data = still()
    predicted = np.zeros((4, 5, 4))
    steps = np.arange(1, 6)
    predicted[..., 0], predicted[..., 1] = 3.0 * steps, 4.0 * steps
    predicted[..., 2] = 2 * np.pi + np.radians(1.0)
    found = evaluate_rollouts(UNICYCLE, data, {"one": predicted})
    assert value(found, "ADE") == pytest.approx(15.0)
    assert value(found, "FDE") == pytest.approx(25.0)
    assert value(found, "heading error") == pytest.approx(1.0)
    assert value(found, "RMSE of x") == pytest.approx(3 * np.sqrt(11))
    assert value(found, "RMSE of x, step 1") == pytest.approx(3.0)
    assert value(found, "RMSE of x, step 2") == pytest.approx(6.0)
    assert value(found, "RMSE of x, step 5") == pytest.approx(15.0)
    assert value(found, "RMSE of v") == 0.0
    np.testing.assert_allclose(found.over_time["distance"], 5.0 * steps)
    np.testing.assert_allclose(found.over_time["time"], 0.1 * steps)


def test_sums_are_over_steps_that_count_and_the_last_of_them_is_the_end():
    data = still(windows=2)
    mask = np.array([[True, True, False, False, False], [True] * 5])
    predicted = np.full((2, 5, 4), np.nan)
    predicted[0, :2], predicted[1] = 0.0, 0.0
    predicted[0, :2, 0], predicted[1, :, 0] = (1.0, 2.0), 1.0
    found = evaluate_rollouts(UNICYCLE, replace(data, mask=mask), {"one": predicted})
    assert value(found, "ADE") == pytest.approx((1 + 2 + 5 * 1) / 7)  # not the mean of the windows' means
    assert value(found, "FDE") == pytest.approx((2 + 1) / 2)
    assert value(found, "diverged windows") == 0
    np.testing.assert_allclose(found.by_window["one"], [1.5, 1.0])


def test_a_diverged_roll_out_makes_no_mean_better():
    predicted = np.zeros((4, 5, 4))
    predicted[1, 3:] = np.nan
    found = evaluate_rollouts(UNICYCLE, still(), {"one": predicted})
    assert value(found, "diverged windows") == 1
    assert value(found, "ADE") == np.inf
    assert value(found, "ADE, median window") == 0.0
    assert value(found, "RMSE of v") == np.inf


def test_logs_are_parts_of_the_whole():
    data = still(groups=np.array([0, 0, 0, 1]))
    predicted = np.zeros((4, 5, 4))
    predicted[:3, :, 0], predicted[3, :, 0] = 1.0, 5.0
    found = evaluate_rollouts(UNICYCLE, data, {"one": predicted})
    assert found.by_group.set_index("group")["ade"].to_dict() == {"a": 1.0, "b": 5.0}
    weights, parts = found.by_group["windows"], found.by_group["ade"]
    assert value(found, "ADE") == pytest.approx((weights * parts).sum() / weights.sum())


def test_skill_is_the_part_of_a_baselines_error_that_is_avoided():
    one, base = np.zeros((4, 5, 4)), np.zeros((4, 5, 4))
    one[..., 0], base[..., 0] = 0.25, 1.0
    found = evaluate_rollouts(UNICYCLE, still(), {"one": one, "base": base}, baselines=["base"])
    assert value(found, "better than base") == pytest.approx(0.75)
    assert value(found, "better than base", "base") == 0.0
    assert value(found, "error over that of base") == pytest.approx(0.25)
    assert "* 0.25 × *" in found.text()
    assert "ADE (m)" in found.table().index
    assert "*" not in found.table().loc["diverged windows"].str.cat()  # equally many: none is the best


def test_nothing_is_compared_with_a_baseline_that_is_exact_but_for_rounding():
    """A fit to data without noise is right to 1e-13, and a network that is right to 1e-3 is no 1e10 times worse."""
    network, fit, default = (np.full((4, 5, 4), off) for off in (1e-3, 1e-13, 1e-1))
    found = evaluate_rollouts(
        UNICYCLE, still(), {"network": network, "fit": fit, "default": default}, baselines=["fit", "default"]
    )
    assert np.isnan(value(found, "better than fit", "network"))
    assert np.isnan(value(found, "error over that of fit", "network"))
    assert value(found, "error over that of default", "network") == pytest.approx(0.01)
    table = found.table(mark=False)
    assert "error over that of fit" not in table.index  # nobody has one
    assert table.loc["error over that of default"].tolist() == ["0.01 ×", "1e-12 ×", "1 ×"]


def test_models_without_a_place_are_measured_by_how_far_their_states_move():
    data = still(spec=TANKS)
    found = evaluate_rollouts(TANKS, data, {"one": np.full((4, 5, 2), 0.5)}, scales=np.array([0.5, 1.0]))
    assert value(found, "scaled error") == pytest.approx(0.75)
    assert "ADE" not in set(found.metrics["metric"])


def test_shapes_and_names_that_do_not_fit():
    with pytest.raises(DataError, match=r"what 'one' predicts must have shape .* = \(4, 5, 4\), got \(4, 5, 3\)"):
        WindowErrors.of(UNICYCLE, still(), np.zeros((4, 5, 3)), "one")
    with pytest.raises(ConfigError, match="baselines names 'bsae', which predicts nothing; did you mean 'base'"):
        evaluate_rollouts(UNICYCLE, still(), {"base": np.zeros((4, 5, 4))}, baselines=["bsae"])


# ------------------------------------------------------------------------------------------------------ parameters


def spread_params(windows=100):
    params = {key: np.full(windows, float(default)) for key, default in TRACK.default_params.items()}
    params["mu"] = np.where(np.arange(windows) < 50, 0.4, 0.8)
    params["lf"] = np.where(np.arange(windows) % 4 == 0, 0.2, 0.16)  # 0.2 is its upper bound
    return params


def test_spread_is_that_within_logs_and_between_them():
    groups = (np.arange(100) >= 50).astype(np.int64)
    table = parameter_spread(TRACK, spread_params(), groups)
    assert table.loc["mu", "std_between"] == pytest.approx(0.2)
    assert table.loc["mu", "std_within"] == pytest.approx(0.0, abs=1e-12)
    assert table.loc["lf", "std_within"] == pytest.approx(table.loc["lf", "std"], rel=1e-2)
    np.testing.assert_allclose(table["std"] ** 2, table["std_within"] ** 2 + table["std_between"] ** 2, atol=1e-12)
    assert table.loc["lf", "at_upper"] == pytest.approx(0.25)
    assert table.loc["lf", "at_lower"] == 0.0
    by_group = spread_by_group(TRACK, spread_params(), groups, ("dry", "wet")).set_index(["group", "parameter"])
    assert by_group.loc[("wet", "mu"), "mean"] == pytest.approx(0.8)
    with pytest.raises(DataError, match="each parameter must have a row for each window"):
        parameter_spread(TRACK, TRACK.default_params)


# -------------------------------------------------------------------------------------------- scenarios and figures


def test_scenarios_are_best_median_worst_and_one_of_each_kind_of_driving():
    data = drive(TRACK, CAR, windows=41, horizon=4)
    errors = np.random.default_rng(0).permutation(41).astype(float)
    chosen = choose_scenarios(TRACK, data, errors, 6)
    assert [one.name for one in chosen] == ["best", "median", "worst", "calm", "lively", "hard"]
    assert [errors[one.window] for one in chosen[:3]] == [0.0, 20.0, 40.0]
    assert len({one.window for one in chosen}) == 6
    names = [one.name for one in choose_scenarios(TANKS, still(9, spec=TANKS), np.arange(9.0), 5)]
    assert names == ["best", "quantile-25", "median", "quantile-75", "worst"]
    assert [one.name for one in choose_scenarios(TRACK, data, errors, 1)] == ["median"]


def test_residuals_have_their_power_of_ten_beside_the_unit_and_nothing_on_the_label():
    data = drive(TRACK, CAR, windows=12, horizon=5)
    near = data.targets + [1.0, 1.0, 1e-16, 0.1, 0.1, 1e5, 1e-3]
    figure = dict(scenario_figures(TRACK, data, {"network": near}, count=1))["residuals"]
    figure.draw_without_rendering()
    labels = {axes.get_title() or axes.texts[-1].get_text(): axes.get_xlabel() for axes in figure.axes if axes.axison}
    assert all(not axes.xaxis.get_offset_text().get_text() for axes in figure.axes)
    assert labels["x"] == "predicted − measured (m)"
    assert labels["psi_dot"] == "predicted − measured ($10^{5}$ rad/s)"
    assert labels["beta"] == "predicted − measured ($10^{-3}$ rad)"


def test_errors_over_time_show_what_can_be_compared():
    data = drive(TRACK, CAR, windows=12, horizon=5)
    predictions = {"network": data.targets * 1.01, "near": data.targets * 1.02, "far": data.targets * 3}
    figure = dict(scenario_figures(TRACK, data, predictions, baselines=["near", "far"], count=1))["errors_over_time"]
    errors = evaluate_rollouts(TRACK, data, predictions).over_time.groupby("prediction")["distance"].max()
    low, high = figure.axes[0].get_ylim()
    assert errors["near"] < high < errors["far"]
    assert low < 0


def test_figures_are_not_blank_and_there_is_one_for_each_scenario():
    data = drive(TRACK, CAR, windows=12, horizon=5)
    params = {**{key: np.full(12, value) for key, value in CAR.items()}, "mu": np.linspace(0.5, 0.9, 12)}
    predictions = {"network": data.targets * 1.02, "constant turn": data.targets * 1.3}
    figures = scenario_figures(TRACK, data, predictions, params, baselines=["constant turn"], count=4)
    assert [name for name, _ in figures] == [
        *("scenario_1_best", "scenario_2_median", "scenario_3_worst", "scenario_4_any"),
        *("errors_over_time", "residuals", "parameters"),
    ]
    for _, figure in (figures[0], figures[-1]):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=40)
        buffer.seek(0)
        assert imread(buffer)[..., :3].std() > 0.02
    with pytest.raises(ConfigError, match="needs a prediction that is no baseline"):
        scenario_figures(TRACK, data, predictions, baselines=list(predictions))
