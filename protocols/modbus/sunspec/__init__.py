"""SunSpec information models over Modbus: tables of models, the walk along a device's chain, and a product's registers
at the addresses that the walk found."""
