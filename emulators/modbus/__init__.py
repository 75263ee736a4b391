"""Devices over Modbus, emulated by the register maps that the gateway's driver reads: wallboxes with the glitches of
their products, SunSpec meters, inverters and storage."""
