"""What known peers do differently from EXI 1.0, and what to send them.

Lists that hold as many items as they may: EXI 1.0 unrolls them, so that behind the last item only the end is left (one
bit). libcbv2g (EVerest and others) goes on as if there were no bound and writes two bits, except for lists of two;
EXIficient as Josev packs it does so for the long lists of ISO 15118-2 and for six lists of -20 that an older schema left
unbounded. In DIN 70121, libcbv2g stops after two payment options where the schema has no bound. The eMAID of ISO 15118-2 is hashed
by EXI 1.0 (and Josev) with the relaxed fragment grammar, by libcbv2g with the ordinary one.
Measured list by list; see `docs/exi.md`.
"""

from __future__ import annotations

from protocols.exi.schema import Field, Ways, declaration

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


def libcbv2g(cls: type[object], field: Field) -> int | None:
    """How often libcbv2g unrolls a list."""
    if field.name == "PaymentOption":
        return 2
    return field.most if field.most == 2 else None


def josev(cls: type[object], field: Field) -> int | None:
    """How often the grammars compiled into Josev's codec unroll a list."""
    if declaration(cls).namespace.uri.startswith("urn:iso:15118:2:2013"):
        return field.most if field.most is not None and field.most <= LONG_LIST else None
    return None if field.name in UNBOUNDED_IN_JOSEV else field.most


PEERS: dict[str, Ways] = {LIBCBV2G: Ways(libcbv2g, relaxed=False), JOSEV: Ways(josev)}
