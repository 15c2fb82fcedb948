"""How much a keystore may hold and ask for, so that no file takes a worker with it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits within which one keystore is read."""

    max_bytes: int = 16 * 1024 * 1024
    max_entries: int = 20_000
    max_keys: int = 1_000
    max_chain_length: int = 10  # rule 20
    max_iterations: int = 5_000_000  # of a password's derivation, as Java's
    memory_bytes: int = 512 * 1024 * 1024
    cpu_seconds: int = 120  # 0.25 for an RSA-4096 key, 0.04 for RSA-2048: its primes are tested
    wall_seconds: int = 180
