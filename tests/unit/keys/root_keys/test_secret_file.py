"""Who may do what with a file that holds a secret."""

import pytest

from workers.keys.root_keys.secret_file import who_else


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_what_only_its_owner_may_touch_is_safe(mode: int, *, read_only: bool) -> None:
    assert who_else(mode, mounted_read_only=read_only) is None


@pytest.mark.parametrize("mode", [0o444, 0o440, 0o404, 0o644, 0o755])
def test_a_mount_that_is_read_only_stands_in_for_the_mode(mode: int) -> None:
    assert who_else(mode, mounted_read_only=True) is None
    assert who_else(mode, mounted_read_only=False) == "read"


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o777, 0o660])
def test_what_others_may_write_is_never_safe(mode: int, *, read_only: bool) -> None:
    assert who_else(mode, mounted_read_only=read_only) == "write"
