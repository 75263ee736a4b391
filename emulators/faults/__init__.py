"""Faults on links, chargers, meters, cars, clocks and switches."""
