"""Replacing a certificate place by place, with both valid meanwhile."""
