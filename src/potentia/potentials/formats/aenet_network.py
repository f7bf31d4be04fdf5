"""Potentials of ænet: what its files ``.nn`` (binary) and ``.nn.ascii`` (text) hold for one species, in 36 records."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from potentia.errors import ConfigError, FileFormatError
from potentia.potentials.formats.aenet_records import (
    BinaryRecords,
    Integers,
    Reals,
    Record,
    RecordReader,
    TextRecords,
    as_binary,
    as_text,
)
from potentia.storage import write_bytes

__all__ = ["ACTIVATION_CODES", "AenetNetwork", "ChebyshevSetup", "read_aenet_network", "write_aenet_network"]

ACTIVATION_CODES = {"linear": 0, "tanh": 1, "sigmoid": 2, "mtanh": 3, "twist": 4}
"""Activations that ænet knows, and their numbers in its files."""
SFTYPE = "Chebyshev"
N_PARAMETERS = 4
N_SPECIES_PER_FEATURE = 2


@dataclass(frozen=True)
class ChebyshevSetup:
    """The Chebyshev descriptor that a file was made with, apart from species and shortest distance."""

    rad_cutoff: float
    """Å"""
    rad_order: int
    ang_cutoff: float
    """Å"""
    ang_order: int

    def n_features(self, n_species: int) -> int:
        """Return the number of features of an atom."""
        return (2 if n_species > 1 else 1) * (self.rad_order + self.ang_order + 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class AenetNetwork:
    """The network of one species with its descriptor, as ænet stores it.

    The energy of an atom is output/scale + shift + the species' own entry of e_atom, after its features G became
    (G - sfval_avg)/√(sfval_cov - sfval_avg²), or 0 where that root is at most 1e-10. Counts and offsets, which the
    files hold too, follow from the rest.
    """

    nodes: tuple[int, ...]
    """Of each layer: the features first, the output (1) last.  [layers]"""
    activations: tuple[int, ...]
    """Number of the activation of each layer but the first, see `ACTIVATION_CODES`.  [layers - 1]"""
    weights: Reals
    """Per layer the matrix [W | b] (outputs, inputs + 1), column by column."""
    description: str
    """Of the descriptor."""
    species: str
    """Whose atoms the network is for."""
    environment: tuple[str, ...]
    """Species that the descriptor tells apart; their order defines its weights."""
    rc_min: float
    """Shortest distance between atoms that buffers are made for, Å."""
    rc_max: float
    """The larger cutoff, Å."""
    sf: Integers
    """Kind of each feature: 0.  [features]"""
    sfparam: Reals
    """Its first column is the descriptor's: rad_cutoff, rad_order, ang_cutoff, ang_order; else 0.  [4, features]"""
    sfenv: Integers
    """Species of each feature: 0.  [2, features]"""
    neval: int
    """Number of atoms that the statistics are of."""
    sfval_min: Reals
    """Lowest value of each feature; information only.  [features]"""
    sfval_max: Reals
    """Highest value; information only.  [features]"""
    sfval_avg: Reals
    """Mean.  [features]"""
    sfval_cov: Reals
    """Mean square.  [features]"""
    training_set: str
    """Name of the training set."""
    normalized: bool
    """Whether energies were scaled and shifted in the training."""
    scale: float
    """1/eV"""
    shift: float
    """eV/atom"""
    type_names: tuple[str, ...]
    """Species of the training set."""
    e_atom: Reals
    """Energies of their free atoms, eV.  [species of the training set]"""
    n_atoms: int
    """Atoms in the training set, 0 if unknown."""
    n_structures: int
    """Structures in it, 0 if unknown."""
    e_range: tuple[float, float, float]
    """Lowest, highest and mean cohesive energy in it, eV/atom; zeros if unknown."""

    @property
    def setup(self) -> ChebyshevSetup:
        """The descriptor's settings."""
        rad_cutoff, rad_order, ang_cutoff, ang_order = (float(value) for value in self.sfparam[:, 0])
        return ChebyshevSetup(rad_cutoff, int(rad_order), ang_cutoff, int(ang_order))

    @property
    def layers(self) -> list[tuple[Reals, Reals]]:
        """Weights [outputs, inputs] and bias [outputs] of each layer."""
        found, at = [], 0
        for n_in, n_out in pairwise(self.nodes):
            size = (n_in + 1) * n_out
            matrix = self.weights[at : at + size].reshape(n_in + 1, n_out).T
            found.append((matrix[:, :-1].copy(), matrix[:, -1].copy()))
            at += size
        return found

    @property
    def own_e_atom(self) -> float:
        """Energy of the free atom of this species, eV."""
        return float(self.e_atom[self.type_names.index(self.species)])

    def to_text(self) -> str:
        """Return the content of a ``.nn.ascii``."""
        return as_text(self._records())

    def to_binary(self) -> bytes:
        """Return the content of a ``.nn``."""
        return as_binary(self._records())

    def _records(self) -> list[Record]:
        n_features = self.nodes[0]
        return [
            *(Record("i", [count]) for count in _counts(self.nodes)),
            Record("i", self.nodes),
            Record("i", self.activations),
            *(Record("i", offsets) for offsets in _offsets(self.nodes)),
            Record("d", self.weights),
            Record("s", [self.description], 1024),
            Record("s", [self.species], 2),
            Record("i", [len(self.environment)]),
            Record("s", self.environment, 2),
            Record("d", [self.rc_min]),
            Record("d", [self.rc_max]),
            Record("s", [SFTYPE], 100),
            Record("i", [n_features]),
            Record("i", [N_PARAMETERS]),
            Record("i", self.sf),
            Record("d", self.sfparam.ravel(order="F")),
            Record("i", self.sfenv.ravel(order="F")),
            Record("i", [self.neval]),
            *(Record("d", values) for values in (self.sfval_min, self.sfval_max, self.sfval_avg, self.sfval_cov)),
            Record("s", [self.training_set], 1024),
            Record("l", [self.normalized]),
            Record("d", [self.scale]),
            Record("d", [self.shift]),
            Record("i", [len(self.type_names)]),
            Record("s", self.type_names, 2),
            Record("d", self.e_atom),
            Record("i", [self.n_atoms]),
            Record("i", [self.n_structures]),
            Record("d", self.e_range),
        ]


