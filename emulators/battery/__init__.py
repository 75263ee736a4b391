"""Batteries: cells, packs, chemistry, ageing, and second-life packs."""
