"""Life of a command: intake, arbitration, lifecycle, final result, recovery after a restart."""
