"""Bulk runs over encrypted fields: plan, rewrite, census, verify, report; and what a census proves.

What belongs here: everything that goes over many values. How one value is opened and sealed is
``workers.encryption``'s.
"""
