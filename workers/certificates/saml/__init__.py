"""SAML single sign-on: which certificate signs a configuration's requests, and who knows it."""
