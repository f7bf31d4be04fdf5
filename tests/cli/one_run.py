"""Small data of each family in files, and what makes a training of them short."""

from __future__ import annotations

from ase.io import write

from potentia.cli import main
from potentia.operators import make_data as make_fields
from potentia.operators import write_operator_data
from potentia.potentials import read_structures
from potentia.trajectories import make_data, write_trajectories


def structures(folder, water):
    frames = read_structures(water).structures[:40]
    write(folder / "water.xyz", [one.to_atoms() for one in frames])
    return "water.xyz"


def trajectories(folder, water):
    write_trajectories(folder / "data.hdf5", make_data("lotka_volterra", n_train=12, n_test=4, n_val=4))
    return "data.hdf5"


def logs(folder, water):
    assert (
        main(["dynamics", "simulate", str(folder / "logs"), "--model", "unicycle", "--logs", "2", "--seconds", "5"])
        == 0
    )
    return "logs"


def fields(folder, water):
    write_operator_data(
        folder / "fields.hdf5", make_fields("gray_scott", n_train=4, n_val=1, n_test=1, grid=(8, 8), steps=3)
    )
    return "fields.hdf5"


MADE = {"potentials": structures, "trajectories": trajectories, "dynamics": logs, "operators": fields}
SHORT = {
    "potentials": ["training.iterations=3", "training.show_progress=false", "descriptor.rad_order=2"],
    "trajectories": ["training.epochs=3", "training.show_progress=false", "network.hidden_size=8"],
    "dynamics": [
        "training.epochs=3",
        "training.progress=false",
        "training.model_hidden=[8]",
        "training.analysis_scenarios=1",
    ],
    "operators": ["training.epochs=3", "training.show_progress=false", "network.width=4", "network.layers=1"],
}
EPOCHS = {"potentials": "iterations", "trajectories": "epochs", "dynamics": "epochs", "operators": "epochs"}


def short(family):
    return [part for one in SHORT[family] for part in ("--set", one)]
