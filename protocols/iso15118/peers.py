"""Deviations of known peers from EXI 1.0: how their messages are read, and the form that is sent to them.

Lists that hold their maximum number of items: EXI 1.0 unrolls them, so that after the last item only the following
particles are left, mostly the end in one bit. EXIficient as packaged by Josev continues as if the list were unbounded
(two bits) for the long lists of ISO 15118-2 and for six lists of -20 that an older schema left unbounded. libcbv2g
(EVerest and others) writes all full lists of more than two items in that form; it reads lists of complex type as EXI
1.0 specifies and lists of simple type as it writes them. In DIN 70121 it stops after two payment options where the
schema is unbounded. Two of its lists read neither form when full (TaxCosts of 10, OverstayRule of 5): send those lists
shorter.

Fragments: the eMAID of ISO 15118-2 is hashed by EXI 1.0 (and Josev) with the relaxed grammar, by libcbv2g with the
ordinary one. Measured list by list, see `docs/exi.md`.
"""

from __future__ import annotations

from protocols.exi.schema import Field, PeerGrammar, declaration

LIBCBV2G = "libcbv2g"
JOSEV = "josev"

LONG_LIST = 8  # Josev's ISO 15118-2 grammars unroll lists up to this length
UNBOUNDED_IN_JOSEV = frozenset(
    {
        "EVPowerProfileEntry",
        "EVPowerScheduleEntry",
        "EVPriceRuleStack",
        "PowerScheduleEntry",
        "PriceLevelScheduleEntry",
        "PriceRuleStack",
    }
)
COMPLEX_YET_READ_AS_WRITTEN = frozenset({"ConsumptionCost"})


def libcbv2g_writes(cls: type[object], field: Field) -> int | None:
    """Return how often libcbv2g unrolls a list as a sender."""
    if field.name == "PaymentOption":
        return 2
    return field.most if field.most == 2 else None


def libcbv2g_reads(cls: type[object], field: Field) -> int | None:
    """Return how often libcbv2g unrolls a list as a receiver."""
    if field.simple is not None or field.name in COMPLEX_YET_READ_AS_WRITTEN:
        return libcbv2g_writes(cls, field)
    return field.most


def josev(cls: type[object], field: Field) -> int | None:
    """Return how often the grammars compiled into Josev's codec unroll a list, in both directions."""
    if declaration(cls).namespace.uri.startswith("urn:iso:15118:2:2013"):
        return field.most if field.most is not None and field.most <= LONG_LIST else None
    return None if field.name in UNBOUNDED_IN_JOSEV else field.most


PEERS: dict[str, PeerGrammar] = {
    LIBCBV2G: PeerGrammar(libcbv2g_writes, libcbv2g_reads, relaxed=False),
    JOSEV: PeerGrammar(josev, josev),
}