def read_aenet_network(path: str | os.PathLike[str]) -> AenetNetwork:
    """Read a potential of ænet; whether the file is text or binary is seen in its content.

    Of a description in text, the first word is kept: Fortran reads no more.

    Raises:
        FileFormatError: the file is cut off, of another kind, or contradicts itself; file and record are named.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"no such file: {path} (looked in {path.parent.resolve()})")
    content = path.read_bytes()
    binary = content[:4] in {struct.pack("<i", 4), struct.pack(">i", 4)} or b"\0" in content[:1024]
    reader = BinaryRecords(path, content) if binary else TextRecords(path, content)
    network = _network(reader)
    reader.finish()
    return network


def write_aenet_network(network: AenetNetwork, path: str | os.PathLike[str]) -> None:
    """Write a potential of ænet, whole or not at all: as text if the name ends with ``.ascii``, in binary if ``.nn``.

    Raises:
        ConfigError: the name ends with neither.
    """
    match Path(path).suffix:
        case ".ascii":
            content = network.to_text().encode()
        case ".nn":
            content = network.to_binary()
        case _:
            raise ConfigError(f"the name of a potential of ænet must end with .nn.ascii or .nn, got {path}")
    write_bytes(path, content)


def _network(reader: RecordReader) -> AenetNetwork:
    nodes, activations, weights = _topology(reader)
    description = reader.text("description", 1024)
    species = reader.text("atomtype", 2)
    environment = reader.texts("envtypes", reader.integer("nenv", 1), 2)
    rc_min, rc_max = reader.real("Rc_min"), reader.real("Rc_max")
    sftype = reader.text("sftype", 100)
    if sftype.casefold() != SFTYPE.casefold():
        raise reader.error(f"expected the descriptor {SFTYPE}, the only one that is read, got {sftype!r}")
    n = reader.integer("nsf", 1, wanted=nodes[0])
    reader.integer("nsfparam", 1, wanted=N_PARAMETERS)
    sf = reader.integers("sf", n)
    sfparam = reader.reals("sfparam", N_PARAMETERS * n).reshape(n, N_PARAMETERS).T
    _check_setup(reader, sfparam[:, 0], n, len(environment))
    sfenv = reader.integers("sfenv", N_SPECIES_PER_FEATURE * n).reshape(n, N_SPECIES_PER_FEATURE).T
    neval = reader.integer("neval", 0)
    low, high, mean, square = (reader.reals(f"sfval_{name}", n) for name in ("min", "max", "avg", "cov"))
    training_set = reader.text("file", 1024)
    normalized = reader.logical("normalized")
    scale = reader.real("scale")
    if scale == 0.0:
        raise reader.error("a scale of 0 leaves no energies")
    shift = reader.real("shift")
    type_names = reader.texts("typeName", reader.integer("nTypes", 1), 2)
    if species not in type_names:
        raise reader.error(f"expected the species of this file, {species}, among {', '.join(type_names)}")
    e_atom = reader.reals("E_atom", len(type_names))
    n_atoms, n_structures = reader.integer("nAtomsTot", 0), reader.integer("nStrucs", 0)
    e_min, e_max, e_mean = (float(value) for value in reader.reals("E_min, E_max, E_av", 3))
    return AenetNetwork(
        nodes=nodes, activations=activations, weights=weights,
        description=description, species=species, environment=environment, rc_min=rc_min, rc_max=rc_max,
        sf=sf, sfparam=sfparam, sfenv=sfenv,
        neval=neval, sfval_min=low, sfval_max=high, sfval_avg=mean, sfval_cov=square,
        training_set=training_set, normalized=normalized, scale=scale, shift=shift,
        type_names=type_names, e_atom=e_atom, n_atoms=n_atoms, n_structures=n_structures,
        e_range=(e_min, e_max, e_mean),
    )  # fmt: skip


def _topology(reader: RecordReader) -> tuple[tuple[int, ...], tuple[int, ...], Reals]:
    """Return nodes, activations and weights."""
    n_layers = reader.integer("nlayers", 2)
    said = [reader.integer(name, 1) for name in ("nnodes_max", "Wsize", "nvalues")]
    nodes = tuple(int(n) for n in reader.integers("nnodes", n_layers))
    if min(nodes) < 1 or nodes[-1] != 1:
        raise reader.error(f"expected layers of at least one node, the last of just one, got {nodes}")
    follows = _counts(nodes)[1:]
    if said != follows:
        raise reader.error(
            f"layers of {nodes} nodes give nnodes_max, Wsize, nvalues = {follows}, but before came {said}"
        )
    activations = tuple(int(code) for code in reader.integers("f_a", n_layers - 1))
    unknown = sorted(set(activations) - set(ACTIVATION_CODES.values()))
    if unknown:
        known = ", ".join(f"{code} {name}" for name, code in ACTIVATION_CODES.items())
        raise reader.error(f"activation {unknown[0]} is unknown: {known}")
    for name, wanted in zip(("iw", "iv"), _offsets(nodes), strict=True):
        found = reader.integers(name, n_layers).tolist()
        if found != wanted:
            raise reader.error(f"expected {wanted}, which follows from the nodes, got {found}")
    return nodes, activations, reader.reals("W", said[1])


def _check_setup(reader: RecordReader, values: Reals, n_features: int, n_species: int) -> None:
    rad_cutoff, rad_order, ang_cutoff, ang_order = values.tolist()
    orders = rad_order >= 0 and ang_order >= 0 and rad_order.is_integer() and ang_order.is_integer()
    if not orders or rad_cutoff <= 0 or ang_cutoff <= 0:
        raise reader.error(
            f"expected rad_cutoff, rad_order, ang_cutoff, ang_order first (cutoffs in Å above 0), got {values.tolist()}"
        )
    wanted = ChebyshevSetup(rad_cutoff, int(rad_order), ang_cutoff, int(ang_order)).n_features(n_species)
    if wanted != n_features:
        raise reader.error(
            f"orders {int(rad_order)} and {int(ang_order)} with {n_species} species give {wanted} features, "
            f"but there are {n_features}"
        )


def _counts(nodes: tuple[int, ...]) -> list[int]:
    """Return nlayers, nnodes_max, Wsize, nvalues."""
    n_weights = sum((n_in + 1) * n_out for n_in, n_out in pairwise(nodes))
    return [len(nodes), max(nodes), n_weights, sum(nodes) + len(nodes) - 1]


def _offsets(nodes: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return where the weights and the values of each layer begin."""
    iw, iv = [0], [0]
    for n_in, n_out in pairwise(nodes):
        iw.append(iw[-1] + (n_in + 1) * n_out)
        iv.append(iv[-1] + n_in + 1)
    return iw, iv
