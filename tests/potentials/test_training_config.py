"""Settings of the training: the defaults that users know, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from potentia import SGD, Adam, TorchTrainingConfig
from potentia.errors import ConfigError

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
OWN = {"stress_weight": 0.0, "checkpoint_batches": 0}
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
    ("method must be", "method", ["adam", Adam]),
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


LATER = {
    "sampling_policy": "energy_weighted",
    "cache_feature_max_entries": 10,
    "cache_neighbor_max_entries": 10,
    "cache_force_triplet_max_entries": 10,
    "cache_persist_dir": "cache",
    "cache_scope": "train",
    "num_workers": 2,
    "prefetch_factor": 4,
    "save_energies": True,
    "save_forces": True,
}


@pytest.mark.parametrize("name", LATER)
def test_what_is_for_later_says_so_and_names_itself(name):
    with pytest.raises(NotImplementedError, match=rf"{name}={LATER[name]!r} .* leave {name} out"):
        TorchTrainingConfig(**{name: LATER[name]})


def test_mixed_memory_is_for_later():
    with pytest.raises(NotImplementedError, match="reserved for a future real mixed-memory execution mode"):
        TorchTrainingConfig(memory_mode="mixed")


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
