"""Settings of the training of a surrogate: what they stand for, and what they refuse."""

from __future__ import annotations

import pytest

from potentia.config import from_dict, plain
from potentia.errors import ConfigError
from potentia.train import SGD, SOAP, Adam, AdamW, ExponentialAverage, Plateau, ScheduleFreeAdamW, ScheduleFreeSGD
from potentia.trajectories import TrajectoryTrainingConfig


def settings(**changed) -> TrajectoryTrainingConfig:
    return TrajectoryTrainingConfig(**({"epochs": 4, "batch_size": 44, "seed": 1, "learning_rate": 3e-3} | changed))


def test_cosine_ends_at_a_multiple_of_the_rate_and_poly_at_zero():
    cosine = settings(epochs=100, eta_min=0.1, learning_rate=3e-4).schedule()
    assert cosine.rate(3e-4, {}, 100) == pytest.approx(3e-5)
    assert cosine.rate(3e-4, {}, 0) == 3e-4
    poly = settings(epochs=100, scheduler="poly", poly_power=0.9).schedule()
    assert [poly.rate(1, {}, e) for e in (0, 37, 100)] == pytest.approx([1, 0.63**0.9, 0])
    warm = settings(epochs=100, warmup_epochs=10).schedule()
    assert [warm.rate(1, {}, e) for e in (0, 5, 10)] == pytest.approx([0.1, 0.55, 1])
    free = settings(epochs=200, scheduler="schedulefree").schedule()
    assert [free.rate(1, {}, e) for e in (0, 1, 2, 200)] == pytest.approx([0.1, 0.55, 1, 1])
    assert settings(scheduler="constant").schedule() is None


@pytest.mark.parametrize("scheduler", ["cosine", "poly", "constant", Plateau(3)])
def test_adamw_stays_adamw_under_every_schedule(scheduler):
    found = settings(scheduler=scheduler, regularization_factor=0.1, clip_norm=1.0).method(points=True)
    assert found == AdamW(mu=3e-3, batchsize=44, weight_decay=0.1, clip_norm=1.0)


def test_methods_by_name():
    assert settings(optimizer="sgd", momentum=0.5).method(points=True) == SGD(lr=3e-3, batchsize=44, momentum=0.5)
    soap = settings(optimizer="soap", clip_norm=1.0).method(points=True)
    assert soap == SOAP(mu=3e-3, batchsize=44, clip_norm=1.0)
    free = settings(scheduler="schedulefree", regularization_factor=0.1)
    assert free.method(points=True) == ScheduleFreeAdamW(mu=3e-3, batchsize=44, weight_decay=0.1)
    sgd = settings(scheduler="schedulefree", optimizer="sgd")
    assert sgd.method(points=True) == ScheduleFreeSGD(lr=3e-3, batchsize=44, momentum=0.9)
    without = TrajectoryTrainingConfig(epochs=1)
    assert [without.method(points=on).batchsize for on in (True, False)] == [4096, 64]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"learning_rate": 0}, "learning_rate must be greater than 0"),
        ({"regularization_factor": -1}, "regularization_factor must be"),
        ({"optimizer": "adam"}, "optimizer must be one of 'adamw', 'sgd', 'soap', got 'adam'; did you mean 'adamw'"),
        ({"momentum": 0.9}, "momentum belongs to optimizer='sgd'; 'adamw' has none"),
        ({"momentum": 0.9, "optimizer": "soap"}, "momentum belongs to optimizer='sgd'; 'soap' has none"),
        ({"optimizer": "soap", "scheduler": "schedulefree"}, "belongs to optimizer='adamw' or 'sgd', got 'soap'"),
        ({"later_starts": 1.5}, "later_starts must be"),
        ({"momentum": 1.5, "optimizer": "sgd"}, "momentum must be"),
        ({"scheduler": "schedule_free"}, "did you mean 'schedulefree'"),
        ({"scheduler": "schedulefree", "average": ExponentialAverage()}, "averages the weights itself"),
        ({"scheduler": Plateau(), "warmup_epochs": 1}, r"warmup_epochs does not go with scheduler=Plateau\(...\)"),
        ({"warmup_epochs": 4}, "warmup_epochs must be less than epochs=4"),
        ({"eta_min": 1.1}, "eta_min must be"),
        ({"poly_power": -1}, "poly_power must be"),
        ({"scheduler": "schedulefree", "eta_min": 0.1}, "eta_min belongs to scheduler='cosine'; leave it out"),
        ({"scheduler": Plateau(), "eta_min": 0.1}, "eta_min belongs to scheduler='cosine'; leave it out"),
        ({"poly_power": 0.5}, "poly_power belongs to scheduler='poly'; leave it out, got 'cosine'"),
        ({"loss_function": "mae"}, "loss_function must be one of 'mse', 'smoothl1'"),
        ({"beta": -1}, "beta must be"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"device": "gpu0"}, "device must be the name of a torch device"),
        ({"clip_norm": 0}, "clip_norm must be greater than 0"),
        ({"average": 0.9}, r"average must be ExponentialAverage\(...\)"),
        ({"early_stopping": 0}, "early_stopping must be"),
        ({"max_time": "soon"}, "a duration must be"),
        ({"checkpoint_interval": -1}, "checkpoint_interval must be"),
        ({"max_checkpoints": 0}, "max_checkpoints must be"),
        ({"seed": -1}, "seed must be"),
        ({"optimizer": Adam()}, r"optimizer=Adam\(...\) has its own settings: give it batch_size, learning_rate there"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        settings(**changed)
    with pytest.raises(ConfigError, match=message):
        from_dict(TrajectoryTrainingConfig, plain({"epochs": 4, **settings().plain(), **changed}))


def test_unknown_settings_are_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="no setting 'learningrate'; did you mean 'learning_rate'"):
        from_dict(TrajectoryTrainingConfig, {"epochs": 1, "learningrate": 1e-3})


def test_schedule_free_by_name_does_not_go_with_an_object():
    with pytest.raises(ConfigError, match="belongs to optimizer='adamw' or 'sgd'"):
        TrajectoryTrainingConfig(epochs=1, optimizer=Adam(), scheduler="schedulefree")


@pytest.mark.parametrize(
    "changed",
    [{}, {"optimizer": "sgd", "momentum": 0.9}, {"scheduler": Plateau(3), "average": ExponentialAverage(0.9)}],
    ids=["defaults", "sgd", "objects"],
)
def test_settings_there_and_back(changed):
    assert from_dict(TrajectoryTrainingConfig, settings(**changed).plain()) == settings(**changed)
    own = TrajectoryTrainingConfig(epochs=2, optimizer=Adam(0.1, 8), scheduler="constant")
    assert from_dict(TrajectoryTrainingConfig, own.plain()) == own
