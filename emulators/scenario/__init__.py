"""Scenarios: files that describe a world, what happens in it and what must come of it."""
