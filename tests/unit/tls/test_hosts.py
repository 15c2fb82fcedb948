"""Which hosts are this machine whatever happens, and which only look like it."""

import pytest

from workers.tls import is_this_machine


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost", "localhost.", "a.localhost", "127.0.0.1", "::1", "[::1]"]
)
def test_loopback_is_this_machine(host: str) -> None:
    assert is_this_machine(host)


@pytest.mark.parametrize(
    "host", ["", "h", "localhost.example.org", "notlocalhost", "10.0.0.1", "127.1", "0.0.0.0", "::"]
)
def test_anything_else_may_be_another(host: str) -> None:
    assert not is_this_machine(host)
