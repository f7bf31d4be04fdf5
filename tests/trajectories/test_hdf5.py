"""Data sets in HDF5: what is written is read, files of others are read, and broken ones are refused by name."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from potentia.errors import DataError, FileFormatError, PotentiaWarning
from potentia.trajectories import TrajectoryData, make_data, read_trajectories, write_trajectories

RNG = np.random.default_rng(2)
STATES = RNG.uniform(1, 2, (10, 6, 3))
PARAMS = RNG.uniform(1, 2, (10, 2))
PARTS = {"train": slice(6), "test": slice(6, 8), "val": slice(8, 10)}


def foreign(path, dtype="f8", **changes):
    """A file as other programs write it: the three parts and nothing more, but for the changes."""
    with h5py.File(path, "w") as file:
        for name, part in PARTS.items():
            file[name] = STATES[part].astype(dtype)
        for key, value in changes.items():
            if key in file:
                del file[key]
            if value is not None:
                file[key] = value
    return path


@pytest.mark.parametrize("params", [PARAMS, None])
def test_what_is_written_is_read(tmp_path, params):
    data = TrajectoryData.from_arrays(
        STATES,
        params=params,
        timesteps=np.geomspace(1, 9, 6),
        labels=["a", "b+", "ç"],
        parameter_labels=() if params is None else ["α", "rate"],
        name="mine",
    )
    write_trajectories(tmp_path / "x.hdf5", data)
    again = read_trajectories(tmp_path / "x.hdf5")
    assert again.mark() == data.mark()
    assert (again.name, again.system, again.horizon) == ("mine", None, data.horizon)
    assert again.train.parameter_labels == data.train.parameter_labels


def test_the_system_is_known_again(tmp_path):
    write_trajectories(tmp_path / "x.hdf5", make_data("simple_reaction", n_train=2, n_test=1, n_val=1))
    assert read_trajectories(tmp_path / "x.hdf5").system == "simple_reaction"


def test_the_layout_is_the_one_that_others_read(tmp_path):
    write_trajectories(tmp_path / "x.hdf5", TrajectoryData.from_arrays(STATES, params=PARAMS, labels=["a", "b", "c"]))
    with h5py.File(tmp_path / "x.hdf5") as file:
        assert {key: file[key].shape for key in file} == {
            **{"train": (7, 6, 3), "test": (1, 6, 3), "val": (2, 6, 3), "timesteps": (6,)},
            **{"train_params": (7, 2), "test_params": (1, 2), "val_params": (2, 2)},
        }
        attrs = dict(file.attrs)
    assert list(attrs.pop("labels")) == ["a", "b", "c"]
    sizes = {"n_train_samples": 7, "n_test_samples": 1, "n_val_samples": 2}
    assert {**sizes, "n_timesteps": 6, "n_quantities": 3, "n_parameters": 2}.items() <= {
        key: value for key, value in attrs.items() if key.startswith("n_")
    }.items()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_file_with_the_three_parts_alone_is_read(tmp_path, dtype):
    data = read_trajectories(foreign(tmp_path / "cloud.hdf5", dtype))
    np.testing.assert_array_equal(data.val.states, STATES[8:].astype(dtype))
    np.testing.assert_array_equal(data.val.times, np.linspace(0, 1, 6))
    assert data.val.states.dtype == np.float64
    assert (data.name, data.horizon, data.train.parameters) == ("cloud", (0.0, 1.0), None)
    assert data.train.labels == ("quantity_0", "quantity_1", "quantity_2")


@pytest.mark.parametrize(
    "labels", [["H", "H2+", "E"], np.array([b"H", b"H2+", b"E"]), np.array(["H", "H2+", "E"], "O")]
)
def test_labels_may_be_text_or_bytes(tmp_path, labels):
    with h5py.File(foreign(tmp_path / "x.hdf5", timesteps=np.arange(6)), "a") as file:
        file.attrs["labels"] = labels
    data = read_trajectories(tmp_path / "x.hdf5")
    assert data.train.labels == ("H", "H2+", "E")
    assert data.horizon == (0.0, 5.0)


def test_a_data_file_is_called_as_its_folder(tmp_path):
    (tmp_path / "primordial").mkdir()
    assert read_trajectories(foreign(tmp_path / "primordial/data.hdf5")).name == "primordial"
    assert read_trajectories(tmp_path / "primordial/data.hdf5", name="other").name == "other"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"test": None}, FileFormatError, "x.hdf5 has no test: it needs train, test and val, and has train, val"),
        ({"val": np.array([b"a"])}, FileFormatError, "x.hdf5: val must be an array of numbers"),
        ({"val/more": 1.0}, FileFormatError, "x.hdf5: val must be an array of numbers"),
        ({"val": STATES[8:, 0]}, DataError, r"x.hdf5: x: val: states must have shape .*got \(2, 3\)"),
        ({"train": STATES[:6, 0]}, DataError, r"x.hdf5: x: train: states must have shape .*got \(6, 3\)"),
        ({"val": STATES[8:, :4]}, DataError, r"x.hdf5: x: val: times must have shape"),
        ({"timesteps": np.arange(7.0)}, DataError, r"x.hdf5: x: train: times must have shape \(times,\) = \(6,\)"),
        ({"timesteps": np.arange(6.0)[::-1]}, DataError, "x.hdf5: x: train: times must increase"),
        ({"val": STATES[8:] * np.nan}, DataError, "x: val: states of trajectory 0, step 0, quantity_0 are not finite"),
        ({"val": STATES[[9, 2]]}, DataError, "x.hdf5: x: 1 of 2 trajectories of val begin exactly as one of train"),
        (
            {f"{part}_params": PARAMS[:2] for part in PARTS},
            DataError,
            r"x: train: parameters must have shape .*\(6, …\).*got \(2, 2\)",
        ),
    ],
)
def test_a_broken_file_is_refused_by_name(tmp_path, changes, error, message):
    if "val/more" in changes:
        changes = {"val": None, **changes}
    with pytest.raises(error, match=message):
        read_trajectories(foreign(tmp_path / "x.hdf5", **changes))


def test_shared_starts_can_be_allowed(tmp_path):
    path = foreign(tmp_path / "x.hdf5", val=STATES[[9, 2]])
    assert read_trajectories(path, allow_shared=True).shared("train", "val").tolist() == [1]


def test_parameters_of_one_part_alone_are_left_out_and_said(tmp_path):
    with pytest.warns(PotentiaWarning, match="has no test_params, val_params: the parameters of the other parts are"):
        data = read_trajectories(foreign(tmp_path / "x.hdf5", train_params=PARAMS[:6]))
    assert data.train.parameters is None


def test_no_file_and_no_hdf5(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        read_trajectories(tmp_path / "x.hdf5")
    (tmp_path / "x.hdf5").write_text("states")
    with pytest.raises(FileFormatError, match="truncated or no HDF5 file at all"):
        read_trajectories(tmp_path / "x.hdf5")
    whole = foreign(tmp_path / "y.hdf5").read_bytes()
    (tmp_path / "y.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match="truncated"):
        read_trajectories(tmp_path / "y.hdf5")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.hdf5"
    data = TrajectoryData.from_arrays(STATES)
    write_trajectories(path, data)
    with pytest.raises(ValueError, match="NULL"):  # HDF5 cannot hold this name, and says so when the states are written
        write_trajectories(path, TrajectoryData.from_arrays(STATES, seed=1, name="a\0b"))
    assert read_trajectories(path).mark() == data.mark()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="the parts have different times"):
        write_trajectories(path, data.with_splits(data.train.at_steps(slice(4)), data.test))
