"""Splits by group and by block in a training: what belongs together stays on one side, and gaps are left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from potentia.data import holdout_blocks, holdout_groups
from potentia.errors import ConfigError, DataError, PotentiaWarning
from potentials import small_data
from potentials.runs import database, in_memory, result, train
from potentials.small_data import GRADIENTS

GROUPS = ["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["a"] * 2 + ["d"] * 4
FRAMES = [
    replace(s, info={"config_type": g, "run": k // 4})
    for k, (s, g) in enumerate(zip(small_data.frames(16), GROUPS, strict=True))
]


def of(indices):
    return {GROUPS[k] for k in indices}


@pytest.mark.parametrize("seed", range(4))
def test_no_group_is_on_both_sides(seed):
    _, out = train(FRAMES, iterations=0, split_by="group", testpercent=25, split_seed=seed)
    assert sorted(out.train_indices + out.test_indices) == list(range(16))
    assert not of(out.train_indices) & of(out.test_indices)
    assert out.test_indices == holdout_groups(GROUPS, 25, seed).test.tolist()


def test_groups_may_have_another_key():
    _, out = train(FRAMES, iterations=0, split_by="group", group_key="run", testpercent=25)
    assert {k // 4 for k in out.test_indices} & {k // 4 for k in out.train_indices} == set()
    assert len(out.test_indices) == 4


def test_every_structure_needs_a_group():
    bare = [*FRAMES[:3], replace(FRAMES[3], info={}), *FRAMES[4:]]
    with pytest.raises(DataError, match=r"groups\[3\] is None: name the group of every sample \(1 have none\)"):
        train(bare, split_by="group")


def test_one_group_cannot_be_split():
    alike = [replace(s, info={"config_type": "a"}) for s in FRAMES]
    with pytest.raises(ConfigError, match="all 16 samples are of one group, 'a'"):
        train(alike, split_by="group")


def test_groups_that_are_too_large_are_warned_of_at_the_line_of_the_call():
    config = small_data.config(iterations=0, split_by="group", testpercent=5)
    halves = [replace(s, info={"config_type": str(k % 2)}) for k, s in enumerate(FRAMES)]
    with pytest.warns(PotentiaWarning, match="whole groups give no closer size") as caught:
        small_data.fresh().train(halves, config)
    assert {Path(w.filename).name for w in caught} == {Path(__file__).name}


@pytest.mark.parametrize("gap", [0, 1])
def test_blocks_are_held_out_whole_and_the_gap_is_left_out(gap):
    settings = {"split_by": "block", "split_block": 4, "split_gap": gap, "testpercent": 25}
    _, out = train(FRAMES, iterations=0, **settings)
    wanted = holdout_blocks(16, 25, out.split_seed, block=4, gap=gap)
    assert (out.train_indices, out.test_indices) == (wanted.train.tolist(), wanted.test.tolist())
    assert out.test_indices == list(range(out.test_indices[0], out.test_indices[0] + 4))
    left_out = set(range(16)) - set(out.train_indices) - set(out.test_indices)
    assert left_out == {k for k in (out.test_indices[0] - 1, out.test_indices[-1] + 1) if gap and 0 <= k < 16}


def test_structures_in_the_gap_have_no_part_in_the_training():
    settings = {"split_by": "block", "split_block": 4, "split_gap": 1, "testpercent": 25, **GRADIENTS}
    potential, out = train(FRAMES, **settings)
    gap = set(range(16)) - set(out.train_indices) - set(out.test_indices)
    wrong = [replace(s, energy=s.energy + 0.1, forces=1.1 * s.forces) if k in gap else s for k, s in enumerate(FRAMES)]
    assert gap
    assert small_data.weights(train(wrong, **settings)[0]) == small_data.weights(potential)


@pytest.mark.parametrize(
    "settings", [{"split_by": "group"}, {"split_by": "block", "split_block": 4, "split_gap": 1}], ids=str
)
def test_every_data_set_is_split_alike(settings, tmp_path):
    settings |= {"testpercent": 25, **GRADIENTS}
    expected = result(*train(FRAMES, **settings))
    for dataset in (in_memory(FRAMES), database(tmp_path / "a.h5", FRAMES, persist_features=True)):
        assert result(*train(datasets={"dataset": dataset}, **settings)) == expected
        assert result(*train(datasets={"dataset": dataset}, memory_limit=0, **settings)) == expected


def test_filters_hold_after_a_split_by_groups():
    _, whole = train(FRAMES, iterations=0, split_by="group", testpercent=25)
    weakest = sorted(abs(s.forces).max() for s in FRAMES)[10]
    _, out = train(FRAMES, iterations=0, split_by="group", testpercent=25, max_forces=weakest)
    assert set(out.train_indices) < set(whole.train_indices)
    assert set(out.test_indices) <= set(whole.test_indices)


def test_a_resumed_training_keeps_its_split(tmp_path):
    settings = {"split_by": "group", "testpercent": 25, "save_best": False}
    whole = train(FRAMES, iterations=3, **settings)
    train(FRAMES, checkpoint_dir=tmp_path, iterations=1, **settings)
    path = tmp_path / "checkpoint_epoch_0001.pt"
    assert result(*train(FRAMES, path, iterations=2, **settings)) == result(*whole)
    others = [replace(s, info={"config_type": f"{k // 3}"}) for k, s in enumerate(FRAMES)]
    with pytest.raises(ConfigError, match=r"data\.groups_sha256: '.* → '"):
        train(others, path, **settings)
    with pytest.raises(ConfigError, match=r"config\.split_by: 'group' → 'structure'"):
        train(FRAMES, path, **{**settings, "split_by": "structure"})
