"""Networks of reactions: a dark cloud conserves what it must, and rates are those of mass action."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from potentia.errors import FileFormatError
from potentia.trajectories import SYSTEMS
from potentia.trajectories.systems import Network, draw_starts, read_reactions
from potentia.trajectories.systems.osu import FILE
from potentia.trajectories.systems.reactions import composition
from trajectories.starts import first_start

TABLE = Path(__file__).parents[2] / "../shared/data/osu_network.tsv"


def test_a_dark_cloud_conserves_atoms_and_charge():
    one = SYSTEMS["osu2008"]
    state, _ = first_start("osu2008")
    found = one.solve(state, one.times)
    assert np.isfinite(found).all()
    assert found.min() > 0
    for part in ("C", "H", "O"):
        count = np.array([composition(label)[part] for label in one.labels])
        np.testing.assert_allclose(found @ count, found[0] @ count, rtol=1e-5)
        assert abs(count @ one.rates(0.0, state, None)) < 1e-13 * (count @ state)
    charge = np.array([composition(label)["charge"] for label in one.labels])
    ions = found @ (charge > 0)
    assert np.abs(found @ charge).max() < 1e-3 * ions[0]
    assert (np.abs(found @ charge) < 2e-3 * ions).all()
    assert abs(charge @ state) < 1e-12
    times = one.times / 31_536_000
    np.testing.assert_allclose(times[[0, -1]], [1e-6, 1e8])
    co = found[:, one.labels.index("CO")]
    assert co[0] == 1e-16
    assert co[-1] > 0.1 * state[[one.labels.index(c) for c in ("C", "C+")]].sum()


def test_a_dark_cloud_starts_neutral_with_four_times_as_much_oxygen():
    one = SYSTEMS["osu2008"]
    starts = draw_starts(one, 16, 3).states
    c, ion, o = (starts[:, one.labels.index(label)] for label in ("C", "C+", "O"))
    assert ((c >= 1e-2) & (c <= 1)).all()
    assert ((ion >= 1e-2) & (ion <= 1)).all()
    np.testing.assert_allclose(o, 4 * (c + ion))
    np.testing.assert_array_equal(starts[:, one.labels.index("H2")], 1e4)


@pytest.mark.slow
def test_a_dark_cloud_is_solved_as_by_another_method():
    one = SYSTEMS["osu2008"]
    state, _ = first_start("osu2008")
    other = one.solve(state, one.times, method="Radau", rtol=1e-8, atol=1e-8)
    assert np.abs(np.log10(one.solve(state, one.times) / other)).max() < 1e-4


def osu_reactions():
    folder = Path(__file__).parents[2] / "src/potentia/trajectories/systems"
    return read_reactions((folder / FILE).read_text(encoding="utf-8"), FILE)


def test_the_dark_cloud_has_all_its_reactions():
    reactions = osu_reactions()
    assert len(reactions) == 224
    assert {name for one in reactions for name in (*one.reactants, *one.products)} == set(SYSTEMS["osu2008"].labels)
    assert [one.kind for one in reactions].count("CR") == 18


@pytest.mark.skipif(not TABLE.is_file(), reason="the table is not there")
def test_the_reactions_are_those_of_the_table():
    with TABLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row, one in zip(rows, osu_reactions(), strict=True):
        assert (" + ".join(one.reactants), " + ".join(one.products), one.kind) == (
            row["reactants"],
            row["products"],
            row["type"],
        )
        assert (one.a, one.alpha, one.gamma) == (float(row["A"]), float(row["alpha"]), float(row["gamma_K"]))


def test_rates_of_mass_action():
    text = (
        "H + H -> H2 2.0 0.5 0.0 MA  # on grains\n\n# radiation\nH2 -> H + H 0.1 0 0 CR\nH2 + H -> H + H + H 3 0 70 MA"
    )
    network = Network(read_reactions(text, "text"), ("H", "H2"), temperature=75.0, ionisation=10.0)
    h, h2 = 3.0, 5.0
    make, split, hit = 2 * 0.5 * h * h, 0.1 * 10 * h2, 3 * np.exp(-70 / 75) * h * h2
    made = network.rates(np.array([h, h2]))
    np.testing.assert_allclose(made, [-2 * make + 2 * split + 2 * hit, make - split - hit], rtol=1e-14)
    slope = network.jacobian(np.array([h, h2]))
    np.testing.assert_allclose(slope[1], [2 * make / h - hit / h, -split / h2 - hit / h2], rtol=1e-14)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("H + H = H2 1 0 0 MA", "line 2: wanted 'reactants -> products A alpha gamma type'"),
        ("H + H -> H2 1 0 MA", "line 2: wanted 'reactants"),
        ("H + H -> H 1 0 0 MA", r"line 2: .* makes \{'H': 1\} of \{'H': 2\}"),
        ("H -> H+ 1 0 0 CR", r"line 2: .* makes \{'H': 1, 'charge': 1\} of \{'H': 1\}"),
        ("H + H -> H2 1 0 0 XX", "line 2: the type must be one of MA, CR, got 'XX'"),
        ("H + H -> H2 one 0 0 MA", "line 2: could not convert string to float: 'one'"),
        ("H + H + H -> H2 + H 1 0 0 MA", "line 2: a reaction has one or two reactants"),
        ("H + h -> H2 1 0 0 MA", "line 2: 'h' is no formula"),
    ],
)
def test_a_line_that_is_no_reaction_is_refused(line, message):
    with pytest.raises(FileFormatError, match=message):
        read_reactions(f"H2 -> H + H 1 0 0 CR\n{line}", "text")
