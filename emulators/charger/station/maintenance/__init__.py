"""Maintenance of an emulated station: logs, firmware, certificates, display messages, network profiles."""
