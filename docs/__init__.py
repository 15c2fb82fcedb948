"""The documentation, and the programs that write its reference part."""
