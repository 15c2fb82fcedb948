"""Root keys and master keys: the only door to cleartext keys.

What belongs here: how key material is made, wrapped, found, rotated, exported and destroyed. Not
what is encrypted with it (``workers.encryption``), nor how much of that there is
(``workers.reencryption``).
"""
