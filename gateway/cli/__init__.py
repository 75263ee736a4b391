"""The command `v2x`. One file per group of commands; nothing heavy is imported before a command needs it."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its status."""
    from gateway.cli.main import main as run

    run()
