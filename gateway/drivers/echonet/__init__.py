"""Driver of V2H boxes, storage batteries, PV and meters over ECHONET Lite, as a controller of their objects."""
