"""``keywright demo``: who takes part, the run itself, and what is told about it."""
