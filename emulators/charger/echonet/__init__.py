"""Emulated V2H box: an EV charger and discharger (0x027E) of ECHONET Lite with a converter and a vehicle behind it."""
