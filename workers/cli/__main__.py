"""``python -m workers.cli``: how processes of keywright start one another."""

from workers.cli.app import main

main()
