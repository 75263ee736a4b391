"""CHAdeMO at an emulated charger: the DC side with its lines, and both sides in one process."""
