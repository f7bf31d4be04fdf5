"""What is handed back after a training: exact errors of both parts at the final weights, tables and files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from potentia.data import Split
from potentia.potentials.networks import AtomicNetworks
from potentia.potentials.parity import ParityData, ParityRows
from potentia.potentials.results import TrainOut
from potentia.potentials.tables import Energies, write_forces
from potentia.potentials.task import Evaluation, PotentialTask
from potentia.potentials.training_config import TorchTrainingConfig
from potentia.potentials.training_input import TrainingInput
from potentia.train import Run

__all__ = ["outcome"]


def outcome(
    run: Run,
    task: PotentialTask,
    split: Split,
    given: TrainingInput,
    config: TorchTrainingConfig,
    seeds: Mapping[str, int],
) -> TrainOut:
    """Score both parts once more, put that in the last row of the history, and write the tables asked for."""
    assert isinstance(run.model, AtomicNetworks)
    train = task.evaluate(run.model, torch.from_numpy(split.train))
    test = task.evaluate(run.model, torch.from_numpy(split.test))
    history = [dict(row) for row in run.history]
    if history:
        history[-1].update(task.row(train.sums, test.sums))
    forces = task.settings.gradients
    train_parity = _parity(train, given, config.group_key, forces=forces)
    test_parity = _parity(test, given, config.group_key, forces=forces) if len(split.test) else None
    energies = Energies.of(train_parity, test_parity, float(run.model.e_scaling))
    if config.save_energies:
        energies.write(config.output_dir)
    if config.save_forces:
        write_forces(config.output_dir, train_parity, test_parity)
    return TrainOut(
        history,
        train_parity=train_parity,
        test_parity=test_parity,
        energies=energies,
        reading=given.reading,
        seed=seeds["seed"],
        split_seed=seeds["split_seed"],
        train_indices=np.sort(split.train).tolist(),
        test_indices=np.sort(split.test).tolist(),
        ended=run.stopped or run.interrupted,
        resumable=bool(run.interrupted) and not run.stopped,
    )


def _parity(evaluation: Evaluation, given: TrainingInput, group_key: str, *, forces: bool) -> ParityData:
    def pair(
        values: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | tuple[None, None]:
        reference, predicted = (v.cpu().numpy().reshape(-1) for v in values)
        return (reference, predicted) if len(reference) else (None, None)

    energy = [v.cpu().numpy() for v in evaluation.energy]
    places = evaluation.structures.tolist()
    force, stress = pair(evaluation.force), pair(evaluation.stress)
    return ParityData(
        energy_ref=energy[0],
        energy_pred=energy[1],
        force_ref=force[0],
        force_pred=force[1],
        stress_ref=stress[0],
        stress_pred=stress[1],
        rows=ParityRows.of(given.named(places), places, forces=forces, group_key=group_key),
    )
