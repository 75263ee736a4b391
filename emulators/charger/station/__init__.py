"""An emulated charging station over OCPP 1.6J, 2.0.1 and 2.1."""
