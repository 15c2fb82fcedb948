"""The demo's third act: a certificate is made, signed, exported, and takes another's place."""

import secrets
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from workers.certificates import issuing, uploading
from workers.certificates.downloading import download_request
from workers.certificates.keystore_export import Passwords, collect_contents, write_contents
from workers.certificates.keystores.writing import write_file
from workers.certificates.reading.contents import read_certificates
from workers.certificates.replacement import moves
from workers.certificates.replacement.plan import StepState, VersionRef
from workers.certificates.replacement.store import start_replacement
from workers.certificates.saml.publishing import publish_metadata
from workers.certificates.saml.store import add_configuration, find_configuration
from workers.certificates.tools import CertificateTools
from workers.cli.demonstration.authority import sign_request
from workers.cli.output import console
from workers.cli.session import operator
from workers.composition import certificate_tools
from workers.contract import GenerateCertificate
from workers.contract.certificates import Subject
from workers.database.pool import Connection, database_clock, open_pool
from workers.errors import NotFoundError
from workers.keys.keyring import KeyRing
from workers.keys.root_keys import RootKeys
from workers.organizations.store import organization_id

_ACTOR = "keywright demo"
_FIRST, _SIGNED, _CONFIGURATION = "demo_sign_on", "demo_portal", "DemoIdentityProvider"


def issue_and_replace(
    connection: Connection,
    conninfo: str,
    root_keys: RootKeys,
    *,
    organization: str,
    folder: Path,
) -> None:
    """Have a CA sign a certificate, export it to a keystore, and let SAML sign-on switch to it.

    Run again, the certificate gets a new key, and sign-on switches once more.
    """
    console.print(f"\n[bold]{organization}: certificates, a keystore and SAML sign-on[/bold]")
    owner = organization_id(connection, organization)
    now = database_clock(connection)
    with open_pool(conninfo, size=2, name="demo certificates", acting=operator()) as pool:
        tools = certificate_tools(KeyRing(pool, root_keys), pool)
        _configure_sign_on(connection, tools, owner, now)
        successor = _make_signed(connection, tools, owner, now)
        _export(connection, tools, owner, folder / "keystore.jks")
        _replace(connection, tools, owner, successor)


def _configure_sign_on(
    connection: Connection, tools: CertificateTools, owner: int, now: datetime
) -> None:
    """Make the SAML configuration with a self-signed certificate, unless it is there."""
    try:
        find_configuration(connection, organization_id=owner, name=_CONFIGURATION)
    except NotFoundError:
        made = issuing.generate(
            connection,
            tools,
            GenerateCertificate(label="Sign-on of the demo", unique_name=_FIRST),
            organization_id=owner,
            now=now,
            requested_by=_ACTOR,
        )
        add_configuration(
            connection,
            organization_id=owner,
            name=_CONFIGURATION,
            entity_id="https://portal.example.org/saml",
            assertion_consumer_url="https://portal.example.org/saml/acs",
            certificate=VersionRef(unique_name=_FIRST),
            now=now,
        )
        console.print(
            f"Made “{made.unique_name}”: RSA-2048, self-signed, valid until"
            f" {made.not_after:%Y-%m-%d}. It signs the requests of {_CONFIGURATION}.",
            soft_wrap=True,
        )


