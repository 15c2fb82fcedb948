"""Mutual TLS: which client certificates an organization accepts, and who has to present one.

Rules 31 to 37 of the model. ``decision`` is the library that a service asks on every call;
``calls`` asks it with what the database says now, and the rest keeps listeners up to date.
"""
