"""Several gateways as one: leases of sites, owners of stations, and the messages between instances over NATS.

Imported only where `[cluster]` is configured. Engines are values without I/O; `io.py` alone uses NATS.
"""
