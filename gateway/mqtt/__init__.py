"""MQTT interface of the gateway; the contract is `docs/mqtt.md`.

`client` wraps aiomqtt, `connection` keeps the link, `commands` receives, `publisher` sends.
"""
