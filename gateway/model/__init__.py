"""Values of the domain: site, EVSE, vehicle, session, command, result, event, reason, energy state. Pure."""
