"""Laws of wrong input to a study: refused in one line before anything is written, by the name of the key or file."""

from __future__ import annotations

import pytest
import torch

from potentia.cli import main
from potentia.study import write_yaml
from potentia.trajectories import LatentPolyConfig, Study
from potentia.trajectories.networks.base import Shape
from trajectories.study_data import root_with, settings


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return root_with(tmp_path_factory.mktemp("study"))


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


LOG_TIMES = "log_timesteps needs times above 0, these begin at 0"
NO_PARAMETERS = "LatentPoly: coeff_network needs parameters"
POLY = {"surrogates": ["LatentPoly"], "surrogate_configs": {"LatentPoly": {"coeff_network": True}}}
WRONG = [
    ({"surrogates": [{"name": "FullyConnected"}]}, "there is no surrogate {'name': 'FullyConnected'}"),
    ({"training_id": ".."}, "training_id must be text that can name a directory"),
    ({"devices": "gpu"}, "devices: device must be the name of a torch device such as 'cpu' or 'cuda:1', got 'gpu'"),
    ({"devices": ["cpu", "cuda:63"]}, "device='cuda:63' cannot be used here"),
    ({"losses": "maybe"}, "losses must be true or false, got 'maybe'"),
    ({"dataset": {"name": "decay", "log10_transform": "yes"}}, "log10_transform must be true or false, got 'yes'"),
    ({"dataset": {"name": "decay", "use_optimal_params": 1}}, "dataset.use_optimal_params must be true or false"),
    ({"dataset": {"name": "decay", "subset_factor": 25}}, "dataset.subset_factor: 25 is more than the 24 trajectories"),
    ({"dataset": {"name": "decay", "log_timesteps": True}}, LOG_TIMES),
    ({"interpolation": {"enabled": True, "intervals": 2}}, "intervals must be a list, got 2"),
    ({"batch_scaling": {"enabled": True, "sizes": ["1/128"]}}, "1/128 of a batch size of 64 leaves no batch"),
    ({"batch_scaling": {"enabled": True, "sizes": ["1/0"]}}, "fractions such as '1/4', got '1/0'"),
    ({"timing_batch_sizes": 4}, "timing_batch_sizes must be a list, got 4"),
    (
        {"surrogate_configs": {"FullyConnected": {"hard_initial_condition": "ja"}}},
        "hard_initial_condition must be true",
    ),
    ({"surrogate_configs": {"FullyConnected": {"max_time": "soon"}}}, "max_time: a duration must be greater than 0"),
    (POLY, NO_PARAMETERS),
    (
        {"dataset": {"name": "decay", "subset_factor": 12}, "sparse": {"enabled": True, "factors": [3]}},
        "sparse.factors: 3 is more than the 2 trajectories to train on",
    ),
]


@pytest.mark.parametrize(("more", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_no_training_can_use_is_refused_before_anything_is_written(root, more, message, capsys):
    write_yaml(root / "config.yaml", settings(**more))
    before = files(root)
    assert main(["study", "run", str(root / "config.yaml"), "--root", str(root)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert files(root) == before


def test_defaults_beside_the_data_are_of_surrogates_that_there_are(tmp_path, capsys):
    root = root_with(tmp_path)
    write_yaml(root / "datasets/Decay/surrogate_configs.yaml", {"FulyConnected": {"hidden_size": 3}})
    write_yaml(root / "config.yaml", settings())
    assert main(["study", "run", str(root / "config.yaml"), "--root", str(root)]) == 2
    assert "have 'FulyConnected', which is no surrogate; did you mean 'FullyConnected'" in capsys.readouterr().err


def test_data_are_made_from_seeds_that_there_are(tmp_path, capsys):
    assert main(["data", "make", "simple_ode", "--seed", "-1", "--out", str(tmp_path / "a.hdf5")]) == 2
    assert "seed must be an integer of at least 0, got -1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_asking_whether_networks_can_be_built_draws_no_number(root):
    before = torch.get_rng_state()
    Study.from_config(settings(surrogates=["LatentPoly"], surrogate_configs={}), root=root)
    assert torch.equal(torch.get_rng_state(), before)
    LatentPolyConfig().build(Shape(2, 0))
    assert not torch.equal(torch.get_rng_state(), before)
