"""The page of the tables and states, read from the comments of schema.sql."""

import re
from collections.abc import Iterator

from docs.pages.markdown import code, page, table
from workers.database.schema import schema_text

_INTRODUCTION = """
What the database holds. `schema.sql` is the whole truth, with every column, constraint and index;
this page is its index. The tables are not an interface: a later version may change them. To read
keywright's state from outside, use the commands with `--json`.
"""

_CREATE = re.compile(r"^CREATE (TABLE|TYPE|FUNCTION) keywright\.(\w+)", re.MULTILINE)
_END = re.compile(r"\);$", re.MULTILINE)
_VALUE = re.compile(r"^ +'(\w+)',? *(?:-- (.*))?$")
_CONTINUED = re.compile(r"^ {8,}-- (.*)$")


def schema_page() -> str:
    """Describe every table, type and function."""
    sql = schema_text()
    tables, types, functions = [], [], []
    for what, name, comment, body in _statements(sql):
        if what == "TABLE":
            tables.append((code(name), comment))
        elif what == "FUNCTION":
            functions.append((code(name), comment))
        else:
            rows = _values(body)
            meaning = [] if not any(row[1] for row in rows) else [table(("Value", "Meaning"), rows)]
            listed = ", ".join(row[0] for row in rows)
            parts = [f"### {name}", comment, *(meaning or [f"Values: {listed}."])]
            types.append("\n\n".join(part for part in parts if part))
    return page(
        "Schema",
        _INTRODUCTION,
        "## Tables",
        table(("Table", "What a row is"), tables),
        "## States and other types",
        *types,
        "## Functions",
        table(("Function", "What it does"), functions),
    )


def _statements(sql: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield what each statement creates: kind, name, the comment before it, its text."""
    for match in _CREATE.finditer(sql):
        before = sql[: match.start()].rstrip("\n").split("\n")
        comment: list[str] = []
        while before and before[-1].startswith("-- ") and not before[-1].endswith(" --"):
            comment.insert(0, before.pop().removeprefix("-- "))
        yield match[1], match[2], " ".join(comment), _body(sql[match.end() :])


def _body(rest: str) -> str:
    end = _END.search(rest)
    return rest[: end.start()] if end else rest


def _values(body: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    one_line = re.findall(r"'(\w+)'", body) if "\n" not in body else []
    rows += [(code(value), "") for value in one_line]
    for line in body.split("\n"):
        if value := _VALUE.match(line):
            rows.append((code(value[1]), value[2] or ""))
        elif rows and (more := _CONTINUED.match(line)):
            name, meaning = rows.pop()
            rows.append((name, f"{meaning} {more[1]}"))
    return rows
