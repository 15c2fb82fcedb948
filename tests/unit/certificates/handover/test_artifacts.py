"""What a file is called here, whatever it is called elsewhere."""

import pytest

from workers.certificates.handover.artifacts import file_name_from


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme.p12", "acme.p12"),
        ("../../etc/passwd", "file.._.._etc_passwd"),
        (".hidden", "file.hidden"),
        ("schlüssel 1.jks", "schl_ssel_1.jks"),
        ("", "file"),
        ("x" * 300, "x" * 90),
    ],
)
def test_a_file_name_holds_nothing_that_leads_elsewhere(name: str, expected: str) -> None:
    assert file_name_from(name) == expected
