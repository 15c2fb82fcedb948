"""Bringing a listener's bundle up to date, once: read, publish, have the listener reload."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from workers.certificates import trusted_roots
from workers.certificates.mutual_tls import publishing, store
from workers.certificates.mutual_tls.bundle import Bundle, Uploaded, make_bundle
from workers.certificates.mutual_tls.calls import as_known
from workers.certificates.mutual_tls.listener_files import AUTHORITIES, Listener, listener_files
from workers.database.pool import Connection, database_clock
from workers.errors import InvalidRequestError, TransientError

_RELOADED = ".reloaded"
_RELOAD_SECONDS = 60


class ReloadFailedError(TransientError):
    """The bundle is there, but the listener could not be told."""

    code = "reload-failed"
    title = "The listener could not be reloaded"


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What a refresh led to."""

    clients: int
    changed: bool
    reloaded: bool


def refresh(
    connection: Connection,
    *,
    organization_id: int,
    folder: Path,
    listener: Listener,
    reload_command: Sequence[str] = (),
) -> Refreshed:
    """Publish the organization's bundle if it has changed, and have the listener reload it.

    Where there is a bundle already, one that accepts nobody takes its place once mutual
    authentication is off. A reload that failed, or that a crash forestalled, is made up for.

    Raises:
        MutualTlsOffError: mutual authentication is off, and there is no bundle yet.
        InvalidRequestError: no root is trusted yet, or the folder cannot be written to.
        ReloadFailedError: the bundle is there, but the command failed.
    """
    listener.check()
    if publishing.current_set(folder) is None:
        store.check_enabled(connection, organization_id)
    with publishing.exclusive(folder):
        bundle = read_bundle(connection, organization_id, database_clock(connection))
        files = listener_files(bundle, listener)
        if AUTHORITIES not in files:
            # No listener starts without any; whom it accepts, the lists of clients say.
            former = publishing.current_authorities(folder)
            if former is None:
                raise InvalidRequestError(
                    "No root is trusted yet, so no client can be; `keywright mutual-tls root add`"
                    " adds one."
                )
            files[AUTHORITIES] = former
        changed = publishing.publish(folder, files)
        reloaded = _reload(folder, reload_command)
    return Refreshed(clients=len(bundle.clients), changed=changed, reloaded=reloaded)


def read_bundle(connection: Connection, organization_id: int, now: datetime) -> Bundle:
    """Return what an organization accepts at this moment."""
    return make_bundle(
        [
            Uploaded(
                known=as_known(each),
                issuer=each.issuer,
                serial=each.serial,
                certificate=bytes(each.certificate_der),
                chain=tuple(bytes(der) for der in each.chain_der),
            )
            for each in store.list_clients(connection, organization_id)
        ],
        organization_id=organization_id,
        is_enabled=store.enabled_since(connection, organization_id) is not None,
        roots=[
            bytes(each.certificate_der)
            for each in trusted_roots.list_roots(connection, organization_id)
        ],
        now=now,
    )


def _reload(folder: Path, command: Sequence[str]) -> bool:
    """Run the command unless it ran for the set that is there; words are passed as they are."""
    name = publishing.current_set(folder)
    if not command or name is None or _was_reloaded(folder, name):
        return False
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own words, and no shell
            list(command), stdin=subprocess.DEVNULL, stdout=2, timeout=_RELOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it took too long"
        raise ReloadFailedError(f"The bundle is written, but {command[0]}: {reason}.") from error
    if done.returncode != 0:
        raise ReloadFailedError(
            f"The bundle is written, but {command[0]} ended with {done.returncode}; the listener"
            " still has the former one."
        )
    publishing.note(folder, _RELOADED, name)
    return True


def _was_reloaded(folder: Path, name: str) -> bool:
    try:
        return (folder / _RELOADED).read_text(encoding="ascii") == name
    except (OSError, UnicodeDecodeError):
        return False
