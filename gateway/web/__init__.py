"""Admin API over HTTP, for operators' tools, conformance suites and CI.

`api`, `station_operations` and `blue_switch` define the routes, `request_models` their bodies, `ports` the interfaces
that they need; `server` runs them in the event loop of the gateway.
"""
