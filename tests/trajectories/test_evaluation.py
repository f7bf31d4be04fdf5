"""Evaluation of trajectories: metrics with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from potentia.errors import ConfigError, DataError
from potentia.trajectories.evaluation import (
    ErrorScale,
    EvaluationSettings,
    Forward,
    accuracy,
    compute_metrics,
    gradients,
    modality_errors,
    relative_errors,
    roll_out,
    roll_outs,
    speed_ups,
    time_predictions,
    time_solver,
)
from potentia.trajectories.evaluation.summaries import quantiles
from trajectories.known_flows import Flow, Hold, Ramp, data, of_states, part
from trajectories.scales import DEFAULTS, DEX, by_name

LINEAR = ErrorScale(log10=False)


# ---------------------------------------------------------------------------------------------------------- accuracy


def test_twice_the_target_has_the_known_errors():
    target = of_states((np.arange(1.0, 4.0) ** 2).reshape(1, 3, 1))
    found = by_name(accuracy("twice", 2 * target.states, target, DEFAULTS).metrics)
    assert found["root_mean_squared_error_real"] == pytest.approx(np.sqrt(98 / 3))
    assert found["mean_absolute_error_real"] == pytest.approx(14 / 3)
    assert found["median_absolute_error_real"] == 4.0
    assert found["mean_relative_error"] == found["median_relative_error"] == 1.0
    assert found["root_mean_squared_error_log"] == pytest.approx(np.log10(2))
    assert found["percentile_absolute_error_log"] == pytest.approx(np.log10(2))
    assert found["mean_absolute_error_real of q0"] == pytest.approx(14 / 3)


def test_states_that_are_not_positive_are_compared_linearly_and_nothing_is_in_dex():
    target = of_states([[[-1.0], [0.0], [2.0]]])
    found = accuracy("off", target.states + 0.5, target, DEFAULTS)
    assert not [metric for metric in found.metrics if metric.unit == "dex" or metric.metric.endswith("_log")]
    assert set(found.over_time["kind"]) == {"real", "relative"}
    assert ErrorScale.of(target).unit == "unit of the data"
    with pytest.raises(DataError, match="log10 of q0 does not exist: 2 of its values are not above zero, the lowest"):
        accuracy("off", target.states, target, EvaluationSettings(log10=True))


def test_a_relative_error_of_nothing_is_left_out_and_counted():
    target = of_states([[[0.0], [2.0]]])
    found = by_name(accuracy("off", np.array([[[0.0], [3.0]]]), target, DEFAULTS).metrics)
    assert found["mean_relative_error"] == 0.5
    assert found["relative_error_undefined"] == 1
    assert relative_errors(np.array([1.0]), np.array([0.0]), threshold=4.0) == [0.25]


def test_a_prediction_without_logarithm_counts_as_the_smallest_state_and_is_counted():
    target = of_states([[[1.0], [100.0]]])
    found = by_name(accuracy("off", np.array([[[1.0], [-5.0]]]), target, DEFAULTS).metrics)
    assert found["mean_absolute_error_log"] == pytest.approx(1.0)
    assert found["raised_to_tolerance_log"] == 1


def test_a_prediction_that_is_not_finite_is_an_infinite_error():
    target = of_states([[[1.0], [1.0], [1.0], [1.0]]])
    found = by_name(accuracy("nan", np.array([[[1.0], [np.nan], [1.0], [2.0]]]), target, DEFAULTS).metrics)
    assert found["not_finite"] == 1
    assert found["mean_absolute_error_real"] == np.inf
    assert found["median_absolute_error_real"] == 0.5


def test_errors_before_and_after_the_end_of_training_are_reported_apart():
    target = of_states(np.ones((2, 4, 1)))
    prediction = np.ones((2, 4, 1))
    prediction[:, 2:] = 3.0
    found = by_name(accuracy("late", prediction, target, DEFAULTS, window=1.0).metrics)
    assert found["mean_absolute_error_real_inside"] == 0.0
    assert found["mean_absolute_error_real_outside"] == 2.0
    assert found["mean_absolute_error_real"] == 1.0
    assert "mean_absolute_error_real_inside" not in by_name(accuracy("late", prediction, target, DEFAULTS).metrics)


def test_tables_by_time_and_quantity_hold_the_whole():
    truth = part(5, np.linspace(0, 2, 7))
    prediction = truth.states + np.random.default_rng(0).normal(size=truth.states.shape)
    found = accuracy("noise", prediction, truth, EvaluationSettings(error_percentile=90))
    whole = by_name(found.metrics)
    for table in (found.over_time, found.by_quantity):
        real = table[table["kind"] == "real"]
        assert (real["mean"] * real["n"]).sum() / real["n"].sum() == pytest.approx(whole["mean_absolute_error_real"])
        assert np.sqrt((real["RMSE"] ** 2).mean()) == pytest.approx(whole["root_mean_squared_error_real"])
    sizes = found.distribution[found.distribution["kind"] == "real"].set_index("share")["size"]
    assert sizes[0.5] == pytest.approx(whole["median_absolute_error_real"])
    assert sizes[1.0] == np.abs(prediction - truth.states).max()


def test_quantiles_are_those_of_numpy_and_leave_out_what_does_not_exist():
    values = np.random.default_rng(0).normal(size=(3, 11))
    levels = [0.0, 0.13, 0.5, 0.99, 1.0]
    assert quantiles(values, levels) == pytest.approx(np.quantile(values, levels, axis=1).T)
    assert quantiles(np.array([[1.0, np.nan, 3.0]]), [0.5])[0, 0] == 2.0
    assert np.isnan(quantiles(np.array([[np.nan]]), [0.5])).all()


@pytest.mark.slow
def test_quantiles_of_more_entries_than_two_to_the_24():
    values = np.arange(2**24 + 2, dtype=float)[None]
    assert quantiles(values, [0.5])[0, 0] == (2**24 + 1) / 2


# --------------------------------------------------------------------------------------------------------- gradients


def test_slopes_are_per_time_so_the_grid_makes_no_difference():
    times = np.array([0.0, 0.5, 2.0, 3.0, 7.0])
    truth = of_states(np.stack([2 * times, -3 * times], axis=1)[None], times, labels=("up", "down"))
    found = gradients("half", 0.5 * truth.states, truth, LINEAR)
    metrics = by_name(found.metrics)
    assert metrics["largest_slope"] == pytest.approx(3.0)
    assert metrics["slope_correlation"] == pytest.approx(1.0)
    assert metrics["slope_root_mean_squared_error"] == pytest.approx(np.sqrt((1 + 1.5**2) / 2))
    assert found.by_quantity["quantity"].tolist() == ["up", "down"]
    assert np.isnan(metrics["up"])  # a constant slope is correlated with nothing


def test_errors_where_states_change_quickly_are_correlated_with_slopes():
    times = np.linspace(0, 1, 50)
    truth = of_states((times**3).reshape(1, -1, 1), times)
    found = by_name(gradients("late", truth.states + (times**2).reshape(1, -1, 1), truth, LINEAR).metrics)
    assert found["q0"] == found["avg_correlation"] > 0.99


# --------------------------------------------------------------------------------------------------------- roll-outs


@pytest.mark.parametrize("times", [np.linspace(0, 3, 101), 2.0 + np.linspace(0, 3, 23), np.geomspace(1e-2, 10, 40)])
@pytest.mark.parametrize("parameters", [False, True])
def test_the_exact_flow_rolled_out_is_exact(times, parameters):
    truth = part(4, times, parameters=parameters)
    found = roll_outs("exact", Flow(start=times[0]), truth, DEX, EvaluationSettings(iterative=True))
    metrics = by_name(found.metrics)
    assert metrics["mean_absolute_error_log_all_offsets"] < 1e-12
    assert metrics["percentile_absolute_error_log"] < 1e-12
    assert metrics["offsets"] == 10


def test_a_unit_ramp_in_chunks_of_ten_does_not_lag():
    times = np.linspace(0, 2, 101)
    truth = of_states(np.linspace(-1, 1, 101).reshape(1, -1, 1), times)
    metrics = by_name(roll_outs("ramp", Ramp(), truth, LINEAR, DEFAULTS).metrics)
    assert metrics["mean_absolute_error_real"] < 1e-12


def test_the_root_of_the_mean_square_has_a_root():
    truth = of_states(np.zeros((1, 3, 1)))
    metrics = by_name(roll_outs("ramp", Ramp(), truth, LINEAR, EvaluationSettings(iterative_interval=2)).metrics)
    assert metrics["root_mean_squared_error_real"] == pytest.approx(np.sqrt(5 / 2))  # errors 1 and 2
    assert metrics["mean_squared_error"] == pytest.approx(5 / 2)


def test_each_chunk_begins_from_what_was_predicted():
    truth = of_states(np.zeros((1, 6, 1)))
    assert roll_out(Ramp(), truth, interval=2)[0, :, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert roll_out(Hold(), of_states(np.arange(6.0).reshape(1, 6, 1)), 2, start=3)[0, :, 0].tolist() == [3, 3, 3]


def test_every_offset_is_rolled_out():
    found = roll_outs("slow", Flow(0.9), part(3, np.linspace(0, 3, 12)), DEX, EvaluationSettings(iterative_interval=4))
    assert found.by_offset["offset"].tolist() == [0, 1, 2, 3]
    assert found.by_offset["n"].tolist() == [3 * 3 * (11 - k) for k in range(4)]


def test_a_trajectory_that_is_lost_ends_and_the_others_go_on():
    class Breaks(Hold):
        def predict(self, initial_states, times, parameters=None):
            assert np.isfinite(initial_states).all()
            found = super().predict(initial_states, times)
            found[initial_states[:, 0] == 2.0, 1:] = np.nan
            return found

    truth = of_states(np.array([1.0, 2.0])[:, None, None] * np.ones((2, 7, 1)))
    found = roll_outs("breaks", Breaks(), truth, DEX, EvaluationSettings(iterative_interval=3))
    assert np.isfinite(found.states[0]).all()
    assert by_name(found.metrics)["not_finite"] == 6
    assert by_name(found.metrics)["mean_absolute_error_log"] == np.inf


# ------------------------------------------------------------------------------------------------------------ timing


def test_all_are_timed_on_the_same_trajectories_in_batches_of_every_size():
    class Counts(Hold):
        def __init__(self):
            self.calls = []

        def predict(self, initial_states, times, parameters=None):
            self.calls.append((len(initial_states), parameters[:, 0].tolist()))
            return super().predict(initial_states, times)

    truth = part(3, np.linspace(0, 1, 5), parameters=True)
    one, other = Counts(), Counts()
    settings = EvaluationSettings(timing_batch_sizes=(1, 7), timing_runs=2)
    table = time_predictions("one", one, truth, settings)
    time_predictions("other", other, truth, settings)
    assert one.calls == other.calls
    assert [size for size, _ in one.calls] == [1, 1, 1, 3, 3, 3, 7, 7, 7]  # the first of each does not count
    assert table["batch_size"].tolist() == [1, 3, 7]
    assert (table["per_trajectory"] == table["median"] / table["batch_size"]).all()
    assert (table["low"] <= table["median"]).all()
    assert (table["threads"] == torch.get_num_threads()).all()


def test_a_solver_is_timed_with_its_error_and_beaten_only_at_equal_accuracy():
    truth = part(3, np.linspace(0, 1, 5))
    exact, rough = Flow(), Flow(0.5)
    solvers = {
        name: time_solver(name, lambda x, t, p, flow=flow: flow.predict(x[None], t)[0], truth, DEX, DEFAULTS)
        for name, flow in {"exact": exact, "rough": rough}.items()
    }
    assert solvers["exact"]["error"].item() < 1e-12
    assert solvers["rough"]["error"].item() > 0.01
    table = time_predictions("good", exact, truth, EvaluationSettings(timing_batch_sizes=(1,), timing_runs=2))
    found = by_name(speed_ups(table, solvers["rough"], {"good": 1e-9}))
    assert "speed_up over rough (batch 1)" in found
    assert "speed_up_at_equal_accuracy" not in found
    found = by_name(speed_ups(table, solvers["exact"], {"good": 1e-9}))
    expected = solvers["exact"]["per_trajectory"].item() / table["per_trajectory"].min()
    assert found["speed_up_at_equal_accuracy"] == pytest.approx(expected)
    with pytest.raises(DataError, match=r"solver bad must return \(times, quantities\) = \(5, 3\), got \(3,\)"):
        time_solver("bad", lambda x, t, p: x, truth, DEX, DEFAULTS)


# ----------------------------------------------------------------------------------------------------------- compute


def test_parameters_bytes_and_operations_of_a_linear_layer_are_counted():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 5)

        def forward(self, initial, times, parameters):
            return torch.tanh(self.layer(initial))

    forward = Forward(Net(), (torch.ones(7, 3), torch.ones(1), None))
    found = by_name(compute_metrics("net", forward))
    assert found["num_trainable_parameters"] == 20
    assert found["model_memory"] == 80
    assert found["flops"] == 7 * 3 * 5 * 2
    assert found["flops_per_trajectory"] == 3 * 5 * 2
    assert found["forward_memory_nograd"] == 2 * 7 * 5 * 4  # input and output of tanh live at once
    assert found["forward_memory"] >= found["forward_memory_nograd"]
    assert found["backward_memory"] > found["forward_memory"]


# -------------------------------------------------------------------------------------------------------- modalities


def test_errors_inside_the_window_of_training_and_beyond_it_are_told_apart():
    known = data(np.linspace(0, 3, 11))

    class ExactUntil:
        def __init__(self, cutoff):
            self.cutoff = cutoff

        def predict(self, initial_states, times, parameters=None):
            found = Flow().predict(initial_states, times)
            found[:, self.cutoff :] *= 10
            return found

    series = {"flow": {4: ExactUntil(4), 8: ExactUntil(8)}}
    main = {"flow": known.val.states}
    found = modality_errors("extrapolation", series, main, known, DEX, DEFAULTS)
    metrics = by_name(found.metrics)
    assert metrics["cutoff 4 - MAE_log_inside"] == pytest.approx(0)
    assert metrics["cutoff 4 - MAE_log_outside"] == pytest.approx(1)
    assert metrics["cutoff 8 - MAE_log"] == pytest.approx(3 / 11)
    assert metrics["cutoff 11 - MAE_log"] == 0
    assert "cutoff 11 - MAE_log_outside" not in metrics
    curve = found.over_time.query("value == 4")
    assert curve["mean"].to_numpy() == pytest.approx([0] * 4 + [1] * 7)


def test_steps_that_were_kept_are_told_from_those_between():
    known = data(np.linspace(0, 3, 11))

    class ExactEvery:
        def predict(self, initial_states, times, parameters=None):
            found = 10 * Flow().predict(initial_states, times)
            found[:, ::4] /= 10
            return found

    series = {"flow": {4: ExactEvery()}}
    metrics = by_name(modality_errors("interpolation", series, {}, known, DEX, DEFAULTS).metrics)
    assert metrics["interval 4 - MAE_log_kept"] == pytest.approx(0)
    assert metrics["interval 4 - MAE_log_between"] == pytest.approx(1)


def test_sparse_counts_the_trajectories_that_were_trained_on():
    series = {"flow": {2: Flow(), 3: Flow()}}
    known = data(train=7)
    found = modality_errors(
        "sparse", series, {"flow": known.val.states, "hold": known.val.states}, known, DEX, DEFAULTS
    )
    metrics = {metric.metric: metric.value for metric in found.metrics if metric.surrogate == "flow"}
    assert [metrics[f"factor {k} - n_train_samples"] for k in (1, 2, 3)] == [7, 4, 3]
    hold = found.table[found.table["surrogate"] == "hold"]
    assert hold["x"].tolist() == [7, 4, 3]  # a baseline stands beside every value


def test_a_batch_of_trajectories_has_all_their_points():
    series = {"points": {64: Flow()}, "whole": {4: Flow()}}
    known = data(np.linspace(0, 1, 11))
    found = modality_errors("batch_scaling", series, {}, known, DEX, DEFAULTS, trajectory_batches=frozenset({"whole"}))
    metrics = by_name(found.metrics)
    assert metrics["batch_size 64 - batch_elements"] == 64
    assert metrics["batch_size 4 - batch_elements"] == 44


# ---------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iterative_interval": 0}, "iterative_interval must be an integer of at least 1"),
        ({"iterative_offsets": 11}, "iterative_offsets must be an integer between 1 and 10"),
        ({"error_percentile": 101}, "error_percentile must be a finite number between"),
        ({"tolerance": 0.0}, "tolerance must be above 0"),
        ({"timing_batch_sizes": (0,)}, "timing_batch_sizes must be an integer of at least 1"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationSettings(**settings)
