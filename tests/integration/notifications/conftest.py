from collections.abc import Iterator

import pytest

from tests.integration.announcements.catalogue import announced_as_the_catalogue_says


@pytest.fixture(autouse=True)
def _as_the_catalogue_says(conninfo: str) -> Iterator[None]:
    """Check what a test has had announced."""
    with announced_as_the_catalogue_says(conninfo):
        yield