def _make_signed(
    connection: Connection, tools: CertificateTools, owner: int, now: datetime
) -> VersionRef:
    """Make a key pair and its request, have it signed, and take the chain in."""
    try:
        issuing.rekey(
            connection,
            tools,
            organization_id=owner,
            unique_name=_SIGNED,
            now=now,
            requested_by=_ACTOR,
        )
    except NotFoundError:
        issuing.generate(
            connection,
            tools,
            GenerateCertificate(
                label="Portal of the demo",
                unique_name=_SIGNED,
                ca_signed=True,
                profile="signing",
                key_type="P-256",
                subject=Subject(common_name="Portal of the demo"),
            ),
            organization_id=owner,
            now=now,
            requested_by=_ACTOR,
        )
    request = download_request(connection, organization_id=owner, unique_name=_SIGNED)
    chain = sign_request(request.content, now=now)
    prepared = uploading.prepare(
        connection,
        tools,
        uploading.Upload(
            organization_id=owner,
            unique_name=_SIGNED,
            readings=[read_certificates(chain, source="the throw-away CA's answer")],
        ),
        now=now,
    )
    with connection.transaction():
        uploaded = uploading.keep(connection, tools, prepared, now=now, requested_by=_ACTOR)
    console.print(
        f"Made “{_SIGNED}” version {uploaded.version_number}: P-256; its request was signed by a"
        f" throw-away CA, the chain of {len(uploaded.chain)} verified and kept, valid until"
        f" {uploaded.not_after:%Y-%m-%d}.",
        soft_wrap=True,
    )
    return VersionRef(unique_name=_SIGNED, version_number=uploaded.version_number)


def _export(connection: Connection, tools: CertificateTools, owner: int, path: Path) -> None:
    """Write both certificates with their keys into a Java keystore, and have Java list it."""
    password = secrets.token_urlsafe(24)
    contents = collect_contents(
        connection,
        tools.private_keys,
        organization_id=owner,
        unique_names=[_FIRST, _SIGNED],
    )
    path.unlink(missing_ok=True)  # an earlier demo's, whose password is gone
    write_file(
        path,
        write_contents(contents, Passwords(store=password), store_format="jks", truststore=False),
    )
    console.print(
        f"Exported {len(contents.keys)} private keys with their chains to {path}; its password is"
        " random, and forgotten when the demo ends.",
        soft_wrap=True,
        markup=False,
    )
    if keytool := shutil.which("keytool"):
        listed = subprocess.run(  # noqa: S603  # a fixed program; the password is not among the arguments
            [keytool, "-list", "-keystore", str(path), "-storetype", "JKS"],
            input=f"{password}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        entries = [line for line in listed.stdout.splitlines() if "PrivateKeyEntry" in line]
        console.print(f"Java's keytool finds in it: {len(entries)} entries with a private key.")
        for entry in entries:
            console.print(f"  {entry.strip().rstrip(',')}", markup=False, highlight=False)
    else:
        console.print("There is no keytool here; with Java, it would list the entries.")


def _replace(
    connection: Connection, tools: CertificateTools, owner: int, successor: VersionRef
) -> None:
    """Let the sign-on switch: both keys published, the new one used, the old one given up."""
    now = database_clock(connection)
    found = find_configuration(connection, organization_id=owner, name=_CONFIGURATION)
    assert found.unique_name is not None
    old = VersionRef(unique_name=found.unique_name, version_number=found.version_number)
    replacement_id = start_replacement(
        connection,
        organization_id=owner,
        old=old,
        new=successor,
        switch_by=None,
        requested_by=_ACTOR,
        reason="to show how it is done",
        now=now,
    )
    console.print(
        f"{_CONFIGURATION} is to switch from {old} to {successor}:", markup=False, soft_wrap=True
    )
    for state, says in (
        (StepState.OVERLAPPING, "partners may know both"),
        (StepState.SWITCHED, "the new one signs, the old one is still published"),
        (StepState.RETIRED, "only the new one is left"),
    ):
        moves.advance(
            connection,
            organization_id=owner,
            replacement_id=replacement_id,
            to=state,
            actor=_ACTOR,
            now=now,
        )
        xml = publish_metadata(
            connection,
            tools.private_keys,
            organization_id=owner,
            name=_CONFIGURATION,
            now=now,
        )
        keys = xml.count(b'use="signing"')
        published = "1 key" if keys == 1 else f"{keys} keys"
        console.print(f"  {state.value}: signed metadata with {published}; {says}.", soft_wrap=True)
