"""Smart charging of an emulated station: profiles, operation modes, DER controls, and the power that follows."""
