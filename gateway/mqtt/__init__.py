"""The gateway on MQTT: `docs/mqtt.md` is the contract. `bus` knows aiomqtt, `topics` the names, `room` the traffic."""
