"""Inlining the style sheet into a template gives what inlining it into each mail would."""

from html.parser import HTMLParser
from typing import Any

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader

from workers.notifications.message_templates import load_template, templates_directory

VALUES: dict[str, Any] = {
    "subject": "[Acme] 3 certificates",
    "organization": "Acme & Sons",
    "is_sandbox": True,
    "recipient_name": "Ann <Müller>",
    "time_zone": "UTC",
    "reason": "you administer Acme",
    "headline": "3 certificates expire",
    "more_entries": 4,
    "entries": [
        {
            "label": f"“{urgency}”",
            "unique_name": unique_name,
            "urgency": urgency,
            "status": "Expires today",
            "moment": "Tue 1 Dec 2026, 12:00 UTC",
            "facts": [("Type", "imported"), ("Issuer", "CN=x")],
            "places": places,
            "more_places": len(places),
            "steps": ["One.", "Two."],
        }
        for urgency, unique_name, places in [
            ("urgent", "One", ["API client: a", "API client: b"]),
            ("soon", None, []),
            ("later", "Three", ["API client: c"]),
        ]
    ],
}


def elements(html: str) -> list[str]:
    """Return the tags, with their attributes in order of name, and the text between them."""
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append(f"<{tag} {sorted(attrs, key=str)}>")

        def handle_endtag(self, tag: str) -> None:
            found.append(f"</{tag}>")

        def handle_data(self, data: str) -> None:
            if data.strip():
                found.append(" ".join(data.split()))

    Reader().feed(html)
    return found


def test_a_template_is_inlined_as_each_of_its_mails_would_be() -> None:
    directory = templates_directory()
    as_written = Environment(loader=FileSystemLoader(directory), autoescape=True)
    inliner = CSSInliner(
        load_remote_stylesheets=False,
        minify_css=True,
        extra_css=(directory / "_base" / "inlined.css").read_text(encoding="utf-8"),
    )
    page = as_written.get_template("expiry_digest/body.html").render(VALUES)
    expected = elements(inliner.inline(page))
    assert elements(load_template("expiry_digest/body.html").render(VALUES)) == expected
    assert sum("style" in element for element in expected) > 50


def test_a_template_is_compiled_once() -> None:
    assert load_template("expiry_digest/body.html") is load_template("expiry_digest/body.html")


def test_html_escapes_and_plain_text_does_not() -> None:
    assert "Acme &amp; Sons" in load_template("expiry_digest/body.html").render(VALUES)
    assert "Acme & Sons" in load_template("expiry_digest/body.txt").render(VALUES)
