"""Devices over Modbus: bidirectional wallboxes, meters, storage and inverters, by the register maps of
`protocols.modbus`."""
