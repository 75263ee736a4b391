"""Construction of the parts of a world from a scenario; the same for the same seed."""
