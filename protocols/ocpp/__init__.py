"""OCPP-J 1.6, 2.0.1 and 2.1: messages between charging stations and charging station management systems.

`schema` validates messages, `enums` gives access to the enumerations of the `ocpp` package, `rpc` is the RPC engine,
`io` runs it over a WebSocket, `vendor` holds vendor profiles. The meaning of messages is implemented in `gateway/csms`
and `emulators/charger`.
"""
