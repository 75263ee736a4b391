"""Tariffs of an emulated 2.1 station and the cost of a transaction."""
