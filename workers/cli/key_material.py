"""``keywright key export | import | upload``: master keys that come and go in files."""

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from workers.cli.key_options import (
    KeyNumber,
    PassphraseFileOption,
    PrivateKeyFileOption,
    ReasonOption,
    ReencryptOption,
    actor,
    print_rotated,
    read_input,
    read_passphrase,
)
from workers.cli.organizations import OrganizationOption
from workers.cli.output import JsonOption, console, print_json
from workers.cli.session import open_session
from workers.composition import configured_root_keys
from workers.database.pool import Connection, database_clock
from workers.errors import InvalidRequestError
from workers.keys.cleartext_key_material import CleartextKey
from workers.keys.export import Seal, certificate_seal, export_key, passphrase_seal
from workers.keys.export_file import LARGEST_BYTES, CertificateProtection, ExportFile, read_export
from workers.keys.export_sealing import open_with_passphrase, open_with_private_key
from workers.keys.importing import import_key
from workers.keys.root_keys.secret_file import read_secret_file
from workers.keys.rsa_keys import read_private_key, read_recipient
from workers.keys.uploading import read_secret, unwrap_secret, upload_key
from workers.organizations.store import organization_id
from workers.settings import load_settings

_LARGEST_PEM_BYTES = 64 * 1024


def register(group: typer.Typer) -> None:
    """Add the commands to ``keywright key``."""
    group.command("export")(export)
    group.command("import")(import_)
    group.command("upload")(upload)


def export(
    number: KeyNumber,
    *,
    organization: OrganizationOption,
    output: Annotated[
        Path | None, typer.Option(help="The new file; by default named after the key, and here.")
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="Seal it to this RSA certificate (PEM or DER), not with a passphrase."),
    ] = None,
    passphrase_file: PassphraseFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write an archived master key to a file, sealed with a passphrase or to a certificate.

    The file can be read by you alone, and brings the key back if it was destroyed. It opens nowhere
    else than in this organization.

    Examples:
    `keywright key export 1 -o Acme --output acme-1.txt`

    `keywright key export 1 -o Acme --certificate custodian.pem`
    """
    keys = configured_root_keys(load_settings())
    with open_session() as connection:
        owner = organization_id(connection, organization)
        path = output or Path(f"keywright-master-key-{owner}-{number}.txt")
        if certificate is None:
            seal = passphrase_seal(read_passphrase(passphrase_file, confirm=True))
        elif passphrase_file is not None:
            raise InvalidRequestError(
                "--certificate, --passphrase-file: a file is sealed in one way; leave one out."
            )
        else:
            seal = _seal_to(certificate, connection)
        about = export_key(
            connection,
            keys,
            organization_id=owner,
            number=number,
            seal=seal,
            path=path,
            actor=actor(),
        )
    if as_json:
        print_json({"file": str(path), "protection": seal.protection, "key": about})
    else:
        console.print(
            f"Master key {number} is in {path}, check value {about.check_value.hex()}. Keep it"
            " apart from what opens it.",
            markup=False,
            soft_wrap=True,
        )


def import_(
    number: KeyNumber,
    file: Annotated[Path, typer.Argument(help="Its export.")],
    *,
    organization: OrganizationOption,
    passphrase_file: PassphraseFileOption = None,
    private_key_file: PrivateKeyFileOption = None,
    reason: ReasonOption = "asked for on the command line",
    as_json: JsonOption = False,
) -> None:
    """Bring a destroyed master key back from its export: it is archived, and its values readable.

    Values that a re-encryption run had to leave because of the key are retried.

    Example: `keywright key import 1 acme-1.txt -o Acme`
    """
    keys = configured_root_keys(load_settings())
    export_file = read_export(read_input(file, most_bytes=LARGEST_BYTES))
    with open_session() as connection:
        imported = import_key(
            connection,
            keys,
            organization_id=organization_id(connection, organization),
            number=number,
            file=export_file,
            opener=lambda given: _open(given, passphrase_file, private_key_file),
            actor=actor(),
            reason=reason,
        )
    if as_json:
        print_json(imported)
        return
    console.print(f"Master key {number} is archived again.")
    if imported.retry_job_id is not None:
        console.print(
            f"{imported.quarantined} values had waited for it; job {imported.retry_job_id} retries"
            " them.",
            soft_wrap=True,
        )
    elif imported.quarantined:
        console.print(
            f"{imported.quarantined} values had waited for it; start a run once the present one has"
            " ended, and it retries them (`keywright reencryption start`).",
            soft_wrap=True,
        )


def upload(
    *,
    organization: OrganizationOption,
    from_file: Annotated[
        Path, typer.Option(help="The secret: 32 random bytes, as they are or in base64.")
    ],
    hash_: Annotated[
        str, typer.Option("--hash", help="SHA-256 of the 32 bytes in base64, from who made them.")
    ],
    private_key_file: Annotated[
        Path | None,
        typer.Option(help="Unwrap the secret with this RSA private key (OAEP) before anything."),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file with the private key's own passphrase, if any.")
    ] = None,
    reencrypt: ReencryptOption = False,
    reason: ReasonOption = "brought by the organization",
    as_json: JsonOption = False,
) -> None:
    """Make a secret of your own the active master key; the one before is archived.

    A secret is accepted once. Keep it: keywright never gives an active key away.

    Example: `keywright key upload -o Acme --from-file secret.bin
    --hash "$(openssl dgst -sha256 -binary secret.bin | base64)"`
    """
    keys = configured_root_keys(load_settings())
    content = read_secret_file(from_file, variable="--from-file", what="the secret")
    if private_key_file is not None:
        content = unwrap_secret(content, _private_key(private_key_file, passphrase_file))
    secret = read_secret(content, announced_hash=hash_)
    with open_session() as connection:
        uploaded = upload_key(
            connection,
            keys,
            organization_id=organization_id(connection, organization),
            secret=secret,
            actor=actor(),
            reason=reason,
            reencrypt=reencrypt,
        )
    print_rotated(uploaded, as_json=as_json)


def _seal_to(certificate: Path, connection: Connection) -> Seal:
    encoded = read_input(certificate, most_bytes=_LARGEST_PEM_BYTES)
    return certificate_seal(read_recipient(encoded, now=database_clock(connection)))


def _open(
    file: ExportFile, passphrase_file: Path | None, private_key_file: Path | None
) -> CleartextKey:
    """Open a file with what was named, or with what a person types."""
    if private_key_file is not None:
        return open_with_private_key(file, _private_key(private_key_file, passphrase_file))
    if isinstance(file.protection, CertificateProtection):
        raise InvalidRequestError(
            "The export is sealed to a certificate; name the private key that belongs to it"
            " (--private-key-file)."
        )
    return open_with_passphrase(file, read_passphrase(passphrase_file))


def _private_key(path: Path, passphrase_file: Path | None) -> RSAPrivateKey:
    encoded = read_input(path, most_bytes=_LARGEST_PEM_BYTES)
    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    return read_private_key(encoded, passphrase)
