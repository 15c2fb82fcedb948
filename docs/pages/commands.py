"""The page of the command line, read from the commands' signatures."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from typer import Typer
from typer.models import ArgumentInfo, OptionInfo

from docs.pages.markdown import code, page, table
from workers.cli.app import command_line

_INTRODUCTION = """
`keywright COMMAND --help` shows the same. Every listing or showing command takes `--json`. Every
command exits with 0, or with another code and one line that says what is wrong and what to do.
Tables show times in the time zone of the machine; JSON has them with their offset.
"""

_VALUES = {int: "NUMBER", float: "NUMBER", Path: "PATH", datetime: "TIME"}


@dataclass(frozen=True, kw_only=True)
class _Parameter:
    written: str
    in_usage: str
    meaning: str
    is_option: bool
    is_required: bool


def commands_page() -> str:
    """Describe every command."""
    return page(
        "Commands", _INTRODUCTION, *(_section(*each) for each in _commands(command_line(), ()))
    )


def _commands(typer: Typer, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """Yield words, function and help of each command, groups after single ones."""
    for command in typer.registered_commands:
        text = command.help or inspect.getdoc(command.callback) or ""
        yield (*path, str(command.name)), command.callback, text
    for group in typer.registered_groups:
        assert group.typer_instance is not None
        yield from _commands(group.typer_instance, (*path, str(group.name)))


def _section(words: tuple[str, ...], function: Any, text: str) -> str:
    name = " ".join(("keywright", *words))
    parameters = [
        _parameter(parameter, hint)
        for parameter, hint in zip(
            inspect.signature(function).parameters.values(),
            get_type_hints(function, include_extras=True).values(),
            strict=False,  # the last hint is that of the result
        )
    ]
    usage = [name, *(each.in_usage for each in parameters if not each.is_option)]
    usage += [each.in_usage for each in parameters if each.is_option and each.is_required]
    if any(each.is_option and not each.is_required for each in parameters):
        usage.append("[OPTIONS]")
    parts = [f"## {name}", f"```text\n{' '.join(usage)}\n```", text]
    if parameters:
        rows = [(code(each.written), each.meaning) for each in parameters]
        parts.append(table(("Argument or option", "Meaning"), rows))
    return "\n\n".join(parts)


def _parameter(parameter: inspect.Parameter, hint: Any) -> _Parameter:
    info: Any = None
    if get_origin(hint) is Annotated:
        hint, info = get_args(hint)[:2]
    kind, is_list = _kind(hint)
    required = parameter.default is inspect.Parameter.empty
    meaning = [info.help] if info is not None and info.help else []
    if isinstance(info, ArgumentInfo) or info is None:
        written = parameter.name.upper().removesuffix("S") if is_list else parameter.name.upper()
        written += "..." if is_list else ""
        return _Parameter(
            written=written,
            in_usage=written,
            meaning=" ".join(meaning),
            is_option=False,
            is_required=required,
        )
    assert isinstance(info, OptionInfo)
    names = _names(parameter.name, info)
    value = "" if kind is bool else f" {_value(kind)}"
    if info.min is not None and info.max is not None:
        meaning.append(f"From {info.min} to {info.max}.")
    if not required and parameter.default not in (None, False):
        meaning.append(f"Default: {parameter.default}.")
    if required:
        meaning.append("Required.")
    return _Parameter(
        written=", ".join(names) + value,
        in_usage=names[0] + value,
        meaning=" ".join(meaning),
        is_option=True,
        is_required=required,
    )


def _names(name: str, info: OptionInfo) -> tuple[str, ...]:
    # Inside Annotated, the first name that was given is taken for the default.
    first = (info.default,) if isinstance(info.default, str) else ()
    return (*first, *(info.param_decls or ())) or (f"--{name.replace('_', '-')}",)


def _kind(hint: Any) -> tuple[Any, bool]:
    """Return the type of one value, and whether there may be several."""
    given = [each for each in get_args(hint) if each is not NoneType]
    if get_origin(hint) is Literal:
        return hint, False
    if get_origin(hint) is list:
        return given[0], True
    if given:
        return _kind(given[0])
    return hint, False


def _value(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    return _VALUES.get(kind, "TEXT")
