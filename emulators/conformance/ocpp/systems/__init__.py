"""Cases for charging station management systems: OCPP 2.x by blocks of part 2, and OCPP 1.6."""
