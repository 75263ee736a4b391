"""Outages: loss-of-mains detection, interlock, black start, load tiers, autonomy, rotation, reconnection."""
