"""Data of systems: seeds, parts, what goes wrong; files, and solving again what they leave out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import pytest
import torch

from potentia.cli import main
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaWarning
from potentia.operators import Continuous, Integer, OperatorData, ParameterSpace
from potentia.operators.hdf5 import read_operator_data, read_record, write_operator_data, write_record
from potentia.operators.make import make_data, make_record
from potentia.operators.replay import Replayer
from potentia.operators.systems import FieldSystem, RandomConv
from processes import environment

NAMES = ("random_conv", "gray_scott", "burgers")
SMALL = {"random_conv": (8, 8), "gray_scott": (8, 8), "burgers": (32,)}
every_system = pytest.mark.parametrize("name", NAMES)


def small(name, **changes):
    settings = {"n_train": 4, "n_test": 2, "n_val": 2, "steps": 3, "grid": SMALL.get(name)}
    return make_record(name, **{**settings, **changes})


class Doubling(FieldSystem):
    """u → a u: leaves its bound where a is large, and the numbers of single precision where it is larger."""

    name = "doubling"
    channels = ("u",)
    axes = ("x",)
    time_step = 0.5
    steps = 4
    grid = (4,)
    bound = 100.0
    space = ParameterSpace((Continuous(name="a", low=0.0, high=8.0), Integer(name="idle", low=0, high=1)))
    power: ClassVar[float] = 1.0

    def initial(self, samples, grid, seed):
        return torch.ones(samples, 1, *grid)

    def step(self, fields, parameters, generators=None):
        return fields * parameters[:, :1, None].float() ** self.power


# ------------------------------------------------------------------------------------------------------- seeds


@every_system
def test_half_and_half_is_the_whole(name):
    whole, first = small(name, n_train=6), small(name, n_train=2, n_test=1, n_val=1)
    for key in ("values", "initial", "trajectories", "seeds", "digests"):
        np.testing.assert_array_equal(getattr(whole, key)[:4], getattr(first, key))
    assert whole.kinds[:4] == first.kinds


@every_system
def test_other_seeds_are_other_data(name):
    one, same, other = (small(name, seed=seed).data() for seed in (0, 0, 1))
    assert one.mark() == same.mark()
    assert not np.isin(one.train.parameters[:, 0], other.train.parameters[:, 0]).any()
    assert not np.array_equal(one.train.initial, other.train.initial)


def test_more_to_select_by_changes_nothing_else():
    one, more = (make_data("gray_scott", n_train=3, n_test=2, n_val=n, steps=1, grid=(8, 8)) for n in (1, 4))
    for part in ("train", "test"):
        np.testing.assert_array_equal(one.parts()[part].fields, more.parts()[part].fields)
    assert len(more.val) == 4


# ------------------------------------------------------------------------------------------------------- parts


def test_realizations_share_parameters_and_their_part():
    data = small("random_conv", realizations=3).data()
    assert [len(part) for part in data.parts().values()] == [12, 6, 6]
    assert data.train.group.tolist() == np.repeat(range(4), 3).tolist()
    np.testing.assert_array_equal(data.train.parameters[0], data.train.parameters[2])
    assert not np.array_equal(data.train.initial[0], data.train.initial[2])


def test_the_upper_tenth_of_a_parameter_is_kept_for_extrapolation():
    data = make_data("gray_scott", n_train=20, n_test=8, n_val=4, steps=1, grid=(8, 8), extrapolation="F")
    column, edge = data.space.names.index("F"), 0.014 + 0.9 * 0.048
    assert len(data.extrapolation) == 8
    assert data.extrapolation.parameters[:, column].min() >= edge
    assert max(part.parameters[:, column].max() for part in (data.train, data.val, data.test)) < edge
    assert data.extrapolation.parameters[:, 2].min() < 0.14  # the others take all of their ranges


def test_fields_may_be_kept_every_few_steps():
    often, seldom = small("burgers", steps=4), small("burgers", steps=2, every=2)
    np.testing.assert_array_equal(often.trajectories[:, ::2], seldom.trajectories)
    assert seldom.time_step == pytest.approx(2 * often.time_step)
    assert make_record("burgers", n_train=1, n_test=1, n_val=1, grid=(16,), every=10).steps == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_train": 0}, "n_train must be an integer of at least 1"),
        ({"grid": (8,)}, r"gray_scott has the axes x, y, so grid must be 2 numbers"),
        ({"extrapolation": "ration"}, r"gray_scott has no parameter 'ration'; did you mean 'ratio'"),
        ({"every": 0}, "every must be an integer of at least 1"),
    ],
)
def test_settings_of_data_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        small("gray_scott", **settings)


def test_words_and_angles_cannot_be_extrapolated_in():
    for name in ("depth", "angle"):
        with pytest.raises(ConfigError, match=f"real number and no angle, not '{name}'"):
            small("random_conv", extrapolation=name)


# --------------------------------------------------------------------------------------------------- went wrong


@pytest.mark.parametrize("power", [1.0, 60.0])
def test_samples_that_went_wrong_are_kept_with_a_flag_and_left_out_of_parts(power, monkeypatch, tmp_path):
    monkeypatch.setattr(Doubling, "power", power)
    record = make_record(Doubling(), n_train=16, n_test=8, n_val=8)
    wrong = np.flatnonzero(~record.sound)
    np.testing.assert_array_equal(record.sound, record.values[:, 0] ** (4 * power) <= 100)
    assert 0 < len(wrong) < 32
    assert np.isfinite(record.trajectories[wrong]).all() == (power == 1)
    write_record(tmp_path / "d.h5", record)
    with pytest.warns(PotentiaWarning, match=f"doubling: {len(wrong)} of 32 samples left their bounds or are not fin"):
        data = read_operator_data(tmp_path / "d.h5")
    assert sum(map(len, data.parts().values())) == 32 - len(wrong)
    again = read_record(tmp_path / "d.h5")
    np.testing.assert_array_equal(again.trajectories, record.trajectories)  # not filled with zeros
    np.testing.assert_array_equal(again.largest, record.largest)
    assert Replayer(again).verify().exact == 32


def test_a_system_with_other_settings_than_the_known_one_is_built_from_its_own():
    one = RandomConv(weights_seed=3)
    record = small(one, grid=(8, 8))
    np.testing.assert_array_equal(Replayer(record).samples([1]), record.trajectories[[1]])
    run = dataclasses.replace(small(Doubling(), grid=None).run, settings={"power": 2.0})
    with pytest.raises(ConfigError, match=r"'doubling' was run with settings .*: register that system"):
        run.build()


def test_a_part_with_no_sound_sample_is_refused():
    record = make_record(Doubling(), n_train=4, n_test=2, n_val=2)
    lost = dataclasses.replace(record, sound=record.part != 2)
    with pytest.warns(PotentiaWarning), pytest.raises(DataError, match="doubling: `test` has no sound sample"):
        lost.data()


# ------------------------------------------------------------------------------------------------------- files


def same(one: OperatorData, other: OperatorData):
    assert one.mark() == other.mark()
    assert (one.name, one.system, one.channels) == (other.name, other.system, other.channels)


@every_system
@pytest.mark.parametrize("store", ["full", "replay"])
def test_what_is_written_is_read(name, store, tmp_path):
    record = small(name, realizations=2, extrapolation={"burgers": "nu", "gray_scott": "F"}.get(name, "mix"))
    write_record(tmp_path / "d.h5", record, store=store)
    again = read_record(tmp_path / "d.h5")
    assert (again.trajectories is None) == (store == "replay")
    assert (again.run, again.space, again.kinds) == (record.run, record.space, record.kinds)
    same(read_operator_data(tmp_path / "d.h5"), record.data())


def test_every_array_of_a_file_names_its_axes(tmp_path):
    record = small("gray_scott")
    write_record(tmp_path / "d.h5", record)
    with h5py.File(tmp_path / "d.h5") as file:
        found = {}
        file.visititems(lambda key, node: found.update({key: node}) if isinstance(node, h5py.Dataset) else None)
        for key, node in found.items():
            assert len(node.attrs["axes"].split(",")) == node.ndim, key
        stored = file["outputs/trajectories"]
        assert (stored.compression, stored.chunks) == ("gzip", (1, *stored.shape[1:]))
        train = record.trajectories[record.part == 0]
        np.testing.assert_allclose(file["normalizer/mean"], train.mean((0, 1, 3, 4)), rtol=1e-5)
        np.testing.assert_allclose(file["normalizer/std"], train.std((0, 1, 3, 4)), rtol=1e-5)
        np.testing.assert_allclose(record.space.values(file["parameters/unit"][()]), record.values, rtol=1e-12)
        assert file.attrs["dataset_seed"] == 0


def test_data_from_elsewhere_are_written_too(tmp_path):
    data = dataclasses.replace(small("burgers").data(), system=None, name="mine")
    write_operator_data(tmp_path / "d.h5", data)
    same(read_operator_data(tmp_path / "d.h5"), data)
    record = read_record(tmp_path / "d.h5")
    with pytest.raises(ConfigError, match="mine does not say which system made it, so store must be 'full'"):
        write_record(tmp_path / "d.h5", record, store="replay")
    with pytest.raises(DataError, match="cannot be solved again"):
        Replayer(record)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    write_record(tmp_path / "d.h5", small("burgers"))
    before = (tmp_path / "d.h5").read_bytes()
    with pytest.raises(TypeError):
        write_record(tmp_path / "d.h5", dataclasses.replace(small("burgers"), digests=object()))
    assert (tmp_path / "d.h5").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["d.h5"]


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "d.h5"
    with pytest.raises(FileFormatError, match="no such file"):
        read_record(path)
    path.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="truncated or no HDF5 file"):
        read_record(path)

    def changed(change):
        write_record(path, small("burgers"))
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    with pytest.raises(FileFormatError, match="has the schema 'operators/2'; this release reads 'operators/1'"):
        read_record(changed(lambda file: file.attrs.update(schema="operators/2")))
    with pytest.raises(FileFormatError, match="has no inputs/fields"):
        read_record(changed(lambda file: file.pop("inputs/fields")))
    with pytest.raises(FileFormatError, match="lacks the attributes dt_store"):
        read_record(changed(lambda file: file.attrs.pop("dt_store")))
    with pytest.raises(DataError, match="split must hold 0 to 3"):
        read_record(changed(lambda file: file["split"].write_direct(np.full(8, 4, np.uint8))))


# ------------------------------------------------------------------------------------------ files of other makers


def other_file(path, **arrays):
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key.replace("__", "/")] = array
    return path


def test_a_file_of_trajectories_and_parameters_is_enough(tmp_path):
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(20, 2, 5, 1, 6, 6)).astype(np.float32)  # two realizations
    params = np.column_stack((np.arange(20.0), np.full(20, 3.0)))
    path = other_file(
        tmp_path / "other.h5", outputs__trajectories=fields, inputs__fields=fields[:, 0, 0], parameters__params=params
    )
    with pytest.warns(PotentiaWarning, match="has no split: 80, 10 and 10 percent"):
        data = read_operator_data(path)
    assert [len(part) for part in data.parts().values()] == [32, 4, 4]
    assert data.space.names == ("parameter_0",)  # what is always 3 is no parameter
    for part in data.parts().values():
        for row, number in zip(part.fields, part.parameters[:, 0], strict=True):
            assert (row == fields[int(number)]).all((1, 2, 3, 4)).any()
    with pytest.warns(PotentiaWarning):
        assert read_operator_data(path).mark() == data.mark()


def test_samples_of_one_set_of_parameters_stay_together_in_other_files(tmp_path):
    fields = np.ones((40, 3, 1, 8), dtype=np.float32)
    params = np.repeat(np.arange(20.0), 2)[:, None]
    path = other_file(tmp_path / "other.h5", outputs__trajectories=fields, parameters__params=params)
    with pytest.warns(PotentiaWarning, match="has no split"):
        data = read_operator_data(path)
    assert [len(part) for part in data.parts().values()] == [32, 4, 4]


def test_other_files_that_cannot_be_learned_from(tmp_path):
    path = tmp_path / "other.h5"
    fields, params = np.zeros((4, 1, 8, 8)), np.zeros((4, 3))
    with pytest.raises(FileFormatError, match="has no outputs/trajectories, and it does not say which system"):
        read_record(other_file(path, inputs__fields=fields, parameters__params=params))
    with pytest.raises(DataError, match=r"parameters/params must have shape \[4, parameters\], got \(3, 3\)"):
        read_record(other_file(path, outputs__trajectories=np.zeros((4, 3, 1, 8)), parameters__params=params[:3]))
    with pytest.raises(DataError, match="outputs/trajectories must have shape"):
        read_record(other_file(path, outputs__trajectories=np.zeros((4, 3, 8))))


# ------------------------------------------------------------------------------------------------ solving again


@pytest.mark.slow
def test_two_processes_solve_the_same_bits_again(tmp_path):
    one = RandomConv(weights="independent", noisy=True)
    record = make_record(one, n_train=4, n_test=2, n_val=2, steps=9, grid=(16, 16), seed=5)
    write_record(tmp_path / "d.h5", record, store="replay")
    script = str(Path(__file__).with_name("replayed.py"))
    command = [sys.executable, "-W", "error", script, str(tmp_path / "d.h5")]
    other = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    replayer = Replayer.open(tmp_path / "d.h5")
    fields = replayer.samples(range(len(record)))
    passed, exact, samples, digest = json.loads(other.communicate(timeout=300)[0])
    assert digest == hashlib.sha256(fields.tobytes()).hexdigest()
    assert passed
    np.testing.assert_array_equal(fields, record.trajectories)  # the file was made by one thread too
    assert exact == samples == 8


@every_system
def test_states_do_not_depend_on_threads_beyond_the_tolerance(name, tmp_path):
    record, threads = small(name, grid=None, n_train=3, n_test=1, n_val=1, steps=8), torch.get_num_threads()
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        assert Replayer(record).verify(tolerance=1e-4).passed
    finally:
        torch.set_num_threads(threads)


def test_other_weights_and_other_states_are_noticed():
    record = small("random_conv", steps=8)
    assert Replayer(record).verify([1, 3]).passed
    moved = record.check.copy()
    moved[3] += 0.01
    found = Replayer(dataclasses.replace(record, check=moved)).verify()
    assert not found.passed
    assert (found.worst, found.exact, found.changed) == (3, 7, ())
    other = dataclasses.replace(record.run, settings={**record.run.settings, "weights_seed": 1})
    found = Replayer(dataclasses.replace(record, run=other)).verify()
    assert not found.passed
    assert found.changed == tuple(range(8))
    assert found.exact == 0


def test_a_replayer_solves_from_any_field():
    record = small("gray_scott")
    replayer = Replayer(record)
    np.testing.assert_array_equal(replayer.rollout(record.values, record.initial), record.trajectories)
    np.testing.assert_array_equal(replayer.samples([2, 5], steps=1), record.trajectories[[2, 5], :2])
    by_name = dict(zip(record.space.names, record.values[0], strict=True))
    np.testing.assert_array_equal(replayer.rollout(by_name, record.initial[:1], 2), record.trajectories[:1, :3])
    noisy = Replayer(small(RandomConv(noisy=True), grid=(8, 8)))
    with pytest.raises(DataError, match="random_conv draws noise or weights for each sample: give their `seeds`"):
        noisy.rollout(noisy.record.values, noisy.record.initial)
    again = noisy.rollout(noisy.record.values, noisy.record.initial, seeds=noisy.seeds)
    np.testing.assert_array_equal(again, noisy.record.trajectories)


# ----------------------------------------------------------------------------------------------------- commands


def test_fields_are_made_by_the_command_and_never_replaced(tmp_path, capsys):
    path = tmp_path / "made/data.hdf5"
    command = ["data", "make", "gray_scott", "--train", "3", "--test", "1", "--val", "2", "--out", str(path)]
    assert main(command) == 0
    assert "3 + 1 + 2 fields of 32 steps" in capsys.readouterr().out
    same(read_operator_data(path), make_data("gray_scott", n_train=3, n_test=1, n_val=2, seed=42))
    assert main(command) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["data", "make", "gray_scot"]) == 2
    assert "did you mean 'gray_scott'" in capsys.readouterr().err
