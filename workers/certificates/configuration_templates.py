"""The templates of configuration files: found and compiled once per process.

Whatever is inserted has to say in which syntax: a value that no filter has escaped is an error, so
that no template can forget it.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from workers.errors import InvalidRequestError

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.:/@+-]+", re.ASCII)


class Escaped(str):
    """Text that is right as it stands in the syntax around it."""

    __slots__ = ()


def render(name: str, values: Mapping[str, Any]) -> str:
    """Return a template, such as ``api_client/curl.conf.j2``, with its values.

    Raises:
        InvalidRequestError: a value cannot be written in the syntax of the file.
    """
    return _environment().get_template(name).render(values)


def word(value: str) -> Escaped:
    """Return a value that means the same in every syntax, quoted or not.

    Raises:
        InvalidRequestError: it has other characters.
    """
    text = str(value)
    if not _PLAIN_WORD.fullmatch(text):
        raise InvalidRequestError(
            f"“{_shown(text)}” cannot be written into a configuration file; use letters, digits and"
            " any of _ . : / @ + - only."
        )
    return Escaped(text)


def quoted_curl(value: str) -> Escaped:
    """Return a value for a curl configuration file, in double quotes (curl(1), --config)."""
    escaped = _without_controls(value).replace("\\", "\\\\").replace('"', '\\"')
    return Escaped(f'"{escaped}"')


def quoted_python(value: str) -> Escaped:
    """Return a Python string literal in ASCII."""
    return Escaped(ascii(_without_controls(value)))


def quoted_json(value: str) -> Escaped:
    """Return a string in JSON and ASCII: a literal of JavaScript and of YAML, too."""
    return Escaped(json.dumps(_without_controls(value)))


def quoted_java(value: str) -> Escaped:
    r"""Return a Java string literal in ASCII.

    A ``\uXXXX`` is read before all else (JLS §3.3), so it never stands for a quote or backslash.
    """
    escaped = _without_controls(value).replace("\\", "\\\\").replace('"', '\\"')
    units = escaped.encode("utf-16-be")
    text = "".join(
        chr(unit) if unit < 0x7F else f"\\u{unit:04x}"  # noqa: PLR2004  # ASCII
        for unit in (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    )
    return Escaped(f'"{text}"')


def one_line_comment(value: str) -> Escaped:
    """Return what people read behind a comment sign: one line in ASCII that nothing ends."""
    return Escaped(re.sub(r"[^A-Za-z0-9 ._:,+@=-]", "?", str(value)))


def templates_directory() -> Path:
    """Return the folder of the templates, in the installed package or in the checkout around it."""
    package = Path(__file__).parents[1]
    for directory in (package / "templates", package.parent / "templates"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError("The folder “templates” is missing from this installation")


@cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(templates_directory()),
        undefined=StrictUndefined,
        autoescape=False,  # none of them is HTML; finalize sees to the escaping
        finalize=_only_escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters |= {
        "word": word,
        "curl": quoted_curl,
        "python": quoted_python,
        "json": quoted_json,
        "java": quoted_java,
        "comment": one_line_comment,
    }
    return environment


def _only_escaped(value: Any) -> Any:
    if not isinstance(value, Escaped):
        raise TypeError("a template inserts a value that no filter has escaped")
    return value


def _without_controls(value: str) -> str:
    text = str(value)
    if not text.isprintable():  # also what is no character at all, as in odd file names
        raise InvalidRequestError(
            f"“{_shown(text)}” cannot be written into a configuration file; it has to be one line"
            " of printable characters."
        )
    return text


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else "·" for each in text[:80])
