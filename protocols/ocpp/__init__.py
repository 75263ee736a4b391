"""OCPP-J 1.6, 2.0.1 and 2.1: messages between charging stations and charging station management systems.

`schema` validates messages, `enums` gives access to the enumerations of the `ocpp` package, `rpc` is the RPC engine,
`link` runs it over a message stream, `vendor` holds vendor profiles, `io` the WebSocket. The meaning of messages is
implemented in `gateway/csms` and `emulators/charger`.
"""
