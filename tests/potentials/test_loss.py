"""The loss of a batch: its formula, and its gradient by the weights."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from crossings import crossed
from potentia.potentials.batches import StructureBatch
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.task import LossSettings, PotentialTask
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE, without

MIXED = [
    replace(s, weight=[1.0, 0.2, 3.0][k % 3], **({"forces": None} if k in {3, 4} else {}))
    for k, s in enumerate(small_data.frames())
]
MIXED[6] = without(MIXED[6], "stress")
MIXED[8] = without(MIXED[8], "stress", "forces")
WEIGHTS = {
    "energy": (0.0, 0.0),
    "energy and forces": (0.3, 0.0),
    "energy and stress": (0.0, 0.4),
    "all": (0.3, 0.5),
    "forces": (1.0, 0.0),
    "stress": (0.0, 1.0),
}
every_weight = pytest.mark.parametrize(("alpha", "beta"), WEIGHTS.values(), ids=WEIGHTS)


def task_of(structures, alpha, beta, **options):
    data = LabelledStructures.of(structures, DESCRIPTOR, FREE, gradients=True)
    return PotentialTask(data, torch.arange(0), LossSettings(alpha, beta, **options))


def batch_of(supervised, others=()):
    return StructureBatch(torch.tensor([*supervised, *others], dtype=torch.int64), len(supervised))


def model_of(activation="tanh"):
    return copy.deepcopy(small_data.trained(activation).fitted_.model)


def rms(squares, weights):
    """Root of the mean of squares; rows have weights, the components of a row count alike."""
    rows = np.array([np.mean(row) for row in squares])
    return np.sqrt((weights * rows).sum() / np.sum(weights)) if len(rows) else 0.0


def by_hand(structures, supervised, alpha, beta):
    """The loss in numpy, from what `predict` says."""
    out = small_data.trained().predict(structures, eval_forces=True, eval_stress=True)
    weight = np.array([s.weight for s in structures])
    energy = [(e - s.energy) ** 2 / s.n_atoms**2 for e, s in zip(out.total_energy, structures, strict=True)]
    forces, of_atoms, virials, of_virials = [], [], [], []
    for k in supervised:
        s = structures[k]
        if s.forces is not None:
            forces += list((out.forces[k] - s.forces) ** 2)
            of_atoms += [s.weight] * s.n_atoms
        if s.stress is not None:
            virials.append(((out.stress[k] - s.stress) * s.volume / s.n_atoms) ** 2)
            of_virials.append(s.weight)
    terms = (rms(energy, weight), rms(forces, of_atoms), rms(virials, of_virials))
    return np.dot((1 - alpha - beta, alpha, beta), terms)


@every_weight
def test_the_loss_is_the_weighted_sum_of_three_errors(alpha, beta):
    loss = task_of(MIXED, alpha, beta).loss(model_of(), batch_of(range(10)))
    assert loss.value.item() == pytest.approx(by_hand(MIXED, range(10), alpha, beta), rel=1e-11)


def test_only_supervised_structures_bring_forces_and_stress():
    loss = task_of(MIXED, 0.3, 0.5).loss(model_of(), batch_of([0, 1, 5], [2, 3, 4, 6, 7, 8, 9]))
    assert loss.value.item() == pytest.approx(by_hand(MIXED, [0, 1, 5], 0.3, 0.5), rel=1e-11)


def test_the_order_in_a_batch_does_not_matter():
    task, model = task_of(MIXED, 0.3, 0.5), model_of()
    one, other = (task.loss(model, batch_of(order, [4, 8])).value for order in ([0, 1, 2, 3], [2, 0, 3, 1]))
    assert one.item() == pytest.approx(other.item(), rel=1e-13)


def test_a_weight_of_two_is_the_structure_twice():
    structures = [replace(s, weight=1.0) for s in small_data.frames()]
    twice = task_of([*structures, structures[2]], 0.3, 0.5)
    heavy = task_of([replace(s, weight=2.0 if k == 2 else 1.0) for k, s in enumerate(structures)], 0.3, 0.5)
    found = [
        task.loss(model_of(), batch_of(range(task.data.featurised.geometry.n_structures))) for task in (twice, heavy)
    ]
    assert found[0].value.item() == pytest.approx(found[1].value.item(), rel=1e-12)


def test_weights_do_not_change_the_errors_that_are_reported():
    sums = [task_of(s, 0.3, 0.5).loss(model_of(), batch_of(range(10))).sums for s in (MIXED, unweighted(MIXED))]
    assert sums[0] == sums[1]


def unweighted(structures):
    return [replace(s, weight=1.0) for s in structures]


def test_errors_are_counted_by_structure_and_by_component():
    sums = task_of(MIXED, 0.3, 0.5).loss(model_of(), batch_of(range(10))).sums
    atoms = sum(s.n_atoms for s in MIXED if s.forces is not None)
    stressed = sum(s.stress is not None for s in MIXED)
    assert {name: one.count for name, one in sums.items()} == {
        "energy": 10, "force": 3 * atoms, "stress": 9 * stressed, "virial": 9 * stressed,
    }  # fmt: skip


def test_a_subset_of_forces_can_be_scaled_to_the_whole():
    task, scaled = task_of(MIXED, 1.0, 0.0), task_of(MIXED, 1.0, 0.0, unbiased=True)
    batch = batch_of([0, 1], [2, 5, 3])  # structure 3 has no forces
    atoms = [MIXED[k].n_atoms for k in (0, 1, 2, 5)]
    ratio = (scaled.loss(model_of(), batch).value / task.loss(model_of(), batch).value).item()
    assert ratio == pytest.approx(np.sqrt(sum(atoms) / sum(atoms[:2])), rel=1e-13)
    complete = batch_of([0, 1, 2, 5], [3])
    assert scaled.loss(model_of(), complete).value.item() == task.loss(model_of(), complete).value.item()


@pytest.mark.parametrize(("weights", "activation"), crossed([*WEIGHTS], ["tanh", "gelu"]))
def test_its_gradient_by_the_weights_is_that_of_central_differences(weights, activation):
    alpha, beta = WEIGHTS[weights]
    task, model, batch = task_of(MIXED, alpha, beta), model_of(activation), batch_of([0, 1, 2, 3, 6, 8], [4, 5])
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(task.loss(model, batch).value, parameters, materialize_grads=True)
    largest = max(float(g.norm()) for g in gradients)
    generator = torch.Generator().manual_seed(0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        direction /= direction.norm()
        found = float((gradient * direction).sum())
        assert found == pytest.approx(slope(task, model, batch, parameter, direction), rel=1e-7, abs=1e-8 * largest)


def slope(task, model, batch, parameter, direction, h=1e-3):
    values, start = {}, parameter.detach().clone()
    with torch.no_grad():
        for k in (-2, -1, 1, 2):
            parameter.copy_(start + k * h * direction)
            values[k] = float(task.loss(model, batch).value)
        parameter.copy_(start)
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)


@every_weight
def test_labels_that_are_met_exactly_give_no_gradient(alpha, beta):
    frames = small_data.frames()
    out = small_data.trained().predict(frames, eval_forces=True, eval_stress=True)
    labels = zip(out.total_energy, out.forces, out.stress, strict=True)
    met = [replace(s, energy=e, forces=f, stress=t) for s, (e, f, t) in zip(frames, labels, strict=True)]
    model = model_of()
    loss = task_of(met, alpha, beta).loss(model, batch_of(range(10)))
    loss.value.backward()
    assert loss.value.item() < 1e-13
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_residual_of_zero_gives_the_gradient_zero():
    model, task = model_of(), task_of(small_data.frames(), 0.0, 0.0)
    with torch.no_grad():
        energies = task.data.featurised.surface(model, task.data.featurised.geometry.everything, gradients=False).energy
        task.data.energy.copy_(energies)
    task.loss(model, batch_of([], range(10))).value.backward()
    assert all(not p.grad.any() for p in model.parameters())


def test_a_batch_without_any_label_that_counts_changes_nothing():
    model, task = model_of(), task_of(MIXED, 1.0, 0.0)
    loss = task.loss(model, batch_of([], range(10)))
    loss.value.backward()
    assert loss.value.item() == 0.0
    assert all(not p.grad.any() for p in model.parameters())


def test_structures_of_weight_zero_change_nothing():
    model = model_of()
    task = task_of([replace(s, weight=0.0) for s in small_data.frames()], 0.3, 0.5)
    task.loss(model, batch_of(range(10))).value.backward()
    assert all(not p.grad.any() for p in model.parameters())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library is asked for memory")
def test_what_memory_held_before_changes_no_gradient():
    task, model, found = task_of(MIXED, 0.3, 0.5), model_of(), []
    for _ in range(5):
        loss = task.loss(model, batch_of(range(10)))
        small_data.fill_free_memory_with_nan()
        found.append(torch.autograd.grad(loss.value, list(model.parameters()), materialize_grads=True))
    assert all(torch.equal(one, first) for run in found for one, first in zip(run, found[0], strict=True))
