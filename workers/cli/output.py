"""Tables for people, JSON for machines."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

console = Console(highlight=False)


def print_json(value: Any) -> None:
    """Print ``value`` (dataclasses, models, dates and bytes included) as JSON."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def print_rows(
    rows: Sequence[Any], columns: Mapping[str, str], *, as_json: bool, empty: str
) -> None:
    """Print dataclasses as a table with ``columns`` (field → heading), or whole as JSON.

    ``empty`` is the sentence to say where there are none.
    """
    if as_json:
        print_json(rows)
    elif not rows:
        console.print(empty)
    else:
        print_table(
            columns.values(), ([cell(getattr(row, name)) for name in columns] for row in rows)
        )


def print_table(
    headings: Iterable[str], rows: Iterable[Sequence[str]], *, title: str | None = None
) -> None:
    """Print a plain table; cells are shown as they are, never read as markup."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_printable(text) for text in row))
    console.print(table)


def cell(value: Any) -> str:
    """Show one value the way people read it: times local and to the minute, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(tz=None).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)


def in_words(duration: timedelta) -> str:
    """Say a duration in its largest fitting unit: ``45 s``, ``12 min``, ``3 h``, ``9 days``."""
    seconds = duration.total_seconds()
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _printable(text: str) -> str:
    # Names come from certificates that anybody may have made: no control sequence gets through.
    visible = "".join(each if each.isprintable() else "·" for each in text)
    return visible.replace("[", r"\[")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return value
