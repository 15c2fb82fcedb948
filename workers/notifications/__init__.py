"""Expiry notices: who is told what, when, and the proof that they were."""
