"""The schema of settings: it takes what the classes take, and refuses what they refuse."""

from __future__ import annotations

import json

import pytest

from potentia.cli import main
from potentia.cli.families import FAMILIES
from potentia.cli.json_schema import schema_of
from potentia.config import to_dict
from potentia.operators import OperatorTrainingConfig
from potentia.potentials import TorchTrainingConfig
from potentia.potentials.training_config import METHODS
from potentia.train import Adam, Cosine
from potentia.trajectories import TrajectoryTrainingConfig

jsonschema = pytest.importorskip("jsonschema")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_schema_of_a_family_is_one(name, capsys):
    assert main(["schema", name]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["properties"]["family"]["const"] == name
    assert {"family", "data"} <= set(found["required"])
    training = found["properties"]["training"]
    undescribed = [
        key for key, value in training["properties"].items() if key != "class" and "description" not in value
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    "settings",
    [
        TorchTrainingConfig(
            method=Adam(mu=0.01), schedule=Cosine(10), force_weight_schedule=[(0, 0.1)], force_weight=0.1
        ),
        TrajectoryTrainingConfig(epochs=3, optimizer=Adam(mu=0.01)),
        OperatorTrainingConfig(epochs=3),
    ],
)
def test_settings_written_plain_are_valid(settings):
    jsonschema.Draft202012Validator(schema_of(type(settings))).validate(to_dict(settings))


@pytest.fixture(scope="module")
def potentials():
    return jsonschema.Draft202012Validator(schema_of(TorchTrainingConfig))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_may_be_named(name, potentials):
    assert potentials.is_valid({"method": name})
    assert not potentials.is_valid({"method": f"{name}s"})


@pytest.mark.parametrize(
    "wrong", [{"epochs": "3"}, {"epochs": 3, "precision": "float16"}, {"epochs": 3, "epoch": 2}, {"lr": 0.1}]
)
def test_what_the_class_refuses_the_schema_refuses(wrong):
    assert not jsonschema.Draft202012Validator(schema_of(OperatorTrainingConfig)).is_valid(wrong)


def test_all_families_in_one_file(tmp_path, capsys):
    out = tmp_path / "schema.json"
    assert main(["schema", "-o", str(out)]) == 0
    assert [one["properties"]["family"]["const"] for one in json.loads(out.read_text())["anyOf"]] == list(FAMILIES)
    assert main(["schema", "-o", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["schema", "potential"]) == 2
    assert "did you mean 'potentials'?" in capsys.readouterr().err
