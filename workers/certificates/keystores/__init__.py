"""Keystores: JKS, JCEKS (read), PKCS #12 and PEM in; JKS, PKCS #12 and PEM out."""
