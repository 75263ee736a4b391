"""Fault injection: links, broker, chargers, meters, vehicles, clocks and switches."""
