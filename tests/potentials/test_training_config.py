"""Settings of the training: the defaults that users know, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from potentia import SGD, Adam, TorchTrainingConfig
from potentia.errors import ConfigError
from potentia.potentials.training_config import LARGE
from potentia.train import LBFGS, AdamW, Cosine, Kalman, LevenbergMarquardt

DEFAULTS = {
    "iterations": 100,
    "method": Adam(mu=0.001, batchsize=32, weight_decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8),
    "testpercent": 10,
    "seed": None,
    "split_seed": None,
    "force_weight": 0.0,
    "force_fraction": 1.0,
    "sampling_policy": "uniform",
    "force_sampling": "random",
    "force_resample_num_epochs": 0,
    "force_min_structures_per_epoch": 1,
    "force_scale_unbiased": False,
    "cache_features": False,
    "cache_feature_max_entries": 1024,
    "cache_neighbors": False,
    "cache_neighbor_max_entries": 512,
    "cache_force_triplets": False,
    "cache_force_triplet_max_entries": 256,
    "cache_persist_dir": None,
    "cache_scope": "all",
    "cache_warmup": False,
    "memory_mode": "gpu",
    "max_energy": None,
    "max_forces": None,
    "save_energies": False,
    "save_forces": False,
    "timing": False,
    "precision": "auto",
    "device": None,
    "atomic_energies": None,
    "normalize_features": True,
    "normalize_energy": True,
    "feature_stats": None,
    "E_shift": None,
    "E_scaling": None,
    "num_workers": 0,
    "prefetch_factor": 2,
    "persistent_workers": True,
    "show_progress": True,
    "show_batch_progress": False,
    "checkpoint_dir": "checkpoints",
    "checkpoint_interval": 1,
    "max_checkpoints": None,
    "save_best": True,
    "use_scheduler": False,
    "scheduler_patience": 10,
    "scheduler_factor": 0.5,
    "scheduler_min_lr": 1e-6,
}
"""Those of ænet, contract 1.4."""
OWN = {
    "split_by": "structure",
    "split_block": 100,
    "split_gap": 0,
    "group_key": "config_type",
    "group_weights": None,
    "stress_weight": 0.0,
    "loss": "rmse",
    "huber_delta": 0.01,
    "force_rows": 8,
    "force_weight_schedule": None,
    "memory_limit": None,
    "output_dir": ".",
    "checkpoint_batches": 0,
    "schedule": None,
    "average": None,
    "early_stopping": None,
    "early_stopping_min_delta": 0.0,
    "max_time": None,
    "stop_on_signal": True,
}
"""What this project adds."""


def test_the_fields_and_defaults_are_those_that_users_know():
    config = TorchTrainingConfig()
    assert {f.name: getattr(config, f.name) for f in dataclasses.fields(config)} == DEFAULTS | OWN
    assert (config.batch_size, config.alpha) == (32, 0.0)


@pytest.mark.parametrize("name", DEFAULTS | OWN)
def test_every_default_can_be_given(name):
    assert TorchTrainingConfig(**{name: (DEFAULTS | OWN)[name]}) == TorchTrainingConfig()


REFUSED = [
    ("iterations must be", "iterations", [-1, 1.5, "10", True, None]),
    ("testpercent must be", "testpercent", [-1, 101, "10", True, math.nan]),
    ("seed must be an integer", "seed", ["1", 1.5, True, -1]),
    ("split_seed must be an integer", "split_seed", ["1", 1.5, False]),
    ("force_weight must be", "force_weight", [-0.1, 1.1, "0.1", True, math.nan]),
    ("stress_weight must be", "stress_weight", [-0.1, 1.1, math.inf]),
    ("force_fraction must be", "force_fraction", [-0.1, 1.1, None]),
    ("sampling_policy must be", "sampling_policy", ["random", None]),
    ("force_sampling must be", "force_sampling", ["all", 1]),
    ("force_resample_num_epochs must be", "force_resample_num_epochs", [-1, 0.5]),
    ("force_min_structures_per_epoch must be", "force_min_structures_per_epoch", [-1, None]),
    ("cache_feature_max_entries must be", "cache_feature_max_entries", [-1, 0.5]),
    ("cache_neighbor_max_entries must be", "cache_neighbor_max_entries", [-1]),
    ("cache_force_triplet_max_entries must be", "cache_force_triplet_max_entries", [-1]),
    ("cache_scope must be", "cache_scope", ["test"]),
    ("memory_mode must be", "memory_mode", ["cuda", None]),
    ("max_energy must be", "max_energy", ["1", math.nan]),
    ("max_forces must be", "max_forces", [[1.0]]),
    ("precision must be", "precision", ["float16", 64]),
    (r"atomic_energies\['O'\] must be", "atomic_energies", [{"Ti": 1.0, "O": math.nan}, {"O": "1"}]),
    ("feature_stats must have the keys 'mean' and 'std'", "feature_stats", [{"mean": np.zeros(3)}]),
    ("E_shift must be", "E_shift", [math.inf, "0"]),
    ("E_scaling must be", "E_scaling", [0.0, -1.0, math.nan]),
    ("num_workers must be", "num_workers", [-1]),
    ("prefetch_factor must be", "prefetch_factor", [0]),
    ("checkpoint_interval must be", "checkpoint_interval", [-1]),
    ("checkpoint_batches must be", "checkpoint_batches", [-1, 1.5]),
    ("max_checkpoints must be", "max_checkpoints", [0, 1.5]),
    ("scheduler_patience must be", "scheduler_patience", [-1]),
    ("scheduler_factor must be", "scheduler_factor", [-0.5, 1.5]),
    ("scheduler_min_lr must be", "scheduler_min_lr", [-1e-6]),
    ("method must be", "method", ["adagrad", Adam, 3]),
    ("device must be the name of a torch device", "device", ["gpu", "cuda:x", 1.5]),
    ("memory_limit must be", "memory_limit", ["much", -1, 1.5, "8XB"]),
    ("split_by must be", "split_by", ["frame"]),
    ("split_block must be", "split_block", [0]),
    ("split_gap must be", "split_gap", [-1]),
    (r"group_weights\['bulk'\] must be", "group_weights", [{"bulk": -1.0}, {"bulk": "2"}]),
    ("loss must be", "loss", ["mse"]),
    ("huber_delta must be", "huber_delta", [0.0, -1.0]),
    ("force_rows must be", "force_rows", [0]),
    ("force_weight_schedule must list pairs", "force_weight_schedule", [[], [(0,)]]),
    ("weight of force_weight_schedule must be", "force_weight_schedule", [[(0, 1.5)]]),
    ("epoch of force_weight_schedule must be", "force_weight_schedule", [[(-1, 0.5)]]),
    ("in ascending order", "force_weight_schedule", [[(3, 0.1), (3, 0.2)]]),
    ("force_weight_schedule needs a force_weight above 0", "force_weight_schedule", [[(0, 0.1)]]),
    ("schedule must be", "schedule", ["cosine", 3]),
    ("average must be", "average", ["ema", 0.9]),
    ("early_stopping must be", "early_stopping", [0, -1]),
    ("early_stopping_min_delta must be", "early_stopping_min_delta", [-1.0]),
    ("duration must be", "max_time", [0, "soon"]),
]


@pytest.mark.parametrize(
    ("message", "name", "value"), [(message, name, value) for message, name, values in REFUSED for value in values]
)
def test_a_value_that_cannot_be_is_refused(message, name, value):
    with pytest.raises(ConfigError, match=message):
        TorchTrainingConfig(**{name: value})


def test_a_refusal_is_also_a_value_error():
    with pytest.raises(ValueError, match=r"testpercent must be .* got 101"):
        TorchTrainingConfig(testpercent=101)


def test_the_weights_of_the_loss_add_up_to_one_at_most():
    TorchTrainingConfig(force_weight=0.5, stress_weight=0.5)
    with pytest.raises(ConfigError, match=r"force_weight \+ stress_weight must be at most 1"):
        TorchTrainingConfig(force_weight=0.6, stress_weight=0.5)


def test_a_misspelt_choice_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'random'"):
        TorchTrainingConfig(force_sampling="randum")


def test_an_unknown_field_is_an_error():
    for name in ("iteration", "force_resample_each_epoch", "epochs_per_force_window"):
        with pytest.raises(TypeError, match=name):
            TorchTrainingConfig(**{name: 1})


@pytest.mark.parametrize("method", [Adam, AdamW, SGD, LBFGS, LevenbergMarquardt, Kalman])
def test_a_method_can_be_named(method):
    assert TorchTrainingConfig(method=method.method_name).method == method()


def test_auto_takes_kalman_for_small_networks_and_adam_for_large_ones():
    config = TorchTrainingConfig(method="auto")
    assert config.method_for(LARGE) == Kalman()
    assert config.method_for(LARGE + 1) == Adam()
    assert dataclasses.replace(config, force_weight=0.1).method_for(100) == Kalman(batchsize=8)
    assert TorchTrainingConfig(method="sgd").method_for(100) == SGD()


def test_two_rules_for_one_rate_are_refused():
    with pytest.raises(ConfigError, match="two rules for one learning rate"):
        TorchTrainingConfig(use_scheduler=True, schedule=Cosine(10))


def test_the_scheduled_weight_of_forces_goes_in_straight_lines():
    config = TorchTrainingConfig(force_weight=0.5, force_weight_schedule=[(2, 0.1), (4, 0.5), (5, 0.2)])
    assert [config.force_weight_at(epoch) for epoch in range(7)] == pytest.approx([0.1, 0.1, 0.1, 0.3, 0.5, 0.2, 0.2])
    assert TorchTrainingConfig(force_weight=0.5).force_weight_at(3) is None


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TorchTrainingConfig().iterations = 5
    assert dataclasses.replace(TorchTrainingConfig(seed=3), iterations=5).seed == 3


def test_numbers_of_numpy_are_numbers():
    config = TorchTrainingConfig(iterations=np.int64(3), force_weight=np.float32(0.5), testpercent=np.int32(20))
    assert (config.iterations, config.alpha) == (3, 0.5)


def test_methods_know_their_name_and_their_settings():
    assert Adam().to_params_dict() == {
        "mu": 0.001, "batchsize": 32, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
    }  # fmt: skip
    assert SGD().to_params_dict() == {"lr": 0.01, "batchsize": 32, "momentum": 0.0, "weight_decay": 0.0}
    assert (Adam.method_name, SGD.method_name) == ("adam", "sgd")
    assert TorchTrainingConfig(method=SGD(batchsize=7)).batch_size == 7
