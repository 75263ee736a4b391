"""Power allowed at an EVSE: the control hierarchy and every limit in it. Pure functions of values."""
