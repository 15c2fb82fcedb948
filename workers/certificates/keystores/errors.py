"""What reading and writing keystores may refuse."""

from workers.errors import InvalidRequestError


class KeystoreError(InvalidRequestError):
    """The keystore cannot be read or written; the text says why in one sentence."""

    code = "keystore"
    title = "The keystore cannot be used"
