"""Energies of free atoms: known solutions, laws of the fit, and every setting and sample that cannot be."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest

from potentia import ReferenceEnergies, Structure, TorchTrainingConfig, iter_composition_energy_samples_from_files
from potentia.errors import ConfigError, DataError, FileFormatError, PotentiaError
from potentia.potentials.compositions import composition, formula, unit_of
from potentia.potentials.formats.xsf import write_xsf
from potentials.small_data import FREE, frames, without

DATA = Path(__file__).parents[2] / "../shared/data"
regression = ReferenceEnergies.from_regression
compounds = ReferenceEnergies.from_reference_compounds
AB = [({"A": 2}, 2.0), ({"B": 2}, 4.0), ({"A": 1, "B": 1}, 3.0), ({"A": 2, "B": 1}, 4.0)]
MIXED = [({"A": 1, "C": 2}, 11.0), ({"B": 1, "C": 2}, 12.0)]
NOISY = [("A", 0.95), ("B", 2.05), ("AB", 3.02), ("A2B", 3.91), ("AB2", 5.10), ("A2B2", 6.0)]


def random_samples(n, free, seed=0, noise=0.0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, (n, len(free)))
    counts[:, 0] += 1
    energies = counts @ np.array(list(free.values())) + noise * rng.normal(size=n)
    return [(dict(zip(free, row, strict=True)), e) for row, e in zip(counts.tolist(), energies.tolist(), strict=True)]


# ------------------------------------------------------------------------------------------------- known answers


def test_exact_samples_give_the_energies_they_were_made_of():
    found = regression(AB)
    assert found.method == "regression"
    assert found.atomic_energies == pytest.approx({"A": 1.0, "B": 2.0})
    assert found.metadata["rank"] == 2
    assert found.metadata["n_samples_total"] == found.metadata["n_samples_used"] == 4
    assert found.metadata["rmse"] == pytest.approx(0.0, abs=1e-12)


def test_fixed_energies_are_kept_and_the_others_fitted_to_what_is_left():
    found = regression(MIXED, fixed_atomic_energies={"C": 5.0})
    assert found.atomic_energies == pytest.approx({"A": 1.0, "B": 2.0, "C": 5.0})
    assert found.metadata["fixed_atomic_energies"] == {"C": 5.0}
    assert found.metadata["free_species"] == ["A", "B"]
    assert found.metadata["species_order"] == ["A", "B", "C"]


def test_with_all_energies_fixed_only_the_misfit_is_left_to_tell():
    found = regression([("A2", 2.5), ("AB", 3.0)], fixed_atomic_energies={"B": 2.0, "A": 1.0})
    assert found.atomic_energies == {"A": 1.0, "B": 2.0}
    assert found.metadata["rank"] == 0
    assert found.metadata["residual_sum_squares"] == pytest.approx(0.25)
    assert found.metadata["rmse"] == pytest.approx((0.25 / 2) ** 0.5)


def test_metadata_tell_the_fit_as_numpy_does_it():
    samples = random_samples(40, {"H": -13.6, "O": -432.0}, noise=0.3)
    counts = np.array([list(c.values()) for c, _ in samples], dtype=float)
    solution, (residual,), rank, singular = np.linalg.lstsq(counts, np.array([e for _, e in samples]), rcond=None)
    found = regression(samples)
    assert list(found.atomic_energies.values()) == pytest.approx(solution.tolist(), rel=1e-12)
    assert found.metadata["residual_sum_squares"] == pytest.approx(residual, rel=1e-9)
    assert found.metadata["rmse"] == pytest.approx((residual / 40) ** 0.5, rel=1e-9)
    assert found.metadata["singular_values"] == pytest.approx(singular.tolist(), rel=1e-12)
    assert (found.metadata["rank"], rank) == (2, 2)
    assert {"subset_size", "subset_fraction", "random_seed"} <= found.metadata.keys()


def test_long_streams_lose_no_digits():
    """Ratios that hardly differ: normal equations would lose twice as many digits."""
    free = {"A": -25000.125, "B": -431.0625}
    samples = (({"A": 10000 + k % 3, "B": 20000 + 2 * (k % 3) + k % 2}, 0.0) for k in range(5000))
    made = ((c, sum(free[s] * n for s, n in c.items())) for c, _ in samples)
    assert regression(made).atomic_energies == pytest.approx(free, rel=1e-9)


def test_more_samples_than_a_block_are_fitted_as_in_one_piece():
    samples = random_samples(3000, {"X": 1.0, "Y": -2.0, "Z": 30.0}, noise=1.0)
    late = [({"W": 2, "X": 1}, 9.0)]  # a species that comes when others are summed up already
    counts = np.array([[*c.values(), 0] for c, _ in samples] + [[1, 0, 0, 2]], dtype=float)
    expected = np.linalg.lstsq(counts, np.array([e for _, e in samples + late]), rcond=None)[0]
    found = regression(iter(samples + late)).atomic_energies
    assert [found[s] for s in "XYZW"] == pytest.approx(expected.tolist(), rel=1e-11)


def test_the_order_of_the_samples_does_not_matter():
    samples = random_samples(2500, {"X": 1.0, "Y": -2.0}, noise=1.0)
    assert regression(samples[::-1]).atomic_energies == pytest.approx(regression(samples).atomic_energies, rel=1e-12)


@pytest.mark.slow
def test_a_real_data_set_is_fitted_from_its_file():
    path = DATA / "tio2/structures.xyz"
    if not path.exists():
        pytest.skip("the TiO2 structures are not here")
    found = regression(iter_composition_energy_samples_from_files(path)).atomic_energies
    assert found == pytest.approx({"Ti": -1604.6, "O": -432.5}, rel=0.02)  # ænet's energies of the free atoms


# ------------------------------------------------------------------------------------------------------- samples


def test_structures_and_formulas_are_samples_like_any_other():
    free = Structure([[0, 0, 0]], ["Ti"], energy=FREE["Ti"]), ("O2", 2 * FREE["O"]), ({"O": 1, "Ti": 1}, -8.0)
    assert regression(free).atomic_energies == pytest.approx(FREE)
    found = regression(frames())
    assert found.metadata["n_samples_total"] == len(frames())
    TorchTrainingConfig(atomic_energies=found.atomic_energies)


def test_all_frames_of_files_are_samples(tmp_path):
    trajectory, single = tmp_path / "many.extxyz", tmp_path / "one.xsf"
    ase.io.write(trajectory, [frame.to_atoms() for frame in frames()[:3]])
    write_xsf(single, frames()[3])
    samples = list(iter_composition_energy_samples_from_files([trajectory, single]))
    assert [sum(counts.values()) for counts, _ in samples] == [frame.n_atoms for frame in frames()[:4]]
    assert [energy for _, energy in samples] == pytest.approx([frame.energy for frame in frames()[:4]])
    assert list(iter_composition_energy_samples_from_files(str(single))) == samples[3:]


def test_a_format_can_be_named_where_the_file_does_not_tell_it(tmp_path):
    write_xsf(tmp_path / "a.data", frames()[0])
    ase.io.write(tmp_path / "b.data", frames()[1].to_atoms(), format="extxyz")
    for name, frmt, frame in [("a", "xsf", frames()[0]), ("b", "extxyz", frames()[1])]:
        ((counts, energy),) = iter_composition_energy_samples_from_files(tmp_path / f"{name}.data", frmt)
        assert sum(counts.values()) == frame.n_atoms
        assert energy == pytest.approx(frame.energy)
    with pytest.raises(FileFormatError, match=r"ASE cannot read .*b\.data as 'vasp-xml'"):
        list(iter_composition_energy_samples_from_files(tmp_path / "b.data", "vasp-xml"))


def test_files_are_opened_only_when_their_turn_comes(tmp_path):
    write_xsf(tmp_path / "a.xsf", frames()[0])
    samples = iter_composition_energy_samples_from_files([tmp_path / "a.xsf", tmp_path / "b.xsf"])
    next(samples)
    with pytest.raises(FileFormatError, match=r"no such file: .*b\.xsf"):
        next(samples)


def test_a_frame_without_energy_is_named(tmp_path):
    write_xsf(tmp_path / "a.xsf", without(frames()[0], "energy", "forces"))
    with pytest.raises(DataError, match=r"a\.xsf has no energy"):
        regression(iter_composition_energy_samples_from_files(tmp_path / "a.xsf"))
    with pytest.raises(DataError, match="oxygen has no energy"):
        regression([Structure([[0, 0, 0]], ["O"], name="oxygen")])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (({"A": 1.5}, 1.0), r"Composition counts must be integer-valued.*1\.5.*sample 1"),
        (("A0.5B", 1.0), "Composition counts must be integer-valued.*'A0.5B'.*sample 1"),
        (({"A": -1}, 1.0), "Composition counts must be integer-valued"),
        (({"A": True}, 1.0), "Composition counts must be integer-valued"),
        (({"A": None}, 1.0), "Composition counts must be integer-valued"),
        (({}, 1.0), "at least one atom.*sample 1"),
        (("A", float("nan")), "energy .* of sample 1 must be a finite number"),
        (("A", None), "energy .* of sample 1 must be a number"),
        (("A",), "sample 1 must be a Structure or"),
        (3, "sample 1 must be a Structure or"),
        ((3, 1.0), "must be a formula or a mapping"),
    ],
)
def test_a_sample_that_cannot_be_is_named(sample, message):
    with pytest.raises(DataError, match=message):
        regression([("A", 1.0), sample])


# ------------------------------------------------------------------------------------------------------- subsets


def test_a_subset_is_a_function_of_the_seed():
    seven = regression(NOISY, subset_size=4, random_seed=7)
    again = regression(iter(NOISY), subset_size=4, random_seed=7)
    assert seven.metadata == again.metadata
    assert seven == again
    assert seven.metadata["n_samples_used"] == seven.metadata["subset_size"] == 4
    assert seven.metadata["n_samples_total"] == 6
    assert seven.metadata["random_seed"] == 7
    others = [regression(NOISY, subset_size=4, random_seed=k).atomic_energies for k in range(5)]
    assert any(other != seven.atomic_energies for other in others)


def test_without_a_seed_the_one_taken_is_told_and_repeats_the_draw():
    first = regression(NOISY, subset_size=5)
    assert regression(NOISY, subset_size=5, random_seed=first.metadata["random_seed"]) == first


def test_a_draw_leaves_global_generators_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    regression(NOISY, subset_size=5)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_every_sample_is_drawn_equally_often():
    samples = [("A", float(k)) for k in range(5)]
    means = [regression(samples, subset_size=1, random_seed=k).atomic_energies["A"] for k in range(2000)]
    drawn = np.bincount(np.round(means).astype(int), minlength=5)
    assert drawn == pytest.approx(400, abs=80)  # 4.5 standard deviations


@pytest.mark.parametrize(("fraction", "n", "size"), [(0.07, 100, 7), (0.5, 5, 3), (1.0, 4, 4), (0.01, 4, 1)])
def test_a_fraction_is_rounded_up(fraction, n, size):
    found = regression([("A", 1.0)] * n, subset_fraction=fraction, random_seed=1)
    assert found.metadata["n_samples_used"] == found.metadata["subset_size"] == size
    assert found.metadata["subset_fraction"] == fraction


def test_a_species_in_no_sample_drawn_does_not_pass_unseen():
    samples = [("A", 1.0)] * 200 + [("B", 2.0)]
    with pytest.raises(DataError, match=r"underdetermined or rank-deficient.*determine the energies of B"):
        regression(samples, subset_size=2, random_seed=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"subset_size": 0}, "subset_size must be a positive integer"),
        ({"subset_size": 1.5}, "subset_size must be a positive integer"),
        ({"subset_size": True}, "subset_size must be a positive integer"),
        ({"subset_size": 1, "subset_fraction": 0.5}, "Specify at most one of subset_size and subset_fraction"),
        ({"subset_fraction": 0.0}, "subset_fraction must be a finite float in the interval"),
        ({"subset_fraction": 1.1}, "subset_fraction must be a finite float in the interval"),
        ({"subset_fraction": float("nan")}, "subset_fraction must be a finite float in the interval"),
        ({"subset_size": 5}, "subset_size cannot exceed the number of available samples, got 5 of 4"),
        ({"random_seed": 0.5}, "random_seed must be an integer"),
        ({"fixed_atomic_energies": {"X": 1.0}}, "fixed_atomic_energies contains unknown species 'X'"),
        ({"fixed_atomic_energies": {"A": float("inf")}}, r"fixed_atomic_energies\['A'\] must be a finite number"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        regression(AB, **settings)
    assert isinstance(caught.value, ValueError)


def test_a_part_of_a_stream_of_unknown_length_cannot_be_drawn():
    with pytest.raises(ConfigError, match="subset_fraction requires a sized sample collection"):
        regression(iter(AB), subset_fraction=0.5)


@pytest.mark.parametrize("settings", [{}, {"subset_size": 2}])
def test_no_samples_are_an_error(settings):
    with pytest.raises(DataError, match="At least one sample is required"):
        regression(iter(()), **settings)


# -------------------------------------------------------------------------------------- what is not determined


def test_compositions_that_do_not_determine_the_energies_are_an_error():
    with pytest.raises(DataError, match=r"underdetermined or rank-deficient.*energies of A, B, C;"):
        regression(MIXED)


def test_only_the_species_left_open_are_named():
    with pytest.raises(DataError, match="of rank 2 do not determine the energies of O, Ti;"):
        regression([("H2", 1.0), ("TiO2", 3.0), ("Ti2O4", 6.0), ("H", 0.5)])


def test_one_ratio_is_seen_through_in_any_number_of_samples():
    samples = (({"Ti": 1 + k % 97, "O": 2 * (1 + k % 97)}, 0.1 * k) for k in range(20_000))
    with pytest.raises(DataError, match="of rank 1 do not determine the energies of O, Ti"):
        regression(samples)


# ----------------------------------------------------------------------------------------- reference compounds


def test_compounds_give_the_energies_exactly():
    found = compounds([*AB, ("A2", 2.5)], reference_compounds=["A2", {"B": 2}])
    assert found.method == "reference_compounds"
    assert found.atomic_energies == pytest.approx({"A": 1.0, "B": 2.0})
    told = found.metadata
    assert told["reference_compounds"] == [{"A": 2}, {"B": 2}]
    assert told["reference_candidate_counts"] == [2, 1]
    assert told["selected_reference_samples"][0] == {"composition": {"A": 2}, "energy": 2.0}
    assert (told["n_reference_compounds"], told["n_samples_total"]) == (2, 5)


def test_of_each_compound_the_lowest_energy_counts():
    found = compounds([("A2", 2.5), ("A2", 2.0), ("A2", 2.2)], reference_compounds=["A2"])
    assert found.atomic_energies == {"A": 1.0}


def test_more_compounds_than_species_are_fitted():
    found = compounds(AB + [("AB2", 5.3)], reference_compounds=["A2", "B2", "AB2"])
    assert found.metadata["rmse"] > 0.01


def test_compounds_with_fixed_energies():
    wanted = ["AC2", "BC2"]
    found = compounds(MIXED, reference_compounds=wanted, fixed_atomic_energies={"C": 5.0})
    assert found.atomic_energies == pytest.approx({"A": 1.0, "B": 2.0, "C": 5.0})
    assert found.metadata["free_species"] == ["A", "B"]
    with pytest.raises(DataError, match="underdetermined or rank-deficient"):
        compounds(MIXED, reference_compounds=wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["A2", "B3"], "Missing requested reference compounds: B3; of the same ratio there are B2$"),
        (["A2", "AB7"], "Missing requested reference compounds: AB7$"),
        (["A2", {"A": 2}], "duplicate or equivalent compositions: A2"),
        (["AB", "BA"], "duplicate or equivalent"),
        ([{"A": 1.5}, "B2"], "Composition counts must be integer-valued"),
        ("A2", r"must be a list such as \['TiO2', 'O2'\], got 'A2'"),
        ([], "must be a list"),
    ],
)
def test_compounds_that_cannot_be_are_refused(wanted, message):
    with pytest.raises(PotentiaError, match=message) as caught:
        compounds(AB, reference_compounds=wanted)
    assert isinstance(caught.value, ValueError)


# ------------------------------------------------------------------------------------------------- what is told


def test_what_is_handed_out_is_a_copy():
    found = compounds(AB, reference_compounds=["A2", "B2"])
    found.atomic_energies["A"] = 99.0
    found.metadata["selected_reference_samples"][0]["composition"]["A"] = 99
    assert found.atomic_energies["A"] == pytest.approx(1.0)
    assert found.metadata["selected_reference_samples"][0]["composition"] == {"A": 2}
    with pytest.raises(AttributeError):
        found.method = "other"


def test_energies_are_numbers():
    given = ReferenceEnergies({"H": -13.6}, "table", {"source": "NIST"})
    assert (given.atomic_energies, given.method, given.metadata) == ({"H": -13.6}, "table", {"source": "NIST"})
    with pytest.raises(ConfigError, match=r"atomic_energies\['H'\] must be a finite number"):
        ReferenceEnergies({"H": float("nan")}, "table")


# ------------------------------------------------------------------------------------------------ compositions


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("TiO2", {"Ti": 1, "O": 2}),
        ("Fe2O3", {"Fe": 2, "O": 3}),
        ("H2O", {"H": 2, "O": 1}),
        ("Mg(OH)2", {"Mg": 1, "O": 2, "H": 2}),
        ("K4[Fe(CN)6]3", {"K": 4, "Fe": 3, "C": 18, "N": 18}),
        ("CH3CH2OH", {"C": 2, "H": 6, "O": 1}),
        ("AC2", {"A": 1, "C": 2}),
        ("Ac2", {"Ac": 2}),
        ("O2.0", {"O": 2}),
    ],
)
def test_formulas_are_counted(text, counts):
    assert composition(text) == counts
    assert composition(formula(counts)) == counts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one atom"),
        ("()", "at least one atom"),
        ("ti2", "cannot read the formula 'ti2' at 'ti2'"),
        ("TiO 2", "cannot read the formula 'TiO 2' at ' 2'"),
        ("Ti-O", "at '-O'"),
        ("2H", "at '2H'"),
        ("Ti(OH", "bracket is not closed"),
        ("TiO)2", "closed but not opened"),
        ("TiO0", "at least 1"),
        ("Ti0.5O", "Composition counts must be integer-valued"),
    ],
)
def test_formulas_that_cannot_be_read_are_told(text, message):
    with pytest.raises(DataError, match=message):
        composition(text)


def test_whole_numbers_of_any_kind_are_counts():
    assert composition({"Ti": np.int64(1), "O": 2.0, "H": 0}) == {"Ti": 1, "O": 2}
    assert unit_of({"Ti": 8, "O": 16}) == {"Ti": 1, "O": 2}
