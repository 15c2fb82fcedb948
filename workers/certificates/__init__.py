"""Public certificates: reading them from files, keeping them, their versions and their usages.

``reading`` turns files into values and knows no database; the modules here keep those values.
"""
