"""Web page for people: the state of the site and its EVSEs, and commands, in several languages.

`application` defines the routes, `access` decides who is served, `readouts` selects what a view shows, `texts` has the
languages, `stream` sends changes. The scripts in `assets` are those of the npm package htmx.org 4.0.1, unchanged: a
test compares their digests.
"""
