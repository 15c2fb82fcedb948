"""The little Markdown that the generated pages need."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- Written by `python -m docs.generate`; change the code instead. -->"


def page(title: str, *parts: str) -> str:
    """Return a whole page: its title, the note that it is generated, and its parts."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip() for part in parts)]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell is escaped."""
    lines = [" | ".join(headings), " | ".join("---" for _ in headings)]
    lines += [" | ".join(cell.replace("|", r"\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def code(text: str) -> str:
    """Return ``text`` as code within a line; nothing stays nothing."""
    return f"`{text}`" if text else ""
