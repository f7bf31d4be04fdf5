"""Messages: they name the page that tells more, and survive the way between processes."""

from __future__ import annotations

import pickle

import pytest

from potentia import errors
from potentia.errors import PotentiaWarning, warn_user

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@every_kind
def test_a_message_ends_with_the_page_that_tells_more(kind):
    assert str(kind("no time", page="training.md#methods")) == "no time; see docs/training.md#methods"
    assert str(kind("no time")) == "no time"


@every_kind
def test_an_error_is_the_same_in_another_process(kind):
    error = kind("no time", page="training.md#methods")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_a_warning_ends_with_the_page_that_tells_more():
    with pytest.warns(PotentiaWarning, match=r"^slow; see docs/training\.md#methods$"):
        warn_user("slow", page="training.md#methods")
