"""CSMS of the gateway: charging stations over OCPP 1.6J, 2.0.1 and 2.1 on one port.

`csms` implements `gateway.model.station.Stations`; `station` is the state of one station; `v16`, `v201` and `v21`
process its messages; `setpoint` sends set-points. Events are those of `gateway.model.event`.
"""
