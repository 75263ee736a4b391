"""Charging stations come in: OCPP 1.6J, 2.0.1 and 2.1 on one port.

`server` accepts them and is the `Stations` the core sees; `station` is one of them; `v16`, `v201` and `v21` say what
their messages mean; `setpoint` says how power is ordered. What leaves here is `gateway.model.event`.
"""
