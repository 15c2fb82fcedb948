"""Why a server's certificate was not accepted, in words, with what to do about it."""

import ssl

# OpenSSL's X509_V_ERR_…, see openssl-verification-options(1).
_NOT_YET_VALID = 9
_EXPIRED = 10
_OTHER_NAME = (62, 63, 64)  # host, e-mail address, IP address
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)


def distrust_in_words(error: ssl.SSLCertVerificationError, setting: str) -> str:
    """Say what is wrong with the certificate, to follow the name of the server that showed it.

    ``setting`` is the variable that names the server. The text has no full stop at its end.
    """
    code = error.verify_code
    if code == _EXPIRED:
        return "has a certificate that has expired; give it a new one on the server"
    if code == _NOT_YET_VALID:
        return (
            "has a certificate that is not valid yet; compare the clocks of the server and of this"
            " machine"
        )
    if code in _OTHER_NAME:
        return (
            "has a certificate for another host name; write a name that stands in the certificate"
            f" into {setting}, or have one issued for this name"
        )
    if code in _UNKNOWN_AUTHORITY:
        return (
            "has a certificate of an authority that is not trusted here; name a file with that"
            " authority's certificate in KEYWRIGHT_CA_FILE"
        )
    # Such as "CA signature digest algorithm too weak": OpenSSL's words, never the server's.
    return f"has a certificate that is not trusted ({error.verify_message}); give it another one"
