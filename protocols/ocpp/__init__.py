"""OCPP-J 1.6, 2.0.1 and 2.1: messages between charging stations and the systems that manage them.

`schema` knows the messages, `rpc` the framework that carries them, `vendor` the ways of stations that discharge without
a standard for it, `io` the WebSocket. What a message means lives with the two ends, `gateway/csms` and
`emulators/charger`.
"""
