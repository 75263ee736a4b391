"""The gateway over HTTP: the admin API for operators' tools, conformance suites and CI.

`api` is the routes, `bodies` what may be sent, `ports` what the other rooms must offer, `server` runs it in our loop.
"""
