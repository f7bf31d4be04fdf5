"""Options of a command made of the fields of a dataclass: one list of names, types and explanations."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union

import typer

from potentia.cli.explained import explanations
from potentia.errors import ConfigError

__all__ = ["given_values", "read_entries", "with_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def with_options(settings: type) -> Callable[[Command], Command]:
    """Give a command ``(…, **options)`` an option for each field of a dataclass; one that is not given is None.

    A field ``batch_size`` becomes ``--batch-size``; what stands under it is the help.
    """

    def decorated(command: Command) -> Command:
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
        hints = typing.get_type_hints(command, include_extras=True)
        own = [p.replace(annotation=hints[p.name], kind=p.KEYWORD_ONLY) for p in own]
        parameters = [*own, *_parameters(settings)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return decorated


def given_values(settings: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, as plain values of their fields.

    Raises:
        ConfigError: a value cannot be read; the message names the option.
    """
    hints = typing.get_type_hints(settings)
    given = {name: value for name, value in options.items() if value is not None and value != []}
    return {name: _value(f"--{name.replace('_', '-')}", hints[name], value) for name, value in given.items()}


def _parameters(settings: type) -> list[inspect.Parameter]:
    hints, told = typing.get_type_hints(settings), explanations(settings)
    return [_parameter(field, hints[field.name], told[field.name]) for field in dataclasses.fields(settings)]


def _parameter(field: dataclasses.Field[Any], hint: Any, explanation: str) -> inspect.Parameter:
    name = f"--{field.name.replace('_', '-')}"
    kind, metavar = _kind(hint)
    names = [f"{name}/--no-{name[2:]}"] if kind is bool else [name]
    shown = f"  [{default}]" if (default := _shown(field)) else ""
    option = typer.Option(*names, help=explanation + shown, metavar=metavar, show_default=False)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _kind(hint: Any) -> tuple[Any, str | None]:
    """Return the type that an option of a field has on the command line, and the word for its value."""
    arms = _arms(hint)
    origin = typing.get_origin(arms[0])
    if origin is tuple:
        inner = typing.get_args(arms[0])[0]
        return types.GenericAlias(list, (inner,)), f"<{inner.__name__}>..."
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        words = {float: "KEY=NUMBER", str: "KEY=NAME"}
        return list[str], words.get(typing.get_args(arms[0])[1], "KEY=NUMBER,NUMBER")
    if origin is Literal or len(arms) > 1:
        return str, None
    return arms[0], None


def _arms(hint: Any) -> Sequence[Any]:
    """Return the types that a field may have besides None."""
    several = typing.get_args(hint) if typing.get_origin(hint) in {Union, types.UnionType} else (hint,)
    return [arm for arm in several if arm is not types.NoneType]


def _shown(field: dataclasses.Field[Any]) -> str:
    """Return the default as it would be given; empty where there is none."""
    default = field.default
    if default is dataclasses.MISSING or default is None or default is False or default == ():
        return ""
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _value(name: str, hint: Any, value: Any) -> Any:
    arms = _arms(hint)
    origin = typing.get_origin(arms[0])
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return read_entries(name, typing.get_args(arms[0])[1], value)
    if len(arms) > 1:
        return _number_or_word(value, float in arms)
    return value


def read_entries(name: str, kind: Any, texts: Sequence[str]) -> dict[str, Any]:
    """Return the entries of ``["KEY=VALUE", …]``.

    Args:
        name: Of the option, for the message.
        kind: Of the values: ``float``, ``str`` or ``tuple[float, float]``.
        texts: As they were given.

    Raises:
        ConfigError: one cannot be read.
    """
    return dict(_entry(name, kind, text) for text in texts)


def _number_or_word(text: str, fractions: bool) -> Any:
    try:
        return float(text) if fractions else int(text)
    except ValueError:
        return text


def _entry(name: str, kind: Any, text: str) -> tuple[str, Any]:
    """Return the parts of ``"KEY=VALUE"``, numbers as numbers."""
    key, _, value = text.partition("=")
    try:
        if kind is str and key and value:
            return key, value
        wanted = 1 if kind is float else len(typing.get_args(kind))
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if kind is str or not key or len(numbers) != wanted:
        word = _kind(Mapping[str, kind])[1]
        raise ConfigError(f"{name} takes {word}, got {text!r}")
    return key, numbers[0] if kind is float else numbers
