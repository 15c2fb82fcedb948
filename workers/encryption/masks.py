"""Masks: what somebody sees of a value who may not view encrypted data (rule 48 of the model).

A mask is no check of the input: any text gets one, and no text gets through it whole. Pure.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, TypeAlias

MaskType: TypeAlias = Literal["all", "last_four", "credit_card", "ssn", "sin", "nino"]
MaskCharacter: TypeAlias = Literal["*", "X"]

_CLEAR = 4
_NINO_CHARACTERS = 9
_DASHES = "-\u2010\u2011\u2012\u2013\u2212"  # hyphens, figure and en dash, minus


def mask(value: str, mask_type: MaskType, mask_character: MaskCharacter = "*") -> str:
    """Return ``value`` with what is to be hidden replaced by ``mask_character``.

    ``credit_card``, ``ssn``, ``sin`` and ``nino`` leave out the blanks and dashes of the value and
    set their own. A value of four characters or fewer is hidden whole, whatever its mask.
    """
    if mask_type in ("all", "last_four"):
        return _hide(value, mask_character, clear=mask_type == "last_four")
    bare = "".join(each for each in value if not (each.isspace() or each in _DASHES))
    if mask_type == "nino":
        hidden = _hide(bare, mask_character, clear=False)
        return _group(hidden, (2, 4, 6, 8), " ") if len(bare) == _NINO_CHARACTERS else hidden
    hidden = _hide(bare, mask_character, clear=True)
    if mask_type == "credit_card":
        return _group(hidden, range(4, len(hidden), 4), "-")
    return _group(hidden, (3, 5) if mask_type == "ssn" else (3, 6), "-")


def _hide(value: str, mask_character: str, *, clear: bool) -> str:
    shown = value[-_CLEAR:] if clear and len(value) > _CLEAR else ""
    return mask_character * (len(value) - len(shown)) + shown


def _group(value: str, after: Iterable[int], separator: str) -> str:
    """Put ``separator`` after so many characters of ``value``, where more follow."""
    ends = [0, *(end for end in after if end < len(value)), len(value)]
    return separator.join(value[start:end] for start, end in pairwise(ends))
