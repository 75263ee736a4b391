"""Clauses cited by cases whose number no source at hand confirms.

The other ids, clauses and table rows were compared with what open implementations and published notes on conformance
cite for the same rule; they were not compared with the text of the standards.
"""

from __future__ import annotations

from emulators.conformance.iso15118.declaration import DIN70121, ISO2, ISO20

UNCERTAIN = frozenset(
    f"{standard} {clause}"
    for standard, clauses in {
        DIN70121: ("9.2.1", "9.6.3"),
        ISO2: ("7.8.3.1", "7.9.1", "8.2.1", "8.2.2", "8.2.3"),
        ISO20: ("7.9.1", "8.2.2", "8.3.4.1"),
    }.items()
    for clause in clauses
)
