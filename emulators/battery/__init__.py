"""Emulated batteries: cell chemistry, packs, ageing, second-life packs."""
