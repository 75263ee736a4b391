"""Persistence of journal, commands and telemetry: the port (`ports`) and its implementations in memory and SQL."""
