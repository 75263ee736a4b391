"""Conversions of the charge loop that a session repeats: what equals the values of the loop before is not made again.

An EV sends several requests a second, and measurements change less often. Every function here is pure; each engine
has a memory of its own.
"""

from __future__ import annotations

from functools import partial

from protocols.iso15118.iso20 import dc_loop
from protocols.iso15118.iso20.limits import Limits, allowed
from protocols.iso15118.iso20.loop_messages import read_needs
from protocols.iso15118.iso20.setpoint import decide, narrowed_by_needs
from protocols.latest import Latest


class EvccMemory:
    """Memory of an EVCC."""

    __slots__ = ("charge_only", "read_response", "request")

    def __init__(self) -> None:
        self.request = Latest(partial(dc_loop.request, mode=Latest(dc_loop.request_mode)))
        self.read_response = Latest(partial(dc_loop.read_response, limits=Latest(dc_loop.response_limits)))
        self.charge_only = Latest(Limits.charge_only)


class SeccMemory:
    """Memory of a SECC."""

    __slots__ = ("allowed", "charge_only", "decide", "limits", "narrowed_by_needs", "read_request", "response")

    def __init__(self) -> None:
        limits, needs = Latest(dc_loop.request_limits), Latest(read_needs)
        self.read_request = Latest(partial(dc_loop.read_request, limits=limits, needs=needs))
        self.limits = Latest(Limits.narrowed)
        self.charge_only = Latest(Limits.charge_only)
        self.allowed = Latest(allowed)
        self.narrowed_by_needs = Latest(narrowed_by_needs)
        self.decide = Latest(decide)
        self.response = Latest(partial(dc_loop.response, mode=Latest(dc_loop.response_mode)))
