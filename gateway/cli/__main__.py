"""`python -m gateway.cli`: the same as the command `v2x`."""

from gateway.cli import main

main()
