"""HEMS interface: the gateway as ECHONET Lite devices, which a home energy management system reads and orders."""
