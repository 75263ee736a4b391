"""Compilation of the codecs of ISO 15118-2 and DIN 70121 before the first session; see `iso20/preparation.py`."""

from __future__ import annotations

from collections.abc import Iterable

from protocols.iso15118.iso2.dialect import Dialect

_PARTS = (
    *("SAScheduleList", "SAScheduleTuple", "PMaxSchedule", "PMaxScheduleEntry", "RelativeTimeInterval"),
    *("PhysicalValue", "MeterInfo", "AC_EVChargeParameter", "DC_EVChargeParameter", "AC_EVSEChargeParameter"),
    *("DC_EVSEChargeParameter", "AC_EVSEStatus", "DC_EVSEStatus", "DC_EVStatus", "DC_EVPowerDeliveryParameter"),
)


def prepare_car(dialects: Iterable[Dialect]) -> None:
    """Compile the messages that an EVCC encodes (requests) and decodes (responses)."""
    for one in dialects:
        one.codec.prepare(writes=_messages(one, "Req"), reads=_messages(one, "Res"))


def prepare_charger(dialects: Iterable[Dialect]) -> None:
    """Compile the messages that a SECC decodes (requests) and encodes (responses)."""
    for one in dialects:
        one.codec.prepare(writes=_messages(one, "Res"), reads=_messages(one, "Req"))


def _messages(dialect: Dialect, kind: str) -> list[type[object]]:
    """Return the messages of the state tables of one direction, with their parts."""
    requests = {name for table in dialect.tables.values() for row in table.values() for name in row}
    names = {name.removesuffix("Req") + kind for name in requests if hasattr(dialect.messages, name)}
    modules = (dialect.messages, dialect.types)
    found = [getattr(module, name, None) for module in modules for name in (*sorted(names), *_PARTS, "V2G_Message")]
    return [one for one in found if one is not None]
