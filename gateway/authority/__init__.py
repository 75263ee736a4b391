"""What EV, EVSE, site and facility agree on, and who has the last word. Pure functions of values."""
