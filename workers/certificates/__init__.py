"""Public certificates: reading them from files, keeping them with their versions and usages.

Reading (``folders`` → ``reading`` → ``pem``, ``pkcs7``, ``fields``) is apart from keeping: the
modules with SQL say so in their first sentence, every other one but ``folders`` is pure.
"""
