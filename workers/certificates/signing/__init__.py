"""Ordering and verifying the chain that an authority sent: certificates in, findings out. Pure.

Our own policy, since private authorities, Ed25519 and chains without their root have to work as
well. Everything that is wrong is found at once, each with its place and what helps.
"""
