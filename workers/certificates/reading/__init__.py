"""From files to certificates as values: nothing here knows the database.

``paths`` reads what a person named, ``contents`` one file's bytes, ``fields`` one certificate;
``found`` is what comes out. All but ``paths`` and ``folders`` is pure.
"""
