"""What stands against importing a keystore: the refusals of rules 24 to 28, all at once. Pure."""

from collections import Counter
from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from workers.certificates.keystores import faults
from workers.certificates.keystores.entries import EntryFault, KeyEntry, KeystoreReading
from workers.certificates.names import check_unique_name
from workers.certificates.private_keys import load_own_key
from workers.certificates.reading.der import read_element
from workers.certificates.reading.public_keys import describe_public_key
from workers.errors import InvalidRequestError


def check_for_import(
    reading: KeystoreReading,
    *,
    taken_names: Collection[str],
    any_key_type: bool = False,
    one_password: bool = True,
) -> list[EntryFault]:
    """Return everything that keeps the keystore from being imported, entry by entry.

    ``taken_names`` are the unique names in use, in lower case. ``any_key_type`` lets in EC and
    Ed25519 keys, ``one_password=False`` keys whose password is not the store's; neither is the
    model's. Trusted certificates and secret keys are not imported and no fault (rule 26).
    """
    found = list(reading.faults)
    aliases = [entry.alias for entry in reading.keys]
    for entry in reading.keys:
        if one_password and entry.has_own_password:
            found.append(faults.own_password(entry.alias))
        fault = _check_key(entry, any_key_type=any_key_type)
        if fault is not None:
            found.append(fault)
    unread = {
        fault.alias: None
        for fault in reading.faults
        if fault.alias is not None and fault.code not in faults.OF_TRUSTED_ENTRIES
    }
    aliases += [alias for alias in unread if alias not in aliases]
    found += _check_aliases(aliases, taken_names)
    if not aliases and not found:
        found.append(_no_private_key(reading))
    place = {alias: number for number, alias in enumerate(aliases)}
    # The file as a whole first, then the entries; what there is to one of them, together.
    return sorted(
        found, key=lambda fault: -1 if fault.alias is None else place.get(fault.alias, len(place))
    )


def unique_name_for(alias: str) -> str:
    """Return the unique name that an entry gets: its alias in lower case, as of Java (rule 27)."""
    return alias.lower()


def _check_key(entry: KeyEntry, *, any_key_type: bool) -> EntryFault | None:
    key = load_own_key(entry.private_key)
    if isinstance(key, RSAPrivateKey):
        if key.key_size not in faults.RSA_SIZES:
            return faults.wrong_key_size(entry.alias, key.key_size)
        return None
    if any_key_type:
        return None
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kind, _ = describe_public_key(read_element(info))
    return faults.wrong_key_type(entry.alias, kind)


def _check_aliases(aliases: list[str], taken_names: Collection[str]) -> list[EntryFault]:
    found: list[EntryFault] = []
    counts = Counter(unique_name_for(alias) for alias in aliases)
    for alias in aliases:
        name = unique_name_for(alias)
        try:
            check_unique_name(name)
        except InvalidRequestError:
            found.append(faults.bad_alias(alias))
            continue
        if counts[name] > 1:
            found.append(faults.doubled_alias(alias))
        if name in taken_names:
            found.append(faults.taken_name(alias))
    return found


def _no_private_key(reading: KeystoreReading) -> EntryFault:
    others = len(reading.trusted) + len(reading.passed_over)
    return EntryFault(
        alias=None,
        code="no-private-key",
        what=(
            "Nothing can be imported, because the keystore has no private key entry"
            + (f" among its {others:,} entries" if others else "")
        ),
        how_to_fix="export it again with its private keys",
    )
