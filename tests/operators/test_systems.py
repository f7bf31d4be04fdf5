"""Laws of all systems of fields: names, seeds, bounds, one step after another, fields that are moved."""

from __future__ import annotations

import pytest
import torch

from operators.system_data import GRIDS, some
from potentia.errors import ConfigError, DataError
from potentia.operators.systems import SYSTEMS, GrayScott, register, system
from potentia.trajectories import SYSTEMS as TRAJECTORY_SYSTEMS

NAMES = ("random_conv", "gray_scott", "burgers")
every_system = pytest.mark.parametrize("name", NAMES)


def test_systems_are_known_by_names_that_no_other_family_has():
    assert tuple(SYSTEMS)[:3] == NAMES
    assert not set(SYSTEMS) & set(TRAJECTORY_SYSTEMS)
    with pytest.raises(ConfigError, match="no system 'burger'; did you mean 'burgers'"):
        system("burger")


def test_a_name_cannot_be_taken_by_another_class():
    class Other(GrayScott):
        pass

    with pytest.raises(ConfigError, match="there is a system 'gray_scott' already, GrayScott"):
        register(Other())


@every_system
def test_a_sample_does_not_depend_on_the_others(name):
    one = SYSTEMS[name]
    fields, values = some(one, 5)
    assert torch.equal(one.initial(3, GRIDS[name], 0), fields[:3])
    together = one.trajectories(fields, values, 3)
    alone = one.trajectories(fields[3:4], values[3:4], 3)
    assert torch.equal(alone[0], together[3])


@every_system
def test_other_seeds_give_other_initial_fields(name):
    one = SYSTEMS[name]
    assert not torch.equal(one.initial(2, GRIDS[name], 0), one.initial(2, GRIDS[name], 1))
    assert len(one.kinds(4, 0)) == 4


@every_system
def test_trajectories_begin_with_the_initial_field_and_stay_in_their_bounds(name):
    one = SYSTEMS[name]
    fields, values = some(one, 4)
    found = one.trajectories(fields, values, 4)
    assert found.shape == (4, 5, len(one.channels), *GRIDS[name])
    assert torch.equal(found[:, 0], fields)
    assert found.isfinite().all()
    assert found.abs().max() < one.bound


@every_system
def test_one_step_after_another_is_the_trajectory(name):
    one = SYSTEMS[name]
    fields, values = some(one, 2)
    found = one.trajectories(fields, values, 2)
    twice = one.step(one.step(fields, torch.from_numpy(values)), torch.from_numpy(values))
    torch.testing.assert_close(twice, found[:, 2], rtol=1e-4, atol=1e-4)  # Burgers leaves fine modes out in between
    assert torch.equal(one.trajectories(fields, values, 1, every=2)[:, 1], found[:, 2])


@every_system
def test_a_moved_field_moves_on_alike(name):
    one = SYSTEMS[name]
    fields, values = some(one, 3)
    moved = one.trajectories(fields.roll(5, 2), values, 3).roll(-5, 3)
    torch.testing.assert_close(moved, one.trajectories(fields, values, 3), rtol=1e-4, atol=1e-5)


@every_system
def test_shapes_that_do_not_fit_are_refused(name):
    one = SYSTEMS[name]
    fields, values = some(one, 3)
    with pytest.raises(DataError, match=rf"{name}: 3 initial fields need parameters \[3, {len(one.space)}\]"):
        one.trajectories(fields, values[:2], 1)
    with pytest.raises(DataError, match=rf"{name}: initial fields must have shape \[samples, {len(one.channels)} ch"):
        one.trajectories(fields[:, 0], values, 1)
