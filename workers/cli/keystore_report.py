"""What the commands on keystores say."""

from pathlib import Path

import typer

from workers.certificates.keystore_export import KeystoreContents
from workers.certificates.keystore_import import ImportPlan
from workers.certificates.keystore_jobs import report
from workers.cli.output import cell, console, print_json, print_table

_MOST_NAMES = 10
_OF_NAMES = ("alias", "alias-twice", "name-taken")  # codes of faults that another name cures


def print_exported(output: Path, contents: KeystoreContents, *, truststore: bool) -> None:
    """Say what was written, and which certificates went without their keys or not at all."""
    with_keys = "" if truststore else f", {len(contents.keys):,} with private keys"
    _say(f"{output} holds {_counted(len(contents.entries), 'certificate')}{with_keys}.")
    for what, names in (
        (
            "Not exportable, so without their keys",
            [each.unique_name for each in contents.entries if each.why_no_key == "not_exportable"],
        ),
        ("Not signed yet, so left out", contents.unsigned),
    ):
        if names:
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            _say(f"{what}: {', '.join(names[:_MOST_NAMES])}{more}.")


def print_plan(plan: ImportPlan, *, imported: bool, as_json: bool) -> None:
    """Say what a keystore holds, what became of it and what stands against it; exit 1 then."""
    if as_json:
        print_json(report(plan, imported=imported))
    else:
        if plan.entries:
            print_table(
                ("Alias", "Unique name", "Kind", "Key", "Valid until", "Issuers", "Same as"),
                (
                    (
                        each.alias if each.alias != each.unique_name else "",
                        each.unique_name,
                        each.kind.replace("_", "-"),
                        each.key,
                        cell(each.not_after),
                        str(each.chain_length),
                        cell(each.same_as),
                    )
                    for each in plan.entries
                ),
            )
        if plan.left_out:
            _say(f"Without a private key, so never imported: {len(plan.left_out):,}.")
        for fault in plan.faults:
            _say(f"- {fault}")
        if any(fault.code in _OF_NAMES for fault in plan.faults):
            _say("An alias gets another unique name with --name alias=unique_name.")
        count = _counted(len(plan.entries), "certificate")
        if imported:
            _say(f"Imported {count} with private keys.")
        elif plan.faults:
            _say(f"Nothing was imported: {_counted(len(plan.faults), 'fault')}.")
        else:
            _say(f"Nothing stands against importing {count} with private keys.")
    if plan.faults:
        raise typer.Exit(code=1)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
