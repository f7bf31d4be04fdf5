"""Laws of committees: members are single networks, spreads are theirs, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from potentia.dynamics import DynamicsParameterNet, DynamicsTrainingConfig, FeatureSettings, get_model_spec
from potentia.dynamics.committee import DynamicsCommittee
from potentia.dynamics.simulator import simulate_dataset
from potentia.ensemble import CommitteeConfig
from potentia.errors import ConfigError, NotFittedError

UNICYCLE = get_model_spec("unicycle")
CONFIG = DynamicsTrainingConfig(epochs=2, batch_size=32, learning_rate=0.02, seed=5)
NET = DynamicsParameterNet(UNICYCLE, hidden=(8,), features=FeatureSettings(mode="features+state"))


def windows(n=64, seed=0):
    return simulate_dataset(
        UNICYCLE, {"k_turn": 1.2, "drag": 0.1}, windows=n, horizon=5, seed=seed, noise=0.1, features=2
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("committee")


@pytest.fixture(scope="module")
def committee(folder):
    found = DynamicsCommittee(NET)
    result = found.train(windows(), CONFIG, CommitteeConfig(3, output_dir=folder, resample="bootstrap"), windows(16, 1))
    assert [member.status for member in result.members] == ["completed"] * 3
    assert result.stats["min_val_loss"]["n"] == 3
    return found


def test_a_member_equals_a_single_network_of_its_seed(tmp_path):
    found = DynamicsCommittee(NET)
    found.train(windows(), CONFIG, CommitteeConfig(2, output_dir=tmp_path))
    alone = DynamicsParameterNet.from_recipe(NET.recipe())
    alone.train(windows(), DynamicsTrainingConfig(**{**vars(CONFIG), "seed": 6}))
    one, other = (net.network_.state_dict() for net in (alone, found.load_members()[1]))
    assert all((one[name] == other[name]).all() for name in one)


def test_mean_and_spread_are_those_of_the_members(committee):
    data = windows(16, 2)
    told = committee.predict(data)
    alone = np.stack([member.predict(data) for member in committee.load_members()])
    assert told.states == pytest.approx(alone.mean(0))
    assert told.states_std == pytest.approx(alone.std(0))
    drag = np.stack([member.predict_params(data)["drag"] for member in committee.load_members()])
    assert told.params_std["drag"] == pytest.approx(drag.std(0))
    frame = told.frame()
    assert len(frame) == 16
    assert {"std_v", "drag", "std_of_drag"} <= set(frame)


def test_intervals_hold_what_they_promise(committee, folder):
    with pytest.raises(NotFittedError, match="call `calibrate`"):
        committee.coverage(windows(8, 3))
    committee.calibrate(windows(300, 3), level=0.8)
    held_out = windows(300, 4)
    table = committee.coverage(held_out)
    assert table["coverage"].to_numpy() == pytest.approx(0.8, abs=0.08)
    again = DynamicsCommittee.from_directory(folder)
    assert again.coverage(held_out).equals(table)
    assert "half_width_v" in again.predict(held_out).frame()
    again.member_model_paths.pop()
    other = DynamicsCommittee.from_files(again.member_model_paths)
    assert other.calibration is None


def test_members_that_are_there_stay_and_other_data_are_refused(committee, folder):
    before = [path.stat().st_mtime_ns for path in committee.member_model_paths]
    wanted = CommitteeConfig(3, output_dir=folder, resample="bootstrap")
    committee.train(windows(), CONFIG, wanted, windows(16, 1))
    assert [path.stat().st_mtime_ns for path in committee.member_model_paths] == before
    with pytest.raises(ConfigError, match="a committee of other data or settings"):
        committee.train(windows(32), CONFIG, wanted, windows(16, 1))


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="batched=True is not for networks of dynamics"):
        DynamicsCommittee(NET).train(windows(), CONFIG, CommitteeConfig(2, output_dir=tmp_path, batched=True))
    with pytest.raises(NotFittedError, match="no members yet"):
        DynamicsCommittee(NET).predict(windows(4))
    with pytest.raises(NotFittedError, match="paths is empty"):
        DynamicsCommittee.from_files([])


@pytest.mark.slow
def test_members_are_trained_in_processes_of_their_own(tmp_path):
    together, apart = DynamicsCommittee(NET), DynamicsCommittee(NET)
    together.train(windows(), CONFIG, CommitteeConfig(2, output_dir=tmp_path / "one", threads_per_member=1))
    apart.train(windows(), CONFIG, CommitteeConfig(2, output_dir=tmp_path / "two", max_parallel=2))
    data = windows(8, 2)
    assert (together.predict(data).member_states == apart.predict(data).member_states).all()
