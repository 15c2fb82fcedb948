"""The review: new key pairs, and replacements in use, before what there is ends."""
