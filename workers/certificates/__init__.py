"""Certificates, from the key pair to the replacement.

Where to look:

==================  ================================================================================
``reading``         from files to public certificates as values; pure
``issuance``        key types, profiles, lifetimes, requests; pure. ``ordering``, ``issuing``,
                    ``issuing_jobs``, ``editing``, ``downloading`` keep and hand out what it makes
``signing``         an uploaded chain: order, checks, every fault; pure. ``uploading``,
                    ``uploading_jobs``, ``key_versions``, ``history`` keep it
``keystores``       keystores as bytes, in and out; pure but for the child process that reads.
                    ``keystore_export``, ``keystore_import``, ``keystore_jobs`` connect it
``handover``        secrets and files handed over for jobs, and made by them
``mutual_tls``      clients' certificates; with ``trusted_roots`` and ``configuration_templates``
``api_clients``     configurations for those who call
``replacement``     place by place; with ``candidates``, ``moving``, ``replacements``
``saml``            configurations and metadata; with ``saml_switching``, ``retired_defaults``
``clean_up``        what has expired goes; with ``deletion``, ``restoring``, ``policies``
``review``          what is due by policy
==================  ================================================================================

Common to all: ``making`` and ``versions`` store, ``private_keys`` is the only way to a private key,
``locking`` says in which order rows are locked, ``usages`` where a certificate is used, ``listing``
and ``showing`` what there is, ``silencing`` what is told no more.
"""
