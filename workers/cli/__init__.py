"""The ``keywright`` command: what people type. Each command is a thin door to a feature."""

from workers.cli.app import main

__all__ = ["main"]
