"""Cars and chargers without OCPP: EVSEs that the gateway controls itself."""
