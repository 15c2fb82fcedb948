"""Saying which certificate of a chain ends first, where that is not the leaf."""

from collections.abc import Sequence

from workers.certificates.history import PastVersion
from workers.certificates.showing import VersionRow
from workers.cli.output import cell, console


def print_chain_ends(versions: Sequence[VersionRow] | Sequence[PastVersion]) -> None:
    """Print a line for each version whose chain ends before it does."""
    for each in versions:
        if each.ends_first is not None:
            console.print(
                f"Version {each.version_number}: its chain ends on {cell(each.not_after)}, with"
                f" “{each.ends_first}”; its own end would be {cell(each.leaf_not_after)}.",
                markup=False,
                soft_wrap=True,
            )
