"""Hardware ports of an EVSE that the gateway hosts, their supervisor and the drivers of real hardware."""
