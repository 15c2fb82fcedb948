"""Values in configuration files mean what they are, in every syntax, or are refused."""

import ast
import json

import pytest
from jinja2 import UndefinedError

from workers.certificates import configuration_templates
from workers.certificates.configuration_templates import (
    one_line_comment,
    quoted_curl,
    quoted_java,
    quoted_json,
    quoted_python,
    render,
    word,
)
from workers.errors import InvalidRequestError

HOSTILE = """it's "\\u0022 \\\\" $(x) `x` ${x} {{ 7 * 7 }} */ // # é\N{GRINNING FACE}\\"""
QUOTING = (quoted_curl, quoted_java, quoted_json, quoted_python)


def test_a_python_and_a_json_string_are_read_back_as_they_were() -> None:
    assert ast.literal_eval(quoted_python(HOSTILE)) == HOSTILE
    assert json.loads(quoted_json(HOSTILE)) == HOSTILE
    for each in (quoted_java, quoted_json, quoted_python):
        assert each(HOSTILE).isascii()


def test_no_escape_of_java_stands_for_a_quote_or_a_backslash() -> None:
    quoted = quoted_java('"\\u0022\N{GRINNING FACE}')
    assert quoted == '"\\"\\\\u0022\\ud83d\\ude00"'


def test_curl_gets_quotes_and_backslashes_escaped() -> None:
    assert quoted_curl('a"b\\c') == '"a\\"b\\\\c"'


@pytest.mark.parametrize("quote", [*QUOTING, word])
@pytest.mark.parametrize(
    "value", ["a\nb", "a\rb", "a\0b", "a\x1bb", "a\N{LINE SEPARATOR}b", "\udcff"]
)
def test_control_characters_are_refused_everywhere(quote: object, value: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        quote(value)  # type: ignore[operator]
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "value", ["", "a b", "a;b", "a{b", 'a"b', "a$b", "a'b", "a#b", "a\\b", "é"]
)
def test_a_word_has_nothing_that_any_syntax_knows(value: str) -> None:
    with pytest.raises(InvalidRequestError, match="letters, digits"):
        word(value)
    assert word("/etc/keywright/acme-1_2.pem") == "/etc/keywright/acme-1_2.pem"


def test_a_comment_ends_nowhere() -> None:
    assert one_line_comment('a\nb*/"""\\u000a') == "a?b??????u000a"


def test_a_value_that_is_missing_or_not_escaped_is_an_error() -> None:
    environment = configuration_templates._environment()
    with pytest.raises(TypeError, match="no filter has escaped"):
        environment.from_string("{{ url }}").render(url="https://example.org")
    with pytest.raises(UndefinedError):
        environment.from_string("{{ url | json }}").render()
    with pytest.raises(UndefinedError):
        render("api_client/curl.conf.j2", {})
    assert environment.from_string("{{ url | json }}").render(url="{{ 7 * 7 }}") == '"{{ 7 * 7 }}"'
