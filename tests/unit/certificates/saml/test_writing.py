"""Metadata in a file: public, and replaced as a whole."""

from pathlib import Path

import pytest

from workers.certificates.saml.writing import replace_file
from workers.errors import InvalidRequestError


def test_what_was_there_is_replaced_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "okta.xml"
    for content in (b"a longer one", b"short"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere" / "okta.xml", tmp_path):
        with pytest.raises(InvalidRequestError, match="Cannot write"):
            replace_file(path, b"x")
    assert list(tmp_path.iterdir()) == []
