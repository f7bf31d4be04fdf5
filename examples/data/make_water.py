"""Make water.xyz: water molecules, clusters, ice and liquid cells labelled with GFN1-xTB by tblite.

    pip install tblite ase
    python examples/data/make_water.py            # writes water.xyz beside this script, in about 25 minutes
    python examples/data/make_water.py --check    # finite-difference checks of the labels in water.xyz

tblite samples the Gamma point only, which is up to 7 meV per atom off for cells of 6 to 7 Å.  So periodic frames are
labelled in their 2x2x2 supercell, the same as a 2x2x2 k-point mesh.
"""

import itertools
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread: the order of sums, and so the last digits, is fixed

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.geometry import get_distances
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS, FIRE
from scipy.spatial.transform import Rotation
from tblite.ase import TBLite

SEED = 20240607
LABELS = {"method": "GFN1-xTB", "accuracy": 0.1, "verbosity": 0}  # accuracy: a factor on the convergence limits
MAX_FORCE, MIN_DISTANCE = 15.0, 0.7  # eV/Å and Å: frames beyond either are dropped
OUTPUT = Path(__file__).with_name("water.xyz")
Frames = list[tuple[str, Atoms]]  # (series, frame); the frames of one MD run are one series


def evaluate(atoms: Atoms, repeat: int = 2) -> dict[str, float | np.ndarray]:
    """Energy (eV), forces (eV/Å) and, for a periodic frame, stress (eV/Å^3) of one cell of the repeated crystal."""
    big = atoms.repeat(repeat if atoms.pbc.all() else 1)
    big.calc = TBLite(**LABELS)
    forces = big.get_forces().reshape(-1, len(atoms), 3)
    results = {"energy": big.get_potential_energy() / len(forces), "forces": forces.mean(axis=0)}
    return results | {"stress": big.get_stress()} if atoms.pbc.all() else results


def label(atoms: Atoms, group: str, series: str) -> Atoms | None:
    """A bare copy of `atoms` with its labels, or None where atoms are too near or a force is too large."""
    frame = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if frame.get_all_distances(mic=frame.pbc.all())[np.triu_indices(len(frame), 1)].min() <= MIN_DISTANCE:
        return None
    results = evaluate(frame)
    frame.info = {"config_type": group, "series": series}
    frame.calc = SinglePointCalculator(frame, **results)
    return frame if np.linalg.norm(results["forces"], axis=1).max() < MAX_FORCE else None


def turned(water: Atoms, rng: np.random.Generator, centre: np.ndarray | tuple[float, ...] = (0, 0, 0)) -> Atoms:
    return Atoms(water.numbers, Rotation.from_quat(rng.normal(size=4)).apply(water.positions) + centre)


def packed(water: Atoms, count: int, volume: float, periodic: bool, rng: np.random.Generator) -> Atoms:
    """`count` molecules at random in a cube of `volume` Å^3 each, no two nearer than 1.7 Å."""
    length = (count * volume) ** (1 / 3)
    box = Atoms(cell=[length] * 3, pbc=periodic)
    tries = 0
    while len(box) < 3 * count:
        tries += 1
        if tries % 2000 == 0:
            del box[:]  # stuck: start again
        new = turned(water, rng, rng.uniform(0, length, 3))
        if not len(box) or get_distances(new.positions, box.positions, box.cell, box.pbc)[1].min() > 1.7:
            box += new
    return box if periodic else Atoms(box.numbers, box.positions)


def ice(constant: float, rng: np.random.Generator) -> Atoms:
    """Cubic ice, 8 molecules, with a random one of the proton orders that obey the ice rules."""
    fcc = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])  # in quarters of the lattice constant
    bonds = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    ends = [[next(k for k in range(4) if not ((a + b - fcc[k] - 1) % 4).any()) for b in bonds] for a in fcc]
    pairs = list(itertools.combinations(range(4), 2))  # the two bonds along which a molecule gives its protons
    two = [0, 0, 1, 1, 2, 2, 3, 3]  # what the molecules at the other ends are to get
    valid = [c for c in itertools.product(pairs, repeat=4) if sorted(ends[i][j] for i in range(4) for j in c[i]) == two]
    choice = valid[rng.integers(len(valid))]
    oxygen = np.concatenate([fcc, fcc + 1]) * constant / 4
    along, sites = 0.97 * bonds / np.sqrt(3), itertools.product(range(4), range(4))
    hydrogen = [oxygen[i] + along[j] if j in choice[i] else oxygen[4 + ends[i][j]] - along[j] for i, j in sites]
    return Atoms("O8H16", np.concatenate([oxygen, hydrogen]), cell=[constant] * 3, pbc=True)


def disturbed(atoms: Atoms, rng: np.random.Generator, rattle: float, normal: float = 0.0, shear: float = 0.0) -> Atoms:
    """A copy under a random symmetric strain that carries the atoms along, then rattled."""
    atoms = atoms.copy()
    strain = np.diag(rng.uniform(-normal, normal, 3))
    strain[np.triu_indices(3, 1)] = rng.uniform(-shear, shear, 3) / 2
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + strain + np.triu(strain, 1).T), scale_atoms=True)
    atoms.positions += rng.normal(0, rattle, atoms.positions.shape)
    return atoms


def dynamics(atoms: Atoms, kelvin: int, frames: int, name: str, rng: np.random.Generator) -> Frames:
    """Frames 25 fs apart of a Langevin run, after a short quench and 125 fs."""
    atoms.calc = TBLite(**LABELS | {"accuracy": 1.0})
    FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=0.3, steps=40)
    atoms.set_masses(np.where(atoms.numbers == 1, 4.0, 15.999))  # heavy H: same ensemble, safe at a step of 1 fs
    MaxwellBoltzmannDistribution(atoms, temperature_K=kelvin, rng=rng)
    run = Langevin(atoms, 1.0 * units.fs, temperature_K=kelvin, friction=0.02 / units.fs, fixcm=False, rng=rng)
    run.run(100)
    taken = []
    for _ in range(frames):
        run.run(25)
        taken.append((f"{name}-{kelvin}K", atoms.copy()))
    return taken


