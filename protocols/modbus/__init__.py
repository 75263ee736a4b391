"""Modbus: register maps of products as declarations, SunSpec, and the connection.

Engines are in `gateway.drivers.modbus` and `emulators.modbus`, which read the same maps.
"""
