"""Smart charging of an emulated station: profiles, operation modes, DER controls, external control, set-points."""
