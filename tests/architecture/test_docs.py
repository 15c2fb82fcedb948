"""The documentation agrees with the code, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from docs.generate import FOLDER, PAGES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run `python -m docs.generate` and commit the result"


def test_nothing_but_generated_pages_lies_among_the_reference() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


@every_document
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = [link for link in relative_links(document) if not resolves(document, link)]
    assert broken == []


def test_a_link_to_a_missing_file_or_heading_is_noticed() -> None:
    assert not resolves(ROOT / "README.md", "docs/no-such-page.md")
    assert not resolves(ROOT / "README.md", "docs/reference/settings.md#no-such-heading")
    assert resolves(ROOT / "README.md", "docs/reference/settings.md#settings")


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document in reached:
            continue
        reached.add(document)
        for link in relative_links(document):
            target = (document.parent / link.partition("#")[0]).resolve()
            waiting += sorted(target.glob("*.md")) if target.is_dir() else [target]
        waiting = [path for path in waiting if path.suffix == ".md"]
    assert set(DOCUMENTS) - reached == set()


@every_document
def test_a_page_begins_with_its_one_title(document: Path) -> None:
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^# .+$", text, re.MULTILINE)
    assert len(titles) == 1
    assert text.startswith(titles[0])


def relative_links(document: Path) -> list[str]:
    """Return the links of a page that do not lead to another site."""
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    return [link for link in _LINK.findall(text) if "://" not in link]


def resolves(document: Path, link: str) -> bool:
    """Tell whether a link of ``document`` leads to a file and, where it names one, a heading."""
    path, _, heading = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    if not heading:
        return True
    anchors = {anchor(each) for each in _HEADING.findall(target.read_text(encoding="utf-8"))}
    return heading in anchors


def anchor(heading: str) -> str:
    """Return the anchor that Markdown viewers make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
