"""Error bars of four networks on the published oxide set: they cover what they say, and large errors are foreseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from potentia import ChebyshevDescriptor, Kalman, TorchCommitteeConfig, TorchCommitteePotential, TorchTrainingConfig
from potentia.potentials.formats.reading import read_structures
from potentia.seeding import stream

DATA = Path(__file__).parents[2] / "../shared/data/tio2/structures.xyz"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the reference data is not beside this checkout")
FREE = {"O": -432.503149303, "Ti": -1604.604515075}


@pytest.mark.slow
@needs_data
def test_intervals_at_90_percent_cover_90_percent_and_the_worst_errors_are_uncertain(tmp_path):
    small = [s for s in read_structures(DATA).structures if s.n_atoms <= 30 and np.abs(s.forces).max() < 10]
    order = stream(1, "part").permutation(len(small))
    train, held_out = ([small[k] for k in part] for part in (order[:250], order[250:1650]))
    descriptor = ChebyshevDescriptor(["Ti", "O"], 8, 5.0, 3, 3.5)
    committee = TorchCommitteePotential({name: [(10, "tanh")] * 2 for name in FREE}, descriptor)
    settings = {"iterations": 8, "method": Kalman(batchsize=8), "force_weight": 0.3, "atomic_energies": FREE}
    quiet = {"testpercent": 0, "checkpoint_dir": None, "show_progress": False}
    config = TorchTrainingConfig(**settings, **quiet)
    committee.train(train, config, TorchCommitteeConfig(4, base_seed=0, output_dir=tmp_path))

    found = committee.calibrate(held_out, seed=1)
    (row,) = found.energy.at_level.to_dict("records")
    assert abs(row["coverage"] - 0.9) < 3 * row["error"] + 0.02
    assert found.energy.caught > 0.7
    assert found.forces.at_level["group"].tolist() == ["all", "O", "Ti"]
    assert found.forces.at_level["coverage"].between(0.88, 0.92).all()
    assert found.forces.by_spread["coverage"].between(0.8, 0.99).all()
    assert found.forces.caught > 0.5

    predicted = committee.predict(held_out, eval_forces=True)
    energy_error = (predicted.energy - [s.energy for s in held_out]) / predicted.n_atoms
    force_error = np.concatenate([one.forces - s.forces for one, s in zip(predicted, held_out, strict=True)])
    outside = predicted.extrapolation()
    far = np.zeros(len(force_error), dtype=bool)
    far[np.cumsum([0, *predicted.n_atoms])[outside["structure"]] + outside["atom"]] = True
    rms = [float(np.sqrt(np.mean(force_error[part] ** 2))) for part in (far, ~far)]
    assert 0 < far.mean() < 0.1
    assert rms[0] > 1.5 * rms[1]
    chosen = committee.select(held_out, 50, known=train)
    assert np.abs(energy_error[chosen.indices]).mean() > 2 * np.abs(energy_error).mean()
