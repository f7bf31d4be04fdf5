"""What is handed back after a training: exact errors of both parts at the final weights, tables and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
from potentia.potentials.training_input import CHUNK, TrainingInput
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


def _with_repulsion(evaluation: Evaluation, given: TrainingInput) -> Evaluation:
    """Add to labels and predictions the repulsion that the networks were spared; their differences stay."""
    if given.repulsion is None:
        return evaluation
    places = evaluation.structures.tolist()
    energy, force, stress = [0.0], [np.zeros((0, 3))], [np.zeros((0, 3, 3))]
    for begin in range(0, len(places), CHUNK):
        structures = list(given.structures(places[begin : begin + CHUNK]))
        for structure, found in zip(structures, given.repulsion.of(structures), strict=True):
            energy.append(found.energy / structure.n_atoms)
            if structure.has_forces():
                force.append(found.forces)
            if structure.has_stress():
                stress.append((found.strain / structure.volume)[None])
    spared = {"energy": np.array(energy[1:]), "force": np.concatenate(force), "stress": np.concatenate(stress)}

    def total(kind: str, values: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        if not len(values[0]):  # it was not trained on
            return values
        added = torch.from_numpy(spared[kind])
        return values[0].cpu() + added, values[1].cpu() + added

    pairs = {kind: total(kind, values) for kind, values in evaluation.pairs().items()}
    return replace(evaluation, energy=pairs["energy"], force=pairs["force"], stress=pairs["stress"])


def _parity(evaluation: Evaluation, given: TrainingInput, group_key: str, *, forces: bool) -> ParityData:
    def pair(
        values: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | tuple[None, None]:
        reference, predicted = (v.cpu().numpy().reshape(-1) for v in values)
        return (reference, predicted) if len(reference) else (None, None)

    evaluation = _with_repulsion(evaluation, given)
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
