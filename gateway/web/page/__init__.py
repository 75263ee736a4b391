"""Web page for people: the state of the site and its EVSEs, and commands, in several languages, without a login on
loopback only.

`application` defines the routes, `access` decides who is served, `readouts` selects what a view shows, `texts` has the
languages, `stream` sends changes. `assets` are files of others, unchanged; `tests` compare them with their digests.
"""