def monomers(water: Atoms, rng: np.random.Generator) -> Frames:
    frames = [("relaxed", water)]
    for _ in range(40):
        (r1, r2), angle = rng.uniform(0.82, 1.35, 2), np.radians(rng.uniform(80, 140))
        bent = Atoms("OHH", [[0, 0, 0], [r1, 0, 0], [r2 * np.cos(angle), r2 * np.sin(angle), 0]])
        frames.append(("bent", turned(bent, rng)))
    return frames + [f for kelvin in (300, 600) for f in dynamics(disturbed(water, rng, 0.02), kelvin, 10, "md", rng)]


def dimers(water: Atoms, rng: np.random.Generator) -> Frames:
    apart = np.repeat(np.linspace(2.3, 5.0, 28), 2)
    frames = [("distance", disturbed(turned(water, rng) + turned(water, rng, (0, 0, d)), rng, 0.02)) for d in apart]
    for run, kelvin in enumerate((100, 200, 300, 500)):
        frames += dynamics(packed(water, 2, 40, False, rng), kelvin, 8, f"md{run}", rng)
    return frames


def clusters(water: Atoms, rng: np.random.Generator) -> Frames:
    frames = []
    for run, (count, kelvin) in enumerate(itertools.product((3, 4, 5, 6), (150, 300, 600))):
        taken = dynamics(packed(water, count, 35, False, rng), kelvin, 6, f"{count}-md{run}", rng)
        frames += taken + [(series, disturbed(frame, rng, 0.06)) for series, frame in taken[1::3]]
    return frames


def ices(water: Atoms, rng: np.random.Generator) -> Frames:
    a = 6.37  # an O-O distance of 2.76 Å
    frames = [("scaled", disturbed(ice(a * s, rng), rng, 0.03)) for s in np.repeat(np.linspace(0.92, 1.08, 17), 2)]
    frames += [("sheared", disturbed(ice(a, rng), rng, 0.04, 0.05, 0.15)) for _ in range(36)]
    for run, kelvin in enumerate((100, 150, 200, 250, 300, 400, 500)):
        frames += dynamics(disturbed(ice(a, rng), rng, 0.02, 0.05, 0.1), kelvin, 6, f"md{run}", rng)
    return frames


def liquids(water: Atoms, rng: np.random.Generator) -> Frames:
    frames = []
    for run, count in enumerate([8] * 9 + [10] * 3 + [12] * 2):
        box = disturbed(packed(water, count, rng.uniform(27.5, 36), True, rng), rng, 0.0, 0.03, 0.1 * (run % 2))
        frames += dynamics(box, (300, 375, 450, 600)[run % 4], 7, f"{count}-md{run}", rng)
    return frames


def make() -> None:
    rng = np.random.default_rng(SEED)
    water = molecule("H2O")
    water.calc = TBLite(**LABELS)
    BFGS(water, logfile=None).run(fmax=1e-3)
    water = Atoms("OHH", water.positions - water.positions[0])
    done, groups = [], {"monomer": monomers, "dimer": dimers, "cluster": clusters, "ice": ices, "liquid": liquids}
    for group, sample in groups.items():
        made = [label(frame, group, f"{group}-{series}") for series, frame in sample(water, rng)]
        done += [frame for frame in made if frame is not None]
        print(f"{group}: {len(made)} frames, {made.count(None)} of them dropped", flush=True)
    partial = OUTPUT.with_name(OUTPUT.name + ".tmp")
    write(partial, [done[i] for i in rng.permutation(len(done))], format="extxyz")
    partial.replace(OUTPUT)


def slope(frame: Atoms, step: float, shift: np.ndarray | float = 0.0, strain: np.ndarray | float = 0.0) -> float:
    """Four-point central difference of the energy along `shift` and `strain`."""
    total = 0.0
    for x, weight in ((-2 * step, 1), (-step, -8), (step, 8), (2 * step, -1)):
        trial = frame.copy()
        trial.set_cell(frame.cell[:] @ (np.eye(3) + x * strain), scale_atoms=True)
        trial.positions += x * shift
        total += weight * evaluate(trial)["energy"]
    return total / (12 * step)


def check() -> None:
    """Print the greatest error of the labels against finite differences, for the last frame of each group."""
    for group, frame in {frame.info["config_type"]: frame for frame in read(OUTPUT, ":")}.items():
        moves = np.eye(3 * len(frame)).reshape(-1, len(frame), 3)[:: max(1, 3 * len(frame) // 8)]
        errors = [abs((frame.get_forces() * move).sum() + slope(frame, 2e-3, shift=move)) for move in moves]
        print(f"{group}: {len(errors)} force components, greatest error {max(errors):.1e} eV/Å", flush=True)
        if frame.pbc.all():
            pairs = [np.outer(a, b) for a, b in itertools.combinations_with_replacement(np.eye(3), 2)]
            slopes = [slope(frame, 1e-3, strain=(pair + pair.T) / 2) / frame.get_volume() for pair in pairs]
            errors = np.abs(np.array(slopes) - frame.get_stress()[[0, 5, 4, 1, 3, 2]])
            print(f"{group}: 6 stress components, greatest error {max(errors):.1e} eV/Å^3", flush=True)


if __name__ == "__main__":
    check() if sys.argv[1:] == ["--check"] else make()
