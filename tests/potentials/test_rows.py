"""Rows of a loss: derivatives that methods for least squares work with, against autograd and finite differences."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from potentia import Structure
from potentia.potentials import rows as rows_module
from potentia.potentials.batches import StructureBatch
from potentia.potentials.datasets.labelled import LabelledStructures
from potentia.potentials.losses import MAE, RMSE, Huber
from potentia.potentials.residuals import residuals_of
from potentia.potentials.task import LossSettings, PotentialTask
from potentials import small_data
from potentials.small_data import DESCRIPTOR, FREE, crystal, molecule, without

ALONE = Structure(np.zeros((1, 3)), ["O"], energy=FREE["O"] + 0.3, forces=np.zeros((1, 3)), name="alone")
MIXED = [replace(s, weight=[1.0, 0.2, 3.0][k % 3]) for k, s in enumerate([*small_data.frames(9), ALONE])]
MIXED[4] = without(MIXED[4], "forces", "stress")
MIXED[6] = without(MIXED[6], "stress")
MIXED[7] = without(MIXED[7], "forces")
MIXED[8] = replace(MIXED[8], weight=0.0)
MEASURES = {"rmse": RMSE(), "mae": MAE(), "huber": Huber(0.05)}
TERMS = {
    "energy": (0.0, 0.0),
    "energy and forces": (0.3, 0.0),
    "energy and stress": (0.0, 0.4),
    "all": (0.3, 0.5),
    "forces": (1.0, 0.0),
    "stress": (0.0, 1.0),
}
ALL, SOME = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), ()), ((9, 2, 6, 1), (0, 4, 3))
every_term = pytest.mark.parametrize(("alpha", "beta"), TERMS.values(), ids=TERMS)
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
every_number_of_groups = pytest.mark.parametrize("groups", [1, 4, 7])


def task_of(structures, alpha, beta, **options):
    data = LabelledStructures.of(structures, DESCRIPTOR, FREE, gradients=True)
    return PotentialTask(data, torch.arange(0), LossSettings(alpha, beta, **options))


def batch_of(supervised, others=()):
    return StructureBatch(torch.tensor([*supervised, *others], dtype=torch.int64), len(supervised))


def model_of(activation="tanh"):
    return copy.deepcopy(small_data.trained(activation).fitted_.model)


def flat(parts):
    return torch.cat([part.flatten() for part in parts]).double()


def derivative(value, model, **options):
    return flat(torch.autograd.grad(value, list(model.parameters()), materialize_grads=True, **options))


def joined(loss):
    """All rows: residuals [rows] and derivatives by all weights [rows, weights]."""
    parts = list(loss.rows())
    residual = torch.cat([part.residual for part in parts])
    return residual, torch.cat([torch.cat(list(part.jacobian), dim=1) for part in parts])


def assert_rows_have_the_gradient(loss, model, rel=1e-10):
    residual, jacobian = joined(loss)
    expected = derivative(loss.value, model)
    assert float((jacobian.T @ residual - expected).norm()) <= rel * float(expected.norm())
    assert float(expected.norm()) > 0


@every_term
@every_measure
@every_number_of_groups
def test_rows_have_the_gradient_of_the_loss(alpha, beta, measure, groups):
    task, model = task_of(MIXED, alpha, beta, measure=measure, groups=groups), model_of()
    for supervised, others in (ALL, SOME):
        assert_rows_have_the_gradient(task.loss(model, batch_of(supervised, others)), model)


@pytest.mark.parametrize("activation", ["gelu", "twist"])
def test_whatever_the_activation(activation):
    model = model_of(activation)
    assert_rows_have_the_gradient(task_of(MIXED, 0.3, 0.5).loss(model, batch_of(*ALL)), model)


def test_a_subset_that_is_scaled_to_the_whole_scales_its_rows():
    model = model_of()
    assert_rows_have_the_gradient(task_of(MIXED, 0.3, 0.5, unbiased=True).loss(model, batch_of(*SOME)), model)


@every_measure
def test_a_row_of_an_energy_has_its_derivative(measure):
    task, model, (order, _) = task_of(MIXED, 0.0, 0.0, measure=measure), model_of(), ALL
    residual, jacobian = joined(task.loss(model, batch_of((), order)))
    error = residuals_of(model, task.data, batch_of((), order)).kinds["energy"].values
    counted = [k for k in order if MIXED[k].weight > 0]
    assert len(residual) == len(counted)
    for k, r, row in zip(counted, residual, jacobian, strict=True):
        scale = float(r / error[k].detach())
        assert scale > 0
        expected = scale * derivative(error[k], model, retain_graph=True)
        torch.testing.assert_close(row, expected, rtol=1e-11, atol=1e-12)


@every_measure
@every_number_of_groups
@pytest.mark.parametrize("kind", ["force", "virial"])
def test_a_row_of_many_residuals_is_their_length_and_its_derivative(kind, measure, groups):
    """With pulls held fixed, by autograd."""
    task, model = task_of(MIXED, *lone(kind), measure=measure, groups=groups), model_of()
    residual, jacobian = joined(task.loss(model, batch_of(*ALL)))
    lengths = lengths_of(task, kind, groups)
    found = lengths(model)
    assert len(residual) == len(found)
    torch.testing.assert_close(residual, torch.stack(found).detach(), rtol=1e-12, atol=1e-14)
    for row, length in zip(jacobian, found, strict=True):
        if length > 0:  # the force on an atom alone is right whatever the weights
            expected = derivative(length, model, retain_graph=True)
            torch.testing.assert_close(row, expected, rtol=1e-9, atol=1e-10)
        else:
            assert not row.any()


@pytest.mark.parametrize("kind", ["force", "virial"])
def test_the_derivative_of_a_row_is_that_of_central_differences(kind):
    task, model = task_of(MIXED, *lone(kind)), model_of()
    _, jacobian = joined(task.loss(model, batch_of(*ALL)))
    lengths, start, h = lengths_of(task, kind, 4), copy.deepcopy(model.state_dict()), 1e-4
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        direction = {name: torch.randn(p.shape, generator=generator).double() for name, p in model.named_parameters()}
        values = {}
        for k in (-2, -1, 1, 2):
            model.load_state_dict({**start, **{name: start[name] + k * h * d for name, d in direction.items()}})
            values[k] = torch.stack(lengths(model)).detach()
        slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)
        torch.testing.assert_close(jacobian @ flat(direction.values()), slope, rtol=1e-7, atol=1e-8)


def lone(kind):
    return (1.0, 0.0) if kind == "force" else (0.0, 1.0)


def lengths_of(task, kind, groups):
    """Return a function of a model: lengths of the scaled residuals of one kind, with the pulls of now."""
    batch, measure = batch_of(*ALL), task.settings.measure
    one = residuals_of(model_of(), task.data, batch).kinds[kind]
    whole = one.weight.sum()
    value = measure.value(measure.total(one.values, one.weight), whole)
    pull = measure.pull(one.values, one.weight, value, whole).detach()

    def lengths(model):
        squares = pull * residuals_of(model, task.data, batch).kinds[kind].values.square()
        return [torch.sqrt(squares[rows].sum()) for rows in groups_of(kind, groups)]

    return lengths


def groups_of(kind, groups):
    """Places of the residuals that make one row: every ``groups``-th atom of a structure, or one virial."""
    labelled = [s for s in MIXED if getattr(s, "forces" if kind == "force" else "stress") is not None]
    if kind == "virial":
        return [[k] for k, s in enumerate(labelled) if s.weight > 0]
    begin = np.cumsum([0, *(s.n_atoms for s in labelled)])
    atoms = [
        [begin[k] + i for i in range(g, s.n_atoms, groups)] if s.weight > 0 else []
        for g in range(groups)
        for k, s in enumerate(labelled)
    ]
    return [group for group in atoms if group]


def test_what_weighs_nothing_has_no_row():
    counts = {}
    for groups in (1, 4, 7):
        residual, _ = joined(task_of(MIXED, 0.3, 0.5, groups=groups).loss(model_of(), batch_of(*ALL)))
        counts[groups] = len(residual) - 9  # all energies but the one of weight zero
    forces = [s.n_atoms for s in MIXED if s.forces is not None and s.weight > 0]
    stresses = sum(s.stress is not None and s.weight > 0 for s in MIXED)
    assert counts == {g: sum(min(g, n) for n in forces) + stresses for g in (1, 4, 7)}


def test_a_batch_without_any_label_that_counts_has_no_rows():
    loss = task_of(MIXED, 1.0, 0.0).loss(model_of(), batch_of((), (0, 1, 2)))
    assert list(loss.rows()) == []


@pytest.mark.parametrize("alone", ["Ti", "O"])
def test_a_species_that_is_nowhere_has_a_block_of_zeros(alone):
    frames = [crystal(0, 4, (alone,)), molecule(1, 3, (alone,)), crystal(2, 2, (alone,))]
    model = model_of()
    loss = task_of(frames, 0.3, 0.5).loss(model, batch_of((0, 1), (2,)))
    assert_rows_have_the_gradient(loss, model)
    absent = 1 - DESCRIPTOR.species.index(alone)
    for part in loss.rows():
        assert part.jacobian[absent].shape == part.jacobian[1 - absent].shape
        assert not part.jacobian[absent].any()


@every_measure
def test_labels_that_are_met_to_the_bit_give_finite_rows(measure):
    model, task = model_of(), task_of(MIXED, 0.3, 0.5, measure=measure)
    everything = task.data.featurised.geometry.everything
    with torch.no_grad():
        surface = task.data.featurised.surface(model, everything, gradients=True)
        task.data.energy.copy_(surface.energy)
        task.data.forces.copy_(-surface.gradient)
    residual, jacobian = joined(task.loss(model, batch_of(*ALL)))
    assert torch.isfinite(residual).all()
    assert torch.isfinite(jacobian).all()


def test_networks_in_float32_have_rows_in_float64_that_are_near():
    fine, coarse = model_of(), model_of().float()
    expected, found = (joined(task_of(MIXED, 0.3, 0.5).loss(model, batch_of(*ALL))) for model in (fine, coarse))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float64
        assert float((one - other).norm()) < 1e-4 * float(other.norm())


def test_a_batch_is_worked_off_in_parts(monkeypatch):
    task, model = task_of(MIXED, 0.3, 0.5), model_of()
    whole, derivatives = joined(task.loss(model, batch_of(*ALL)))
    monkeypatch.setattr(rows_module, "CHUNK", 3)
    loss = task.loss(model, batch_of(*ALL))
    assert max(len(part.residual) for part in loss.rows()) == 3
    residual, jacobian = joined(loss)
    torch.testing.assert_close(residual.sort().values, whole.sort().values, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(jacobian.T @ jacobian, derivatives.T @ derivatives, rtol=1e-10, atol=1e-12)
    assert_rows_have_the_gradient(loss, model)


def test_rows_leave_autograd_on_for_those_who_take_them():
    loss = task_of(MIXED, 0.3, 0.5).loss(model_of(), batch_of(*ALL))
    for part in loss.rows():
        assert torch.is_grad_enabled()
        assert not part.residual.requires_grad
        assert not any(block.requires_grad for block in part.jacobian)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_networks_on_another_device_than_the_descriptor_have_rows_there():
    expected = joined(task_of(MIXED, 0.3, 0.5).loss(model_of(), batch_of(*ALL)))
    found = joined(task_of(MIXED, 0.3, 0.5).loss(model_of().to("cuda"), batch_of(*ALL)))
    for one, other in zip(found, expected, strict=True):
        assert one.device.type == "cuda"
        torch.testing.assert_close(one.cpu(), other, rtol=1e-8, atol=1e-10)
