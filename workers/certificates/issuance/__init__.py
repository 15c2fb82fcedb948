"""Making key pairs, self-signed certificates and requests: rules 5 to 13 and 19. Pure.

Nothing here knows a database: what is random (keys, serial numbers) is made where it is asked for,
``now`` is a parameter, and who keeps the result is ``workers.certificates.issuing``.
"""
