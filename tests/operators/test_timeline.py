"""Laws of tokens over time: windows are samples of their own, and tokens are those of each window by itself."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from operators import aligned
from potentia.errors import ConfigError, DataError
from potentia.operators import BehaviorTokenizer, token_timelines, windows

LONG = 9


@functools.cache
def samples():
    return aligned.samples(3, 5, 40, steps=LONG)


def known() -> BehaviorTokenizer:
    return aligned.tokenizer()


def test_windows_are_parts_of_their_trajectories_in_order():
    cut = windows(samples(), 4, every=2)
    assert cut.fields.shape == (3 * 3, 5, 1, aligned.GRID)
    np.testing.assert_array_equal(cut.fields[4], samples().fields[1, 2:7])
    assert cut.group.tolist() == [40] * 3 + [41] * 3 + [42] * 3
    np.testing.assert_array_equal(cut.parameters[3:6], samples().parameters[[1, 1, 1]])
    np.testing.assert_array_equal(windows(samples(), LONG).fields, samples().fields)
    with pytest.raises(DataError, match="windows of 10 steps do not fit into trajectories of 9"):
        windows(samples(), 10)
    with pytest.raises(ConfigError, match="every must be an integer of at least 1"):
        windows(samples(), 4, every=0)


def test_each_window_has_the_tokens_that_it_has_alone():
    found = token_timelines(known(), samples(), every=3)
    assert found.begins.tolist() == [0, 3]
    assert found.names[:3] == ("initial.0", "initial.1", "summary.0")
    assert found.truth.shape == (3, 2, len(found.names))
    for k, begin in enumerate(found.begins):
        alone = known().tokens(samples().fields[:, begin : begin + aligned.STEPS + 1])
        np.testing.assert_array_equal(found.truth[:, k], alone)
    with pytest.raises(DataError, match="there are no predictions here"):
        _ = found.agreement


def test_predictions_agree_where_they_are_right():
    predicted = samples().fields.copy()
    predicted[:, 3:] = aligned.noise(predicted)[:, 3:]
    found = token_timelines(known(), samples(), predicted)
    same = token_timelines(known(), samples(), samples().fields)
    assert (same.agreement == 1).all()
    assert (found.agreement < 0.9).all()
    with pytest.raises(DataError, match=r"must have the shape of the fields, \(3, 10, 1, 16\), got \(2, 10, 1, 16\)"):
        token_timelines(known(), samples(), predicted[:2])
    with pytest.raises(DataError, match="is not finite"):
        token_timelines(known(), samples(), predicted * np.nan)


def test_the_truth_is_drawn_above_what_is_predicted(tmp_path):
    found = token_timelines(known(), samples(), aligned.noise(samples().fields))
    figure = found.plot(1, time_step=0.5, outfile=tmp_path / "tokens.png")
    above, below = figure.axes
    assert [one.get_text() for one in above.get_yticklabels()] == list(found.names)
    assert below.get_xlabel() == "time"
    assert (tmp_path / "tokens.png").stat().st_size > 1000
    with pytest.raises(DataError, match="there are 3 samples, so 0 to 2, not 3"):
        found.plot(3)
