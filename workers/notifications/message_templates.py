"""The message templates: found, inlined and compiled once per process."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from css_inline import CSSInliner
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

_INLINED_CSS = "_base/inlined.css"


def templates_directory() -> Path:
    """Return the folder of the templates, in the installed package or in the checkout around it."""
    package = Path(__file__).parents[1]
    for directory in (package / "templates", package.parent / "templates"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError("The folder “templates” is missing from this installation")


@cache
def load_template(name: str) -> Template:
    """Return the template ``name``, such as ``expiry_digest/body.html``; HTML is autoescaped."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = SandboxedEnvironment(
        loader=_InliningLoader(templates_directory()),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["as_label"] = _as_label
    return environment


def _as_label(name: str) -> str:
    """Return such as ``Issuer:``, as wide in plain text as the longest name of a fact."""
    return f"{name}:".ljust(9)


class _InliningLoader(FileSystemLoader):
    """Writes the style sheet into the tags of HTML templates before they are compiled.

    Doing that to each mail instead takes about as long as all the rest of rendering it. To the
    inliner a Jinja tag is a comment, so it may stand wherever a comment may: not inside an HTML
    tag, and in a table only where ``tbody`` is written out, which the inliner would otherwise add
    in the wrong place.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._css = (directory / _INLINED_CSS).read_text(encoding="utf-8")
        self._inliner = CSSInliner(load_remote_stylesheets=False, minify_css=True)
        self._page_inliner = CSSInliner(
            load_remote_stylesheets=False, minify_css=True, extra_css=self._css
        )

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        source, filename, is_up_to_date = super().get_source(environment, template)
        if template.endswith(".html"):
            source = self._inline(source)
        return source, filename, is_up_to_date

    def _inline(self, source: str) -> str:
        commented = source.replace("{%", "<!--{%").replace("%}", "%}-->")
        inlined = (
            self._page_inliner.inline(commented)
            if commented.startswith("<!doctype")
            else self._inliner.inline_fragment(commented, self._css)
        )
        return inlined.replace("<!--{%", "{%").replace("%}-->", "%}")
