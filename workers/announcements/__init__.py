"""What happened, written in the transaction of the change and passed on to whoever cares."""
