"""The ledger and everything that moves a job through it; knows no feature.

The way of a job: ``enqueue`` → ``relay`` (``publisher`` or ``in_process``) → ``broker`` →
``execution`` (``claim``, ``running``, ``keeper``, ``retry``) → its end, or ``reaper`` and back.
"""
