"""The best linear step in time on a periodic grid: a matrix for each wave, found in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

from potentia.checks import number
from potentia.errors import DataError
from potentia.operators.networks.base import FieldNetwork, FieldShape
from potentia.operators.networks.film import require_parameters

__all__ = ["LinearPropagator", "fit_linear_propagator"]

CHUNK = 1 << 22
"""Numbers of fields that are transformed at a time."""


class LinearPropagator(FieldNetwork):
    """û(k, t + 1) = û(k, t) + A(k, p) û(k, t) + b(p) [k = 0], where A and b are affine in the parameters p.

    Nothing of it is trained by gradients. It works on the grid that it was fitted on.

    Args:
        shape: Sizes that the data set.
        grid: Points along each axis.
        matrices: Real and imaginary parts.  [waves, (parameters + 1)(channels + 1), channels, 2]
        n_parameters: Parameters that A and b depend on.
    """

    matrices: Tensor

    def __init__(self, shape: FieldShape, grid: tuple[int, ...], matrices: Tensor, n_parameters: int) -> None:
        super().__init__(shape, "direct", 1.0)
        self.grid, self.n_parameters = grid, n_parameters
        self.bottleneck_channels = shape.n_channels
        self.register_buffer("matrices", matrices)

    def require_grid(self, grid: tuple[int, ...]) -> None:
        """Raise `DataError` where the grid is not the one it was fitted on."""
        if grid != self.grid:
            raise DataError(f"this linear propagator was fitted on the grid {self.grid}, got {grid}: fit it anew")

    def change(self, fields: Tensor, parameters: Tensor | None) -> Tensor:
        """Return the fields one step later."""
        seen = require_parameters(parameters, self.n_parameters, len(fields))
        given = _regressors(_waves(fields, len(self.grid)), seen)  # [waves, samples, regressors]
        moved = torch.bmm(given, torch.view_as_complex(self.matrices.to(fields.dtype)))
        back = moved.permute(1, 2, 0).unflatten(2, (*self.grid[:-1], self.grid[-1] // 2 + 1))
        axes = tuple(range(2, 2 + len(self.grid)))
        change: Tensor = torch.fft.irfftn(back, s=self.grid, dim=axes, norm="forward")
        return fields + change

    def intermediate_features(self, fields: Tensor, parameters: Tensor | None) -> dict[str, Tensor]:
        """Return the fields one step later as the ``"bottleneck"``: there is nothing in between."""
        return {"bottleneck": self(fields, parameters)}


def fit_linear_propagator(fields: Tensor, parameters: Tensor | None, *, ridge: float = 1e-6) -> LinearPropagator:
    """Return the linear propagator of least squared error of one step, in closed form.

    Args:
        fields: Normalised fields of the training part.  [samples, steps + 1, channels, *grid]
        parameters: Embedded parameters that it may depend on [samples, parameters], None for none.
        ridge: Weight of the squares of the matrices, of each wave in parts of the mean square of what they are
            multiplied by: it draws what the data do not tell to no change.

    Raises:
        DataError: there are no steps.
    """
    number("ridge", ridge, low=0.0)
    if fields.shape[1] < 2:
        raise DataError("a linear propagator needs fields of at least one step behind the initial ones")
    grid, n_channels = tuple(fields.shape[3:]), fields.shape[2]
    size = max(CHUNK // fields[0].numel(), 1)
    sums: tuple[Tensor, Tensor] | None = None
    for begin in range(0, len(fields), size):
        part = fields[begin : begin + size].double()
        seen = None if parameters is None else parameters[begin : begin + size].double()
        found = _normal_equations(part, seen)
        sums = found if sums is None else (sums[0] + found[0], sums[1] + found[1])
    if sums is None:
        raise DataError("a linear propagator needs at least one sample")
    gram, product = sums
    level = gram.diagonal(dim1=1, dim2=2).real.mean(1)  # [waves]
    weight = ridge * torch.where(level > 0, level, 1.0) + torch.finfo(torch.float64).tiny
    eye = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    system = (gram + weight[:, None, None] * eye).cpu()  # small, and the solver of least norm is there only
    matrices = torch.view_as_real(torch.linalg.lstsq(system, product.cpu(), driver="gelsd").solution)
    n_parameters = 0 if parameters is None else parameters.shape[1]
    shape = FieldShape(n_channels, len(grid), n_parameters)
    return LinearPropagator(shape, grid, matrices.to(fields), n_parameters)


def _normal_equations(fields: Tensor, parameters: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return XᴴX [waves, regressors, regressors] and XᴴY [waves, regressors, channels] of all steps."""
    steps = fields.shape[1] - 1
    before, after = fields[:, :-1].flatten(0, 1), fields[:, 1:].flatten(0, 1)
    seen = None if parameters is None else parameters.repeat_interleave(steps, 0)
    n_axes = fields.ndim - 3
    given = _regressors(_waves(before, n_axes), seen)
    change = _waves(after - before, n_axes)
    adjoint = given.mH
    return adjoint @ given, adjoint @ change


def _waves(fields: Tensor, n_axes: int) -> Tensor:
    """Return amplitudes of all waves.  [samples, channels, *grid] → [waves, samples, channels]"""
    axes = tuple(range(2, 2 + n_axes))
    waves: Tensor = torch.fft.rfftn(fields, dim=axes, norm="forward")
    return waves.flatten(2).permute(2, 0, 1)


def _regressors(waves: Tensor, parameters: Tensor | None) -> Tensor:
    """Return û and, for the constant wave only, 1; then both times each parameter.  [waves, samples, regressors]"""
    constant = waves.new_zeros(*waves.shape[:2], 1)
    constant[0] = 1.0
    plain = torch.cat((waves, constant), 2)
    if parameters is None:
        return plain
    times = [plain * parameters[:, k, None] for k in range(parameters.shape[1])]
    return torch.cat((plain, *times), 2)
