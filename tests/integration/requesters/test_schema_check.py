"""The check of arguments in SQL says what pydantic says, for every kind of the contract."""

import json
import random
from typing import Annotated

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import Field, TypeAdapter, ValidationError

from tests.integration.requesters.arguments import UNDERSTOOD, good, near_misses, subschemas
from tests.integration.requesters.test_hostile_requests import BEYOND_THE_SCHEMA, verdict
from workers.contract import JOB_REQUESTS, JobRequest
from workers.database.pool import Connection

SCHEMAS = {each.kind: each.model_json_schema() for each in JOB_REQUESTS}
PATTERNS = sorted(
    {
        each["pattern"]
        for schema in SCHEMAS.values()
        for each in subschemas(schema)
        if "pattern" in each
    }
)
every_kind = pytest.mark.parametrize("request_type", JOB_REQUESTS, ids=lambda each: each.kind)


@every_kind
def test_the_contract_says_nothing_that_the_check_does_not_know(
    request_type: type[JobRequest],
) -> None:
    for each in subschemas(SCHEMAS[request_type.kind]):
        assert each.keys() <= UNDERSTOOD
        assert each.get("format") in (None, "uuid", "date-time")


@every_kind
def test_it_agrees_with_pydantic_about_what_fits_and_what_hardly_misses(
    connection: Connection, request_type: type[JobRequest]
) -> None:
    schema, chance = SCHEMAS[request_type.kind], random.Random(request_type.kind)
    tries = [good(schema, schema, chance) for _ in range(20)]
    for each in tries:
        assert beyond(verdict(request_type, each)), each
    tries += [missed for each in tries[:4] for missed in near_misses(each, schema, schema)]
    rows = connection.execute(
        """
        SELECT keywright.schema_fault(value, arguments, arguments -> '$defs', 'arguments')
          FROM unnest(%s::jsonb[]) WITH ORDINALITY AS each (value, position),
               (SELECT arguments FROM keywright.job_kind WHERE kind = %s) AS kind
         ORDER BY position
        """,
        [[Jsonb(each) for each in tries], request_type.kind],
    ).fetchall()
    for value, (fault,) in zip(tries, rows, strict=True):
        expected = verdict(request_type, value)
        agreed = expected is not None if fault else beyond(expected)
        assert agreed, (json.dumps(value)[:500], fault, expected)
        assert fault is None or len(fault) < 600


def beyond(expected: str | None) -> bool:
    """Return whether only what no JSON Schema can say, or nothing, stands against something."""
    return expected is None or any(each in expected for each in BEYOND_THE_SCHEMA)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pattern_means_the_same_to_postgres_and_to_pydantic(
    connection: Connection, pattern: str, data: st.DataObject
) -> None:
    fitting = data.draw(st.from_regex(pattern))
    ending = data.draw(st.sampled_from(["", "\n", " ", "a", "_", "Ä", "\u0660", "\u212a", "-"]))
    text = fitting.replace("\0", "") + ending
    try:
        TypeAdapter(Annotated[str, Field(pattern=pattern)]).validate_python(text)
        expected = True
    except ValidationError:
        expected = False
    assert connection.execute("SELECT %s ~ %s", [text, pattern]).fetchone() == (expected,)


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"const": "x"}, ["x"], ["y", None, 1]),
        ({"enum": ["a", 1, None]}, ["a", 1, None], ["b", 2, [], ["a"]]),
        ({"type": "integer"}, [0, -1, 10**30], [1.5, "1", True, None]),
        ({"type": "number", "exclusiveMinimum": 0}, [0.1], [0, -1]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, [1, "x"], [None, [], 1.5]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [[], [1, 2]], [[1, "x"]]),
        ({"type": "object", "required": ["a"]}, [{"a": None}], [{}, {"b": 1}]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"a": 1}]),
        ({"type": "object", "additionalProperties": {"type": "null"}}, [{"a": None}], [{"a": 1}]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_each_word_means_what_json_schema_says(
    connection: Connection, schema: object, fits: list[object], does_not: list[object]
) -> None:
    for values, good_ones in ((fits, True), (does_not, False)):
        for value in values:
            row = connection.execute(
                "SELECT keywright.schema_fault(%s, %s, '{}', 'arguments') IS NULL",
                [Jsonb(value), Jsonb(schema)],
            ).fetchone()
            assert row == (good_ones,), value


def test_a_fault_says_where_it_is_and_repeats_nothing(connection: Connection) -> None:
    schema = {
        "type": "object",
        "properties": {
            "places": {
                "type": "array",
                "items": {"type": "object", "properties": {"place": {"type": "integer"}}},
            }
        },
    }
    value = {"places": [{"place": 1}, {"place": "hunter2"}]}
    row = connection.execute(
        "SELECT keywright.schema_fault(%s, %s, '{}', 'arguments')", [Jsonb(value), Jsonb(schema)]
    ).fetchone()
    assert row == ("places.1.place: is to be integer",)
