"""Replay of one side of a recorded session against a live peer (`v2x replay`)."""
