"""Making text that others wrote fit for one line of ours: labels, names, replies. Pure.

Labels and subjects come out of certificates that anybody may have made.
"""


def plain(text: str) -> str:
    """Return ``text`` as one line without control and format characters.

    Line breaks and other blanks become single spaces. Bidirectional overrides, zero-width
    characters and everything else that cannot be seen is left out.
    """
    if not text.isprintable():
        text = "".join(
            character if character.isprintable() else " "
            for character in text
            if character.isprintable() or character.isspace()
        )
    return " ".join(text.split())


def shorten(text: str, length: int) -> str:
    """Return ``text``, or its beginning and an ellipsis: ``length`` characters at most."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
