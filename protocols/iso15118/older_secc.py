"""SECC engine of an EVSE for ISO 15118-2 and DIN 70121, which have charging only; settings follow from ISO 15118-20.

Not imported where neither is offered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.iso15118.din.dialect import DIN
from protocols.iso15118.iso2.dialect import AC_MODES, DC_MODES, ISO2
from protocols.iso15118.iso2.preparation import prepare_charger
from protocols.iso15118.iso2.secc import Secc
from protocols.iso15118.iso2.secc_session import SeccSettings as OlderSettings
from protocols.iso15118.iso2.tolerances import NAMED
from protocols.iso15118.iso20.events import Paused
from protocols.iso15118.iso20.secc_session import Evse, SeccSettings
from protocols.iso15118.iso20.services import DC_SERVICES

DIALECTS = {"iso2": ISO2, "din": DIN}
OFFERED_DC = DC_MODES[:3]  # extended, core, combo


def build(
    settings: OlderSettings,
    protocols: Sequence[str],
    now: float,
    epoch: float,
    paused: Mapping[bytes, Paused],
    evse: Evse | None,
) -> Secc:
    """Return the engine for those of the protocols that belong to it."""
    dialects = [one for name, one in DIALECTS.items() if name in protocols]
    return Secc(settings, now, dialects=dialects, epoch=epoch, paused=paused, evse=evse)


def prepare(protocols: Sequence[str]) -> None:
    """Compile the messages of the protocols before the first session."""
    prepare_charger(DIALECTS[name] for name in protocols if name in DIALECTS)


def older_settings(settings: SeccSettings, tolerance: str = "interop") -> OlderSettings:
    """Return the settings for those of ISO 15118-20; `tolerance`: strict or interop."""
    offered = {one.service for one in settings.offers}
    return OlderSettings(
        dc_modes=OFFERED_DC if offered & set(DC_SERVICES) else (),
        ac_modes=AC_MODES[0 if settings.ac_phases > 1 else 1 :] if offered - set(DC_SERVICES) else (),
        nominal_voltage_v=settings.nominal_voltage_v,
        dc=settings.dc.charge_only(),
        ac=settings.ac.charge_only(),
        evse_id=settings.evse_id,
        free_service=settings.free_service,
        pause=settings.pause,
        tolerances=NAMED[tolerance],
        sequence_timeout=settings.sequence_timeout,
        setup_timeout=settings.setup_timeout,
        trace=settings.trace,
    )
