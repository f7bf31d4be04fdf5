"""Error bars of four networks on the published oxide set: they cover what they say, and large errors are foreseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from potentia import ChebyshevDescriptor, Kalman, StructureDataset, TorchANNPotential, TorchTrainingConfig
from potentia.calibration import SplitConformal
from potentia.coverage import caught, coverage_by_size, coverage_table
from potentia.potentials.extrapolation import Extrapolation
from potentia.potentials.feature_ranges import FeatureRanges
from potentia.potentials.formats.reading import read_structures
from potentia.potentials.selection import select
from potentia.seeding import stream

DATA = Path(__file__).parents[2] / "../shared/data/tio2/structures.xyz"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
FREE = {"O": -432.503149303, "Ti": -1604.604515075}


@pytest.mark.slow
@needs_data
@pytest.mark.filterwarnings("ignore:.*test structures are nearly in the training part")
def test_intervals_at_90_percent_cover_90_percent_and_the_worst_errors_are_uncertain(one_thread):
    small = [s for s in read_structures(DATA).structures if s.n_atoms <= 30 and np.abs(s.forces).max() < 10]
    order = stream(1, "part").permutation(len(small))
    train, held_out = ([small[k] for k in part] for part in (order[:250], order[250:1650]))
    descriptor = ChebyshevDescriptor(["Ti", "O"], 8, 5.0, 3, 3.5)
    data = StructureDataset(train, descriptor, atomic_energies=FREE)
    energies, forces = [], []
    for seed in range(4):
        potential = TorchANNPotential({name: [(10, "tanh")] * 2 for name in FREE}, descriptor)
        settings = {"iterations": 8, "method": Kalman(batchsize=8), "force_weight": 0.3, "seed": seed}
        quiet = {"checkpoint_dir": None, "show_progress": False}
        potential.train(train_dataset=data, config=TorchTrainingConfig(**settings, **quiet))
        found = potential.predict(held_out, eval_forces=True)
        energies.append(found.total_energy_per_atom)
        forces.append(np.concatenate(found.forces))
    energy_error = np.mean(energies, axis=0) - [s.energy / s.n_atoms for s in held_out]
    force_error = np.mean(forces, axis=0) - np.concatenate([s.forces for s in held_out])
    owner = np.repeat(np.arange(1400), [s.n_atoms for s in held_out])
    species = np.concatenate([s.species for s in held_out])
    known = owner < 700

    spread = np.std(energies, axis=0)
    calibration = SplitConformal().fit(energy_error[:700], spread[:700])
    (row,) = coverage_table(energy_error[700:], spread[700:], calibration, (0.9,)).to_dict("records")
    assert abs(row["coverage"] - 0.9) < 3 * row["error"] + 0.02
    assert caught(energy_error, spread) > 0.7

    spread = np.std(forces, axis=0).mean(axis=1)
    calibration = SplitConformal().fit(force_error[known], spread[known], groups=species[known], blocks=owner[known])
    fresh = (force_error[~known], spread[~known], calibration)
    table = coverage_table(*fresh, (0.9,), species[~known], owner[~known])
    assert table["coverage"].between(0.88, 0.92).all()
    bins = coverage_by_size(*fresh, groups=species[~known])
    assert bins["coverage"].between(0.8, 0.99).all()
    assert caught(np.linalg.norm(force_error, axis=1), spread) > 0.5

    outside = Extrapolation(descriptor, FeatureRanges.of_dataset(data)).of_structures(held_out)
    far = np.concatenate([found.excess for found in outside]) > 0
    rms = [float(np.sqrt(np.mean(force_error[part] ** 2))) for part in (far, ~far)]
    assert 0 < far.mean() < 0.1
    assert rms[0] > 1.5 * rms[1]
    found = select(held_out, 50, potential=potential, known=train, by="both", uncertainty=np.std(energies, axis=0))
    assert np.abs(energy_error[found.indices]).mean() > 2 * np.abs(energy_error).mean()
