"""Maintenance of an emulated station: log uploads, firmware updates, certificates."""
