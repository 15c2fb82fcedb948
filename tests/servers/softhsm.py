"""A SoftHSM token in a temporary folder of its own: a real PKCS #11 module without hardware."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pkcs11
from pkcs11.constants import Attribute
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType

from workers.keys.root_keys.pkcs11_module import load_module, module_lock, restart

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


class SoftHsm:
    """A token with a PIN, which can be taken out and put back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.label = f"token {secrets.token_hex(4)}"
        self.pin_file = folder / "pin"
        self.pin = secrets.token_hex(8)
        self.pin_file.touch(mode=0o600)
        self.write_pin(self.pin)
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
            "log.level = ERROR\n"
        )
        self.initialize(self.label)

    def initialize(self, label: str) -> None:
        """Make a token with the usual PIN."""
        program = shutil.which("softhsm2-util")
        assert program is not None, "SoftHSM is not installed; run tests/install-packages"
        subprocess.run(
            [
                *(program, "--init-token", "--free", "--label", label),
                *("--pin", self.pin, "--so-pin", secrets.token_hex(8)),
            ],
            env=os.environ | self.environment,
            check=True,
            capture_output=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs in its environment to see the token."""
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def write_pin(self, pin: str) -> None:
        """Put another PIN into the file that keywright reads."""
        self.pin_file.write_text(f"{pin}\n")

    def create_key(self, label: str = "root", *, bits: int = 256, **attributes: object) -> None:
        """Make an AES key in the token, which keeps it unless an attribute says otherwise."""
        template: dict[Attribute, Any] = {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True}
        template |= {Attribute[name.upper()]: value for name, value in attributes.items()}
        with module_lock(), self.session() as session:
            session.generate_key(KeyType.AES, bits, label=label, store=True, template=template)

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Open the token, logged in, beside whoever else has."""
        module = load_module(MODULE, variable="MODULE")
        restart(module)
        with module.get_token(token_label=self.label).open(rw=True, user_pin=self.pin) as session:
            yield session

    def setting(self, key: str = "root") -> str:
        """Return the value of KEYWRIGHT_ROOT_KEY for a key in the token."""
        return (
            f"pkcs11:token={quote(self.label)};object={quote(key)}"
            f"?module-path={MODULE}&pin-source=file:{self.pin_file}"
        )

    def take_out(self) -> None:
        """Remove the token."""
        (self.folder / "tokens").rename(self.folder / "drawer")
        (self.folder / "tokens").mkdir()

    def put_back(self) -> None:
        """Undo that."""
        (self.folder / "tokens").rmdir()
        (self.folder / "drawer").rename(self.folder / "tokens")


@contextmanager
def softhsm() -> Iterator[SoftHsm]:
    """Make a token; this process, and those that it starts meanwhile, see it and no other."""
    before = os.environ.get("SOFTHSM2_CONF")
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    try:
        token = SoftHsm(folder)
        os.environ |= token.environment
        yield token
    finally:
        os.environ.pop("SOFTHSM2_CONF", None)
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before
        with suppress(PKCS11Error), module_lock():
            if str(MODULE) in pkcs11._loaded:
                pkcs11._loaded[str(MODULE)].finalize()
        shutil.rmtree(folder)
