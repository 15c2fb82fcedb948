"""The clean-up: deleting what has expired and is used nowhere, and purging what was deleted."""
