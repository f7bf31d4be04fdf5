"""The flat settings of a training of a parameter network."""

from __future__ import annotations

import json

import pytest

from potentia.config import from_dict, to_dict
from potentia.dynamics import DynamicsTrainingConfig
from potentia.errors import ConfigError
from potentia.train import SGD, AdamW, Cosine, Plateau


def test_defaults_are_those_of_the_page():
    config = DynamicsTrainingConfig()
    assert (config.epochs, config.batch_size, config.learning_rate, config.weight_decay) == (200, 256, 1e-3, 1e-4)
    assert config.method() == AdamW(mu=1e-3, batchsize=256, weight_decay=1e-4, clip_norm=1.0)
    assert config.schedule() == Plateau(10, 0.5, 1e-5)


def test_there_and_back_through_json():
    config = DynamicsTrainingConfig(
        curriculum=((10, 4), (20, 8)), prior={"m": (3.7, 0.2)}, optimizer=SGD(0.1), scheduler=Cosine(10), loss="yaw-l1"
    )
    assert from_dict(DynamicsTrainingConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_the_two_ways_to_say_a_curriculum_agree():
    one = DynamicsTrainingConfig(curriculum_batches=30, curriculum_timesteps=5)
    other = DynamicsTrainingConfig(curriculum=((30, 5),))
    for batch in (0, 29, 30, 1000):
        assert one.steps_at(batch, 20) == other.steps_at(batch, 20) == (5 if batch < 30 else 20)
    assert one.steps_at(0, 3) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"learning_rate": 0}, "learning_rate must be greater than 0"),
        ({"scheduler": "plato"}, "did you mean 'plateau'"),
        ({"lr_factor": 1.5}, "factor must be between 0 and 1"),
        ({"loss": "scaeld"}, "did you mean 'scaled'"),
        ({"curriculum": ((10,),)}, r"a stage must be \(batches, steps\), got \(10,\)"),
        ({"curriculum": ((10, 0),)}, "curriculum: steps must be an integer of at least 1"),
        ({"curriculum_batches": 10}, "belong together"),
        ({"curriculum": ((1, 1),), "curriculum_batches": 1, "curriculum_timesteps": 1}, "leave these out"),
        ({"prior": {"m": (1.0, 0.0)}}, "standard deviation of m must be greater than 0"),
        ({"prior": {"m": (1.0,)}}, r"m must have \(mean, standard deviation\)"),
        ({"state_weights": {"x": -1}}, "state_weights: x"),
        ({"state_weights": {"x": 1}, "loss": "yaw-l1"}, "belong to a scaled loss"),
        ({"optimizer": "adam"}, r"must be an object such as AdamW\(...\)"),
        ({"optimizer": SGD(0.1), "batch_size": 3}, "has its own settings: give it batch_size there"),
        ({"max_diverged": 2}, "max_diverged must be a finite number between 0 and 1"),
        ({"polish": "on"}, "polish must be one of"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        DynamicsTrainingConfig(**settings)
