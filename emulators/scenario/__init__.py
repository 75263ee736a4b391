"""Scenario files: installation, timeline and expected figures of a simulation."""
