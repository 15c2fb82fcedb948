"""One refresh: what is published, and that the listener hears of it, whatever came in between."""

from pathlib import Path, PurePosixPath

import pytest

from tests.integration.certificates.mutual_tls.partners import BY, PARTNER, ROOT, Partners
from workers.certificates.mutual_tls.enabling import disable
from workers.certificates.mutual_tls.listener_files import Listener
from workers.certificates.mutual_tls.refreshing import Refreshed, ReloadFailedError, refresh
from workers.certificates.mutual_tls.roots import list_roots, remove_root
from workers.certificates.mutual_tls.store import MutualTlsOffError
from workers.errors import InvalidRequestError


def refreshed(partners: Partners, folder: Path, *command: str) -> Refreshed:
    return refresh(
        partners.connection,
        organization_id=partners.organization_id,
        folder=folder,
        listener=Listener(folder=PurePosixPath(folder)),
        reload_command=command,
    )


def remove_the_root(partners: Partners) -> None:
    connection, owner = partners.connection, partners.organization_id
    [root] = list_roots(connection, organization_id=owner)
    remove_root(
        connection,
        organization_id=owner,
        fingerprint=root.fingerprint.hex(),
        with_clients=True,
        removed_by=BY,
        now=partners.now,
    )


def test_a_reload_that_failed_or_never_came_is_made_up_for(
    partners: Partners, tmp_path: Path
) -> None:
    folder, seen = tmp_path / "it's $(a) folder", tmp_path / "seen"
    with pytest.raises(InvalidRequestError, match="cannot be written into a configuration file"):
        refreshed(partners, folder)
    folder = tmp_path / "bundle"
    # Words, and no shell: what looks like syntax is a name.
    reload = ("touch", str(seen) + ";$(x)")
    with pytest.raises(ReloadFailedError, match="false ended with 1"):
        refreshed(partners, folder, "false")
    with pytest.raises(ReloadFailedError, match="No such file"):
        refreshed(partners, folder, "/no/such/program")
    assert refreshed(partners, folder, *reload) == Refreshed(
        clients=0, changed=False, reloaded=True
    )
    assert [path.name for path in tmp_path.glob("seen*")] == ["seen;$(x)"]
    assert refreshed(partners, folder, *reload) == Refreshed(
        clients=0, changed=False, reloaded=False
    )
    partners.upload(PARTNER)
    assert refreshed(partners, folder) == Refreshed(clients=1, changed=True, reloaded=False)
    assert refreshed(partners, folder, *reload).reloaded  # as if it had been killed before that


def test_rule_31_the_first_bundle_is_refused_while_it_is_off_and_a_later_one_is_emptied(
    partners: Partners, tmp_path: Path
) -> None:
    partners.upload(PARTNER)
    disable(partners.connection, organization_id=partners.organization_id, by=BY)
    with pytest.raises(MutualTlsOffError):
        refreshed(partners, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    other = Partners.of(partners.connection, "Other")
    other.upload(PARTNER)
    assert refreshed(other, tmp_path / "old").clients == 1
    disable(other.connection, organization_id=other.organization_id, by=BY)
    assert refreshed(other, tmp_path / "old") == Refreshed(clients=0, changed=True, reloaded=False)


def test_without_roots_nobody_is_accepted_and_the_listener_still_starts(
    partners: Partners, tmp_path: Path
) -> None:
    partners.upload(PARTNER)
    assert refreshed(partners, tmp_path / "old").clients == 1
    remove_the_root(partners)
    assert refreshed(partners, tmp_path / "old").clients == 0
    authorities = (tmp_path / "old" / "current" / "client-ca.pem").read_bytes()
    assert ROOT.pem in authorities
    with pytest.raises(InvalidRequestError, match="No root is trusted yet"):
        refreshed(partners, tmp_path / "new")
