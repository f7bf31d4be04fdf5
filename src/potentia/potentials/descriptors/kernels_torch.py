"""Features, VJP and JVP of the Chebyshev descriptor in torch operations, on any device.

The same sums as in the modules `*_numba`, written over whole arrays: the path on GPUs, the reference that the CPU
kernels are tested against, and differentiable in the pair vectors to any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potentia.potentials.descriptors.kernels import Kernels
from potentia.potentials.descriptors.pairs import PairsOfAtoms
from potentia.potentials.geometry import Geometry, Selection
from potentia.potentials.neighbours import Neighbours
from potentia.potentials.neighbours_torch import find_neighbours_on
from potentia.potentials.structure import Structure

__all__ = ["TorchKernels"]


@dataclass(frozen=True)
class _Block:
    """One block of the descriptor at some pairs: its cutoff function and the derivative by distance."""

    f: Tensor
    df: Tensor


class TorchKernels(Kernels):
    """The path on any device."""

    def search(self, structures: Sequence[Structure], cutoff: float) -> list[Neighbours]:
        """Return the neighbours of each structure; open systems by torch_cluster on the device, if it is installed."""
        return find_neighbours_on(self.spin.device, structures, cutoff)

    def features(self, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """Return features [atoms, features] and moments [atoms, blocks, 2, triangle]."""
        pairs = PairsOfAtoms.of(geometry, None)
        unit, distance = _unit(pairs.vector)
        weights = self._weights(pairs.species)  # [pairs, blocks]
        radial = self._cutoff(distance, self.rad_cutoff).f[:, None] * self._chebyshev(distance)
        angular = self._cutoff(distance, self.ang_cutoff)
        q, cos, sin = self._harmonics(unit)
        waves = angular.f[:, None, None] * torch.stack((q * cos, q * sin), dim=1)  # [pairs, 2, triangle]
        sums = pairs.sum(weights[:, :, None] * radial[:, None, :])
        moments = pairs.sum(weights[:, :, None, None] * waves[:, None])
        squares = pairs.sum((weights * angular.f[:, None]) ** 2)
        values = (self._by_order(moments * moments) - squares[:, :, None]) / 2
        return torch.cat((sums, values), dim=2).flatten(1), moments

    def vjp(
        self, geometry: Geometry, moments: Tensor, selection: Selection, cotangent: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the derivative of Σ cotangent·features by positions [atoms, 3] and strain [structures, 3, 3]."""
        pairs = PairsOfAtoms.of(geometry, selection)
        by_pair = self._by_pair(pairs, moments[selection.atoms], cotangent)
        return pairs.pulled(selection, by_pair)

    def pair_gradients(self, geometry: Geometry, moments: Tensor, cotangent: Tensor, by_pair: Tensor) -> Tensor:
        """Fill ``by_pair`` [pairs, 3], and return the derivative by strain of each centre's pairs [atoms, 3, 3]."""
        pairs = PairsOfAtoms.of(geometry, None)
        by_pair.copy_(self._by_pair(pairs, moments, cotangent))
        return pairs.sum(by_pair[:, :, None] * pairs.vector[:, None, :])

    def jvp(self, geometry: Geometry, moments: Tensor, selection: Selection, shift: Tensor, strain: Tensor) -> Tensor:
        """Return the change of the features along shift [atoms, 3] and strain [structures, 3, 3]."""
        pairs = PairsOfAtoms.of(geometry, selection)
        unit, distance = _unit(pairs.vector)
        weights = self._weights(pairs.species)
        move = pairs.moved(selection, shift, strain)
        along = (move * unit).sum(1)
        turn = (move - along[:, None] * unit) / distance[:, None]
        block = self._cutoff(distance, self.rad_cutoff)
        radial = block.df[:, None] * self._chebyshev(distance) + block.f[:, None] * self._chebyshev_slope(distance)
        radial = along[:, None] * radial
        block = self._cutoff(distance, self.ang_cutoff)
        q, cos, sin = self._harmonics(unit)
        waves = (block.df * along)[:, None, None] * torch.stack((q * cos, q * sin), dim=1)
        waves = waves + block.f[:, None, None] * self._harmonic_change(unit, q, cos, sin, turn)
        sums = pairs.sum(weights[:, :, None] * radial[:, None, :])
        change = pairs.sum(weights[:, :, None, None] * waves[:, None])
        squares = pairs.sum(weights**2 * (block.f * block.df * along)[:, None])
        values = self._by_order(moments[selection.atoms] * change) - squares[:, :, None]
        return torch.cat((sums, values), dim=2).flatten(1)

    def _by_pair(self, pairs: PairsOfAtoms, moments: Tensor, cotangent: Tensor) -> Tensor:
        """Return the derivative of Σ cotangent·features by the vector of each pair.  [pairs, 3]"""
        unit, distance = _unit(pairs.vector)
        weights = self._weights(pairs.species)
        g = cotangent.unflatten(1, (self.blocks, -1))  # [atoms, blocks, features of a block]
        g_rad, g_ang = g[..., : self.rad_order + 1], g[..., self.rad_order + 1 :]
        block = self._cutoff(distance, self.rad_cutoff)
        coefficient = torch.einsum("pb,pbn->pn", weights, g_rad[pairs.centre])
        along = block.df * (coefficient * self._chebyshev(distance)).sum(1)
        along = along + block.f * (coefficient * self._chebyshev_slope(distance)).sum(1)
        by_degree = (g_ang @ self._table("legendre"))[..., self._table("degree")]  # [atoms, blocks, triangle]
        wave = by_degree[:, :, None, :] * moments
        wave = torch.einsum("pb,pbct->pct", weights, wave[pairs.centre])  # [pairs, 2, triangle]
        block = self._cutoff(distance, self.ang_cutoff)
        q, cos, sin = self._harmonics(unit)
        value = (wave[:, 0] * q * cos + wave[:, 1] * q * sin).sum(1)
        gradient = self._harmonic_gradient(unit, q, cos, sin, wave)  # [pairs, 3]
        self_weight = ((weights**2)[:, :, None] * g_ang[pairs.centre]).sum((1, 2))
        along = along + block.df * (value - block.f * self_weight)
        tangent = gradient - (gradient * unit).sum(1, keepdim=True) * unit
        by_pair: Tensor = along[:, None] * unit + (block.f / distance)[:, None] * tangent
        return by_pair

    def _table(self, name: str) -> Tensor:
        value = torch.from_numpy(getattr(self.tables, name)).to(self.spin.device)
        return value.to(self.spin.dtype) if value.is_floating_point() else value

    def _weights(self, species: Tensor) -> Tensor:
        spin = self.spin[species]
        return torch.stack((torch.ones_like(spin), spin), dim=1)[:, : self.blocks]

    def _cutoff(self, distance: Tensor, cutoff: float) -> _Block:
        inside = (distance < cutoff) & (distance > self.min_cutoff)
        phase = (math.pi / cutoff) * distance
        f = torch.where(inside, 0.5 * (torch.cos(phase) + 1), 0.0)
        return _Block(f, torch.where(inside, (-0.5 * math.pi / cutoff) * torch.sin(phase), 0.0))

    def _chebyshev(self, distance: Tensor) -> Tensor:
        """T_n(2r/Rc - 1).  [pairs, rad_order + 1]"""
        x = distance * (2 / self.rad_cutoff) - 1
        t = [torch.ones_like(x), x]
        for _ in range(2, self.rad_order + 1):
            t.append(2 * x * t[-1] - t[-2])
        return torch.stack(t[: self.rad_order + 1], dim=1)

    def _chebyshev_slope(self, distance: Tensor) -> Tensor:
        """The derivative of T_n(2r/Rc - 1) by r: n U_{n-1} 2/Rc, regular at both ends.  [pairs, rad_order + 1]"""
        x = distance * (2 / self.rad_cutoff) - 1
        u = [torch.zeros_like(x), torch.ones_like(x)]
        for _ in range(2, self.rad_order + 1):
            u.append(2 * x * u[-1] - u[-2])
        n = torch.arange(self.rad_order + 1, dtype=x.dtype, device=x.device)
        return torch.stack(u[: self.rad_order + 1], dim=1) * n * (2 / self.rad_cutoff)

    def _harmonics(self, unit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q_lm(z), Re (x+iy)^m and Im (x+iy)^m over the triangle.  [pairs, triangle] each"""
        x, y, z = unit.unbind(1)
        cos, sin = [torch.ones_like(x)], [torch.zeros_like(x)]
        columns: list[Tensor] = []
        order, first = self.tables.order, self.tables.first
        for m in range(order + 1):
            if m:
                cos_m, sin_m = x * cos[-1] - y * sin[-1], x * sin[-1] + y * cos[-1]
                cos.append(cos_m)
                sin.append(sin_m)
            older, newer = torch.zeros_like(z), torch.full_like(z, float(self.tables.diagonal[m]))
            columns.append(newer)
            for t in range(first[m] + 1, first[m + 1]):
                older, newer = newer, float(self.tables.rise[t]) * z * newer - float(self.tables.fall[t]) * older
                columns.append(newer)
        turn = self._turn()
        return torch.stack(columns, dim=1), torch.stack(cos, dim=1)[:, turn], torch.stack(sin, dim=1)[:, turn]

    def _turn(self) -> Tensor:
        """The m of each entry of the triangle.  [triangle]"""
        first = torch.from_numpy(self.tables.first)
        return torch.repeat_interleave(torch.arange(self.tables.order + 1), first.diff()).to(self.spin.device)

    def _slopes(self, q: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dQ_lm/dz, and m Re (x+iy)^(m-1), m Im (x+iy)^(m-1), over the triangle."""
        m = self._turn()
        degree = self._table("degree")
        first = torch.from_numpy(self.tables.first).to(m.device)
        above = torch.where(degree > m, first[m + 1] + degree - m - 1, 0)  # the entry (l, m+1)
        before = torch.where(m > 0, first[m - 1] + 0, 0)  # an entry of m-1
        dq = self._table("slope") * q[:, above]
        return dq, m * cos[:, before], m * sin[:, before]

    def _harmonic_gradient(self, unit: Tensor, q: Tensor, cos: Tensor, sin: Tensor, wave: Tensor) -> Tensor:
        """Gradient by (x, y, z) of Σ wave·harmonics, before projection on the sphere.  [pairs, 3]"""
        dq, dcos, dsin = self._slopes(q, cos, sin)
        even, odd = wave[:, 0], wave[:, 1]
        gx = (q * (even * dcos + odd * dsin)).sum(1)
        gy = (q * (odd * dcos - even * dsin)).sum(1)
        gz = (dq * (even * cos + odd * sin)).sum(1)
        return torch.stack((gx, gy, gz), dim=1)

    def _harmonic_change(self, unit: Tensor, q: Tensor, cos: Tensor, sin: Tensor, turn: Tensor) -> Tensor:
        """Change of each harmonic when the unit vector turns by ``turn`` [pairs, 3].  [pairs, 2, triangle]"""
        dq, dcos, dsin = self._slopes(q, cos, sin)
        tx, ty, tz = (turn[:, k, None] for k in range(3))
        even = q * (tx * dcos - ty * dsin) + tz * dq * cos
        odd = q * (tx * dsin + ty * dcos) + tz * dq * sin
        return torch.stack((even, odd), dim=1)

    def _by_order(self, products: Tensor) -> Tensor:
        """Sum products of moments [atoms, blocks, 2, triangle] to Chebyshev orders.  [atoms, blocks, ang_order + 1]"""
        shape = (*products.shape[:2], self.tables.order + 1)
        power = torch.zeros(shape, dtype=products.dtype, device=products.device)
        power = power.index_add(2, self._table("degree"), products.sum(2))
        return power @ self._table("legendre").T


def _unit(vector: Tensor) -> tuple[Tensor, Tensor]:
    distance = vector.norm(dim=1)  # [pairs], Å
    return vector / distance[:, None], distance
