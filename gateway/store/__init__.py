"""Persistence of journal, commands and telemetry: the interface with a store in memory (`store`), and SQL (`sql`)."""
