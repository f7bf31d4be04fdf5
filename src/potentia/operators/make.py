"""Data of a system: parameters of one Sobol sequence, fields and noise from seeds, parts by set of parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentia.checks import did_you_mean, integer
from potentia.errors import ConfigError
from potentia.operators.dataset import PARTS, OperatorData
from potentia.operators.record import CHECK_STEPS, Floats, Record, Run, largest_of, sound
from potentia.operators.space import Continuous, ParameterSpace
from potentia.operators.systems import SYSTEMS, FieldSystem, register, system
from potentia.seeding import stream

__all__ = ["make_data", "make_record", "sobol_design"]

INSIDE = 0.9
"""Part of the range of a parameter that train, val and test are drawn from, where the rest is for extrapolation."""


def make_data(
    name: str | FieldSystem,
    *,
    n_train: int = 512,
    n_val: int = 64,
    n_test: int = 64,
    seed: int = 0,
    grid: tuple[int, ...] | None = None,
    steps: int | None = None,
    every: int = 1,
    extrapolation: str | None = None,
    realizations: int = 1,
) -> OperatorData:
    """Return data of a system, ready to train on; `make_record` returns all that is known of them.

    To ask for more of ``val`` changes nothing in train and test, and a sample is a function of ``seed`` and its place
    only: train and test are the first sets of parameters, in this order, then come val and extrapolation.

    Args:
        name: A name in `SYSTEMS`, or a system.
        n_train: Sets of parameters to fit; with test and val best a power of two in all.
        n_val: Sets of parameters to select models by.
        n_test: Sets of parameters held out.
        seed: Of parameters, initial fields and noise.
        grid: Points along each axis; None is the system's own.
        steps: Fields to keep behind the initial one; None is as many as the system's own time has.
        every: Steps of the system between two fields.
        extrapolation: Parameter whose upper tenth of range is kept out of all parts but one of its own, which has as
            many sets of parameters as test.
        realizations: Samples of each set of parameters, each with its own initial field and noise.

    Raises:
        ConfigError: there is no such system or parameter, or a part would be empty.
        DataError: no sample of a part is sound.

    >>> make_data("gray_scott", n_train=4, n_test=2, n_val=2, grid=(8, 8), steps=3).train.fields.shape
    (4, 4, 2, 8, 8)
    """
    return make_record(
        name,
        n_train=n_train,
        n_val=n_val,
        n_test=n_test,
        seed=seed,
        grid=grid,
        steps=steps,
        every=every,
        extrapolation=extrapolation,
        realizations=realizations,
    ).data()


def make_record(
    name: str | FieldSystem,
    *,
    n_train: int = 512,
    n_val: int = 64,
    n_test: int = 64,
    seed: int = 0,
    grid: tuple[int, ...] | None = None,
    steps: int | None = None,
    every: int = 1,
    extrapolation: str | None = None,
    realizations: int = 1,
) -> Record:
    """Return what `make_data` does with seeds, states to check by, and the samples that went wrong."""
    one = _known(name)
    sizes = [integer(key, n, low=1) for key, n in (("n_train", n_train), ("n_test", n_test), ("n_val", n_val))]
    every = integer("every", every, low=1)
    kept = max(1, one.steps // every) if steps is None else integer("steps", steps, low=1)
    beyond = 0 if extrapolation is None else n_test
    outlay = _Outlay(one, _grid(one, grid), integer("seed", seed, low=0), integer("realizations", realizations, low=1))
    drawn = [outlay.draw(sum(sizes), extrapolation)]
    if extrapolation is not None:
        drawn.append(outlay.draw(beyond, extrapolation, beyond=True))
    values = np.concatenate([some.values for some in drawn])
    initial = np.concatenate([some.initial for some in drawn])
    seeds = np.concatenate([some.seeds for some in drawn])
    run = Run(system=one.name, settings=one.settings(), steps=kept, every=every, seed=seed)
    fields = run.trajectories(initial, values, seeds)
    places = np.array([PARTS.index(part) for part in ("train", "test", "val", "extrapolation")], dtype=np.uint8)
    return Record(
        values=values,
        group=np.repeat(np.arange(sum(sizes) + beyond), outlay.realizations),
        part=np.repeat(places, [n * outlay.realizations for n in (*sizes, beyond)]),
        initial=initial,
        trajectories=fields,
        sound=sound(largest_of(fields), one.bound),
        largest=largest_of(fields),
        check=fields[:, min(CHECK_STEPS, kept)],
        seeds=seeds,
        digests=run.digests(seeds),
        kinds=tuple(kind for some in drawn for kind in some.kinds),
        space=one.space,
        channels=one.channels,
        axes=one.axes,
        time_step=one.time_step * every,
        name=one.name,
        run=run,
    )


def sobol_design(space: ParameterSpace, m: int, seed: int) -> Floats:
    """Return the 2^m first points of a scrambled Sobol sequence in the unit cube.  [2^m, parameters]

    Scrambled by a random linear map of the digits and a shift, not by full nested permutations; a function of ``seed``.

    >>> from potentia.operators import Continuous
    >>> sobol_design(ParameterSpace((Continuous(name="a", low=0, high=1),)), 2, seed=0).shape
    (4, 1)
    """
    from scipy.stats import qmc  # takes a second and 20 MB, which who makes no data should not pay

    m, source = integer("m", m, low=0, high=30), stream(seed, "parameters")
    if not len(space):
        return np.zeros((2**m, 0))
    points = qmc.Sobol(len(space), scramble=True, rng=source).random_base2(m)
    return np.asarray(np.clip(points, 0.0, np.nextafter(1.0, 0.0)))


@dataclass(frozen=True)
class _Drawn:
    """What samples begin from."""

    values: Floats
    initial: NDArray[np.float32]
    seeds: NDArray[np.uint64]
    kinds: list[str]


@dataclass(frozen=True)
class _Outlay:
    """What all samples have in common."""

    system: FieldSystem
    grid: tuple[int, ...]
    seed: int
    realizations: int

    def draw(self, groups: int, kept_out: str | None, *, beyond: bool = False) -> _Drawn:
        """Return parameters, initial fields and seeds of some sets of parameters, in or outside of the common range."""
        seed = int(stream(self.seed, "extrapolation").integers(2**63)) if beyond else self.seed
        unit = sobol_design(self.system.space, (groups - 1).bit_length(), seed)[:groups]
        if kept_out is not None:
            column = _column(self.system, kept_out)
            unit[:, column] = INSIDE + (1 - INSIDE) * unit[:, column] if beyond else INSIDE * unit[:, column]
        samples = groups * self.realizations
        return _Drawn(
            np.repeat(self.system.space.values(unit), self.realizations, axis=0),
            np.asarray(self.system.initial(samples, self.grid, seed).numpy(), dtype=np.float32),
            stream(seed, "noise").integers(2**63, size=samples, dtype=np.uint64),
            self.system.kinds(samples, seed),
        )


def _known(name: str | FieldSystem) -> FieldSystem:
    """Return the system; one that is given becomes known by its name, so that its data can be solved again."""
    if isinstance(name, str):
        return system(name)
    if type(SYSTEMS.get(name.name)) is not type(name):
        register(name)
    return name


def _grid(one: FieldSystem, grid: tuple[int, ...] | None) -> tuple[int, ...]:
    if grid is None:
        return one.grid
    if len(grid) != len(one.axes):
        raise ConfigError(f"{one.name} has the axes {', '.join(one.axes)}, so grid must be {len(one.axes)} numbers")
    return tuple(integer("grid", n, low=4) for n in grid)


def _column(one: FieldSystem, name: str) -> int:
    """Return the column of a parameter that can be extrapolated in."""
    if name not in one.space.names:
        raise ConfigError(f"{one.name} has no parameter {name!r}{did_you_mean(name, one.space.names)}")
    column = one.space.names.index(name)
    match one.space.dimensions[column]:
        case Continuous(angle=False):
            return column
    raise ConfigError(f"{one.name}: extrapolation needs a parameter that is a real number and no angle, not {name!r}")
