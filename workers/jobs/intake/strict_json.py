"""JSON that means the same to everybody who reads it, and that Postgres can keep."""

import json
from typing import Any, NoReturn

DEEPEST = 32
_MOST_DIGITS = 40


def loads(data: bytes) -> Any:
    """Read JSON (RFC 8259) of a small depth.

    Raises:
        ValueError: it is no JSON; or has a name twice in one object, NaN, a number with very many
            digits, NUL or half a surrogate pair in a text, or more than ``DEEPEST`` levels. The
            text says which, and repeats nothing of the data.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_decimal,
        )
    except UnicodeDecodeError:
        raise ValueError("it is not in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON (at character {error.pos})") from None
    except RecursionError:
        raise ValueError(f"it has more than {DEEPEST} levels") from None
    _check(value, depth=1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has one name twice")
    return found


def _constant(_: str) -> NoReturn:
    raise ValueError("a number is none: NaN or Infinity")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    return int(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    if len(digits) > _MOST_DIGITS or value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large, or has too many digits")
    return value


def _check(value: Any, *, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"it has more than {DEEPEST} levels")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth=depth + 1)
    elif isinstance(value, dict):
        for name, each in value.items():
            check_text(name)
            _check(each, depth=depth + 1)


def check_text(text: str) -> None:
    """Return if a text can be stored and sent on.

    Raises:
        ValueError: it holds NUL, or half a surrogate pair.
    """
    if "\0" in text:
        raise ValueError("a text holds NUL")
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("a text holds half a surrogate pair")
