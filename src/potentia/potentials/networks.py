"""One network per species: features of atoms in, atomic energies out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from potentia.checks import choice, integer
from potentia.errors import ConfigError
from potentia.nn import ACTIVATIONS, MLP, Trace
from potentia.seeding import torch_stream

__all__ = ["Architecture", "AtomicNetworks", "MemberNetworks", "Networks", "checked_architecture"]

Architecture = dict[str, list[tuple[int, str]]]


class AtomicNetworks(nn.Module):
    """Energies of atoms from their features, each by the network of its species.

    The features are normalised first, x = (G - mean)·scale; the network's output N becomes the energy of the atom by
    N / e_scaling + e_shift (eV), in reference to the free atom. Features that never vary have scale 0: they drop out.
    """

    def __init__(
        self, arch: Architecture, species: Sequence[str], n_features: int, seed: int, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.shapes = tuple((n_features, tuple((int(n), kind) for n, kind in arch[name])) for name in species)
        self.networks = nn.ModuleList(
            MLP(n_features, arch[name], generator=torch_stream(seed, "weights", name), dtype=dtype) for name in species
        )
        self.feature_mean: Tensor
        self.feature_scale: Tensor
        self.e_scaling: Tensor
        self.e_shift: Tensor
        self.register_buffer("feature_mean", torch.zeros(n_features, dtype=dtype))
        self.register_buffer("feature_scale", torch.ones(n_features, dtype=dtype))
        self.register_buffer("e_scaling", torch.ones((), dtype=dtype))
        self.register_buffer("e_shift", torch.zeros((), dtype=dtype))
        self.weights = list(self.parameters())
        """All parameters: to look them up takes a while."""

    def traces(self, features: Sequence[Tensor], *, gradient: bool) -> list[Trace]:
        """Pass the raw features of each species' atoms [atoms of it, features] through its network.

        In the traces, value and gradient are those of the network's own output by its normalised input.
        """
        inputs = [(part - self.feature_mean).mul_(self.feature_scale) for part in features]
        return [net.trace(x, gradient=gradient) for net, x in zip(self._networks, inputs, strict=True)]

    def atomic_energies(self, trace: Trace) -> Tensor:
        """Return the energies (eV) of the atoms of a trace.  [atoms of it]"""
        return trace.value / self.e_scaling + self.e_shift

    def by_weight(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return derivatives by the parameters of all networks, in their order, as those by `weights`."""
        return gradients

    @property
    def slope(self) -> Tensor:
        """What turns the gradient of a trace into that of the atomic energy by the raw features (eV).  [features]"""
        return self.feature_scale / self.e_scaling

    @property
    def _networks(self) -> list[MLP]:
        return cast("list[MLP]", list(self.networks))


class MemberNetworks(nn.Module):
    """The networks of several models that share their normalisation, laid end to end: asked and trained together.

    The network of species s of member m is number ``m·species + s``. All weights are one parameter, of which those of
    the members become views: what is done with it costs as little as with one network.

    Args:
        members: The models; they change with this one from now on.
    """

    def __init__(self, members: Sequence[AtomicNetworks]) -> None:
        super().__init__()
        self._members = tuple(members)
        self.shapes = tuple(shape for member in members for shape in member.shapes)
        parts = [weight for member in members for weight in member.weights]
        self.flat = nn.Parameter(torch.cat([part.detach().reshape(-1) for part in parts]))
        """Weights of all members, [numbers]."""
        own = self.flat.detach().split([part.numel() for part in parts])
        for part, view in zip(parts, own, strict=True):
            part.data = view.view(part.shape)
        self.weights = [self.flat]

    def __len__(self) -> int:
        return len(self._members)

    def member(self, k: int) -> AtomicNetworks:
        """Return one of the models."""
        return self._members[k]

    def by_weight(self, gradients: list[Tensor]) -> list[Tensor]:
        """Return derivatives by the parameters of all networks, in their order, as those by `weights`."""
        return [torch.cat([gradient.reshape(-1) for gradient in gradients])]

    def traces(self, features: Sequence[Tensor], *, gradient: bool) -> list[Trace]:
        """Pass the raw features of each network's atoms [atoms of it, features] through it."""
        n = len(features) // len(self)
        parts = [features[k * n : (k + 1) * n] for k in range(len(self))]
        return [trace for k, part in enumerate(parts) for trace in self.member(k).traces(part, gradient=gradient)]

    def atomic_energies(self, trace: Trace) -> Tensor:
        """Return the energies (eV) of the atoms of a trace.  [atoms of it]"""
        return self.member(0).atomic_energies(trace)

    @property
    def slope(self) -> Tensor:
        """What turns the gradient of a trace into that of the atomic energy by the raw features (eV).  [features]"""
        return self.member(0).slope

    @property
    def feature_mean(self) -> Tensor:
        """[features]"""
        return self.member(0).feature_mean

    @property
    def feature_scale(self) -> Tensor:
        """[features]"""
        return self.member(0).feature_scale

    @property
    def e_scaling(self) -> Tensor:
        """1/eV"""
        return self.member(0).e_scaling

    @property
    def e_shift(self) -> Tensor:
        """eV"""
        return self.member(0).e_shift


Networks: TypeAlias = AtomicNetworks | MemberNetworks
"""What turns features into energies."""


def checked_architecture(arch: Mapping[str, Sequence[tuple[int, str]]], species: Sequence[str]) -> Architecture:
    """Return ``arch`` as plain lists, or raise `ConfigError`: every species needs its hidden layers, and no other."""
    if not arch:
        raise ConfigError("arch must give hidden layers for every species, e.g. {'H': [(10, 'tanh'), (10, 'tanh')]}")
    missing = [name for name in species if name not in arch]
    if missing:
        raise ConfigError(f"arch lacks the species {', '.join(missing)} of the descriptor ({', '.join(species)})")
    foreign = [name for name in arch if name not in species]
    if foreign:
        raise ConfigError(f"arch names {', '.join(foreign)}, unknown to the descriptor ({', '.join(species)})")
    return {name: _checked_layers(name, arch[name]) for name in species}


def _checked_layers(name: str, layers: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not layers:
        raise ConfigError(f"arch[{name!r}] must list at least one hidden layer as (nodes, activation), got {layers!r}")
    checked = []
    for k, layer in enumerate(layers):
        if isinstance(layer, str) or not isinstance(layer, Sequence) or len(layer) != 2:
            raise ConfigError(f"arch[{name!r}][{k}] must be (nodes, activation), got {layer!r}")
        nodes, activation = layer
        where = f"arch[{name!r}][{k}]"
        checked.append(
            (
                integer(f"nodes of {where}", nodes, low=1),
                choice(f"activation of {where}", activation, tuple(ACTIVATIONS)),
            )
        )
    return checked
