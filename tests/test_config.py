"""Laws of settings as plain dictionaries."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from potentia.config import differences, from_dict, plain, to_dict
from potentia.errors import ConfigError


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True)
class Circle(Shape):
    radius: float = 1.0

    def area(self) -> float:
        return 3 * self.radius**2


@dataclass(frozen=True)
class Square(Shape):
    side: float

    def area(self) -> float:
        return self.side**2


@dataclass(frozen=True)
class Ring(Circle):
    hole: float = 0.5


@dataclass(frozen=True)
class Size:
    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Picture:
    title: str
    shape: Shape | None = None
    more: tuple[Shape, ...] = ()
    by_name: Mapping[str, Shape] = field(default_factory=dict)
    size: Size = Size()
    layers: tuple[tuple[int, str], ...] = ()
    window: tuple[float, float] | None = None
    mixed: int | tuple[int, ...] = 0
    notes: list[str] = field(default_factory=list)
    free: dict[str, list[int]] = field(default_factory=dict)
    hidden: int = field(default=3, init=False)


PICTURES = [
    Picture(title="all defaults"),
    Picture(
        title="all set",
        shape=Square(2.0),
        more=(Circle(), Ring(hole=0.1)),
        by_name={"a": Square(1)},
        size=Size(5),
        layers=((10, "tanh"), (20, "linear")),
        window=(0.5, 2.0),
        mixed=(1, 2),
        notes=["x"],
        free={"y": [1, 2]},
    ),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.title)
def test_settings_come_back_through_json(picture):
    assert from_dict(Picture, json.loads(json.dumps(to_dict(picture), allow_nan=False))) == picture


def test_nested_settings_carry_their_class():
    assert to_dict(PICTURES[1])["shape"] == {"class": "Square", "side": 2.0}
    assert to_dict(PICTURES[0])["size"] == {"class": "Size", "width": 1}


def test_the_class_may_be_left_out_where_only_one_is_meant():
    assert from_dict(Picture, {"title": "t", "size": {"width": 4}}).size == Size(4)
    assert from_dict(Circle, {"radius": 2}) == Circle(2)


def test_an_abstract_class_stands_for_all_below_it():
    assert from_dict(Shape, {"class": "Ring", "hole": 0.2}) == Ring(hole=0.2)


@pytest.mark.parametrize(
    ("cls", "mapping", "wanted"),
    [
        (Picture, {"titel": "x"}, "Picture has no setting 'titel'; did you mean 'title'"),
        (Picture, {"title": "x", "hidden": 1}, "Picture has no setting 'hidden'"),
        (Picture, {}, "Picture needs the setting 'title'"),
        (Picture, {"title": "x", "size": {"widht": 1}}, "Size has no setting 'widht'; did you mean 'width'"),
        (
            Picture,
            {"title": "x", "shape": {"class": "Cirle"}},
            "no settings of class 'Cirle' here; did you mean 'Circle'",
        ),
        (Picture, {"title": "x", "shape": {"radius": 1}}, "say under 'class' .* known: Circle, Ring, Square"),
        (Shape, {"class": "Size"}, "no settings of class 'Size'"),
    ],
)
def test_what_cannot_be_meant_is_refused(cls, mapping, wanted):
    with pytest.raises(ConfigError, match=wanted):
        from_dict(cls, mapping)


def test_plain_values():
    value = {"a": np.float32(0.5), "b": np.arange(2), "c": (1, (2,)), "d": Path("x"), "e": np.bool_(True)}
    assert plain(value) == {"a": 0.5, "b": [0, 1], "c": [1, [2]], "d": "x", "e": True}
    assert type(plain(np.float64(1))) is float


@pytest.mark.parametrize(
    ("value", "wanted"), [({"a": [1, {2}]}, r"value\.a\[1\] .* set"), ({1: 2}, "dict"), (len, "value")]
)
def test_what_is_not_plain_is_refused(value, wanted):
    with pytest.raises(ConfigError, match=wanted):
        plain(value)


OLD = {"testpercent": 10, "method": {"class": "Adam", "mu": 0.1}, "data": [1, 2], "gone": 1, "schedule": None}
NEW = {"testpercent": 20, "method": {"class": "SGD", "lr": 0.1}, "data": (1, 2), "schedule": {"factor": 0.5}}


def test_differences_are_readable():
    assert differences(OLD, NEW) == [
        "testpercent: 10 → 20",
        "method.class: 'Adam' → 'SGD'",
        "method.mu: 0.1 → (absent)",
        "method.lr: (absent) → 0.1",
        "gone: 1 → (absent)",
        "schedule: None → {'factor': 0.5}",
    ]


def test_nothing_differs_from_itself():
    assert differences(OLD, OLD) == []
    assert differences(to_dict(PICTURES[1]), json.loads(json.dumps(to_dict(PICTURES[1])))) == []


def test_long_values_are_cut():
    (line,) = differences({"x": list(range(100))}, {"x": 1})
    assert len(line) < 75


@pytest.mark.parametrize("allow", [("method", "gone", "schedule"), ("class", "method.mu", "lr", "gone", "schedule")])
def test_what_is_allowed_by_name_is_not_told(allow):
    assert differences(OLD, NEW, allow) == ["testpercent: 10 → 20"]


@dataclass(frozen=True)
class Named:
    text: str = ""
    weights: Mapping[str, float] | None = None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"text": 3}, "text must be text, got 3"),
        ({"weights": [1.0]}, r"weights must be a mapping of names to values, got \[1\.0\]"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_name(given, told):
    assert from_dict(Named, {"weights": None}) == Named()
    with pytest.raises(ConfigError, match=told):
        from_dict(Named, given)
