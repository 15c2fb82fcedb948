"""Other job systems, each set up as well as it can be, doing the same no-op jobs."""
