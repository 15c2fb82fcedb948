"""Real servers, private to one test process, that tests and benchmarks can also break on purpose.

Nothing here imports pytest or keywright; every server listens on loopback only.
"""
