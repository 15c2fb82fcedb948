"""Arguments made from JSON Schemas: good ones, and ones that miss by one thing."""

import random
import string
from collections.abc import Callable, Iterator
from typing import Any

UNDERSTOOD = {
    *("$defs", "$ref", "additionalProperties", "anyOf", "const", "enum", "exclusiveMaximum"),
    *("exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum"),
    *("minItems", "minLength", "minimum", "pattern", "properties", "required", "type"),
    *("default", "description", "examples", "title"),  # say nothing about what is valid
}
"""The words of JSON Schema that ``keywright.schema_fault`` knows."""

Schema = dict[str, Any]
_TYPES: dict[str, Any] = {
    "string": "x",
    "integer": 3,
    "number": 1.5,
    "boolean": True,
    "null": None,
    "array": [],
    "object": {},
}


def subschemas(schema: Schema) -> Iterator[Schema]:
    """Yield the schema and all that stand in it."""
    yield schema
    for word in ("$defs", "properties"):
        for each in schema.get(word, {}).values():
            yield from subschemas(each)
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            yield from subschemas(schema[word])
    for each in schema.get("anyOf", ()):
        yield from subschemas(each)


def good(schema: Schema, root: Schema, chance: random.Random) -> Any:
    """Return something valid."""
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        return good(chance.choice(schema["anyOf"]), root, chance)
    if "enum" in schema or "const" in schema:
        return chance.choice(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object":
        named = schema.get("properties", {})
        names = [
            name for name in named if name in schema.get("required", ()) or chance.random() < 0.7
        ]
        found = {name: good(named[name], root, chance) for name in names}
        if isinstance(schema.get("additionalProperties"), dict):
            found["any"] = good(schema["additionalProperties"], root, chance)
        return found
    if kind == "array":
        least, most = schema.get("minItems", 0), min(schema.get("maxItems", 3), 3)
        count = chance.randint(least, max(least, most))
        return [good(schema.get("items", {}), root, chance) for _ in range(count)]
    if kind == "string":
        return _text(schema, chance)
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", -5) + 1)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 10) - 1)
        return chance.randint(int(least), int(min(most, 2**53)))
    return _TYPES.get(str(kind))


def near_misses(value: Any, schema: Schema, root: Schema) -> Iterator[Any]:
    """Yield a valid value with one thing wrong, or almost wrong, at each place in it."""
    schema = _resolved(schema, root)
    if "anyOf" in schema:
        for alternative in schema["anyOf"]:
            yield from near_misses(value, alternative, root)
        return
    yield from _TYPES.values()
    misses = _MISSES.get(type(value))
    if misses is not None:
        yield from misses(value, schema, root)


def _miss_text(value: str, schema: Schema, _: Schema) -> Iterator[Any]:
    for length in (schema.get("minLength", 0), schema.get("maxLength", 0)):
        if length <= 5_000:
            yield from ("x" * max(0, length + by) for by in (-1, 0, 1))
    yield from (value + "\n", " " + value, value.upper(), value + "ß", value[:-1], value * 2)


def _miss_number(_: int, schema: Schema, __: Schema) -> Iterator[Any]:
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        yield from (schema[word] + by for by in (-1, 0, 1) if word in schema)


def _miss_array(value: list[Any], schema: Schema, root: Schema) -> Iterator[Any]:
    yield [*value, *value, *value]
    yield value * 200
    for at, each in enumerate(value):
        for missed in near_misses(each, schema.get("items", {}), root):
            yield [*value[:at], missed, *value[at + 1 :]]


def _miss_object(value: dict[str, Any], schema: Schema, root: Schema) -> Iterator[Any]:
    yield {**value, "one_too_many": 1}
    yield {f"name {number}": "x" for number in range(300)}
    for name, each in value.items():
        yield {key: kept for key, kept in value.items() if key != name}
        below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        for missed in near_misses(each, below if isinstance(below, dict) else {}, root):
            yield {**value, name: missed}


_MISSES: dict[type[object], Callable[[Any, Schema, Schema], Iterator[Any]]] = {
    str: _miss_text,
    int: _miss_number,
    list: _miss_array,
    dict: _miss_object,
}


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _text(schema: Schema, chance: random.Random) -> str:
    if schema.get("format") == "uuid":
        return f"{chance.getrandbits(128):032x}"[:8] + "-0000-4000-8000-000000000000"
    if schema.get("format") == "date-time":
        offset = chance.choice(["Z", "+00:00", "-07:30"])
        return f"20{chance.randint(30, 60)}-0{chance.randint(1, 9)}-11T10:11:12{offset}"
    if "sealed" in schema.get("pattern", ""):
        return f"sealed:v1:{'a' * 12}:{'b' * chance.randint(66, 90)}"
    if "A-Za-z0-9._-" in schema.get("pattern", ""):
        return f"member:{chance.randint(1, 99)}"
    least, most = schema.get("minLength", 8), min(schema.get("maxLength", 12), 12)
    length = chance.randint(least, max(least, most))
    return "".join(chance.choice(string.ascii_lowercase) for _ in range(max(length, 1)))
