"""Emulated ECHONET Lite devices of a home: storage battery, PV, distribution board, smart meter, multiple-input PCS."""
