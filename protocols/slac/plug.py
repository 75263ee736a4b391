"""Control pilot and SLAC of one plug together, for the host of an EVSE and for that of a vehicle.

What each does on the pilot when matching begins, fails or loses its link is in ISO 15118-3, clauses 6 and 7
(requirements M06 and M07). IP is for the host: it starts with the event `Matched`.
"""

from __future__ import annotations

import secrets
from typing import TypeAlias

from protocols import iec61851
from protocols.iec61851 import (
    EvseOrder,
    OfferCurrent,
    OfferDigital,
    OutputChanged,
    OutputKind,
    PilotOutput,
    PilotState,
    RetriesExhausted,
    RetryDigital,
    SignalLinkError,
    Toggle,
    TurnOff,
    VehicleOrder,
    VehicleToggled,
)
from protocols.pilot_engines import EvsePilot, VehiclePilot
from protocols.slac import events
from protocols.slac.engine import Entropy
from protocols.slac.ev import EvSlac
from protocols.slac.evse import EvseSlac
from protocols.slac.settings import EvseSettings, EvseState, EvSettings, EvState

PWM_AFTER_KEY = 1.0  # s: a vehicle that starts within milliseconds of 5 % needs a modem that has settled
PlugEvent: TypeAlias = events.Event | iec61851.Event
_MATCHING = (EvseState.MATCHING, EvseState.MATCHED)


class EvsePlug:
    """Pilot and SLAC of an EVSE. `output` is for the board; measured states come by `measured`.

    5 % is offered as soon as the modem has its key; `digital` False leaves that to orders (AC without communication).
    `basic_a`: current that an AC EVSE offers by the duty cycle to a vehicle that does not begin to match after every
    retry, once its user is authorized.
    """

    def __init__(
        self,
        settings: EvseSettings,
        now: float,
        *,
        digital: bool = True,
        pwm_after: float = PWM_AFTER_KEY,
        basic_a: float | None = None,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self.pilot = EvsePilot()
        self.slac = EvseSlac(settings, now, entropy=entropy)
        self._offers_digital = digital
        self._digital_due = digital  # after the next key
        self._pwm_after = pwm_after
        self.basic_a = basic_a
        self._digital_at: float | None = None
        self._shown = PilotState.A  # the state that was reported to SLAC
        self._joining = False

    @property
    def output(self) -> PilotOutput:
        """Return what the board puts on the pilot."""
        return self.pilot.output

    def measured(self, state: PilotState, now: float) -> list[PlugEvent]:
        """Process the state that the board measures."""
        return self._settle(self._on_pilot(self.pilot.receive(state, now), now), now)

    def receive(self, data: bytes, now: float) -> list[PlugEvent]:
        """Process an Ethernet frame."""
        return self._settle(self._on_slac(self.slac.receive(data, now), now), now)

    def command(self, order: EvseOrder | events.Order, now: float) -> list[PlugEvent]:
        """Execute an order for the pilot or for SLAC."""
        if isinstance(order, events.Order):
            self.slac.command(order, now)
        elif isinstance(order, OfferCurrent):
            matching = order.matching or self.slac.state in _MATCHING
            self.pilot.command(OfferCurrent(order.current_a, matching), now)
        else:
            self.pilot.command(order, now)
        return self.expire(now)

    def expire(self, now: float) -> list[PlugEvent]:
        """Process the passage of time."""
        if self._digital_at is not None and now >= self._digital_at:
            self._digital_at, self._digital_due = None, False
            self.pilot.command(OfferDigital(), now)
        return self._settle([], now)

    def data_to_send(self) -> list[bytes]:
        return self.slac.data_to_send()

    def deadline(self) -> float | None:
        times = (self.pilot.deadline(), self.slac.deadline(), self._digital_at)
        return min((when for when in times if when is not None), default=None)

    def _settle(self, found: list[PlugEvent], now: float) -> list[PlugEvent]:
        """Return the events together with those that follow from them between pilot and SLAC."""
        more = True
        while more:
            more_events = self._on_pilot(self.pilot.expire(now), now) + self._on_slac(self.slac.expire(now), now)
            found, more = found + more_events, bool(more_events)
        return found

    def _on_pilot(self, found: list[iec61851.Event], now: float) -> list[PlugEvent]:
        for event in found:
            if isinstance(event, VehicleToggled):
                self.pilot.command(OfferDigital(), now)
            elif isinstance(event, RetriesExhausted) and self.basic_a is not None:
                self.pilot.command(OfferCurrent(self.basic_a), now)
        kind = self.pilot.output.kind
        shown = PilotState(kind.value) if kind in (OutputKind.E, OutputKind.F) else self.pilot.state
        if shown is not self._shown:
            self._shown = shown
            self.slac.command(events.PilotChanged(shown), now)
            if shown is PilotState.A and self._offers_digital:
                self._prepare_next(now)
        return list(found)

    def _prepare_next(self, now: float) -> None:
        """Offer 5 % to the next vehicle, whatever the last one had: with a key that the modem has taken."""
        self._digital_due = self.slac.modem.key_pending
        self.pilot.command(TurnOff() if self._digital_due else OfferDigital(), now)

    def _on_slac(self, found: list[events.Event], now: float) -> list[PlugEvent]:
        for event in found:
            if isinstance(event, events.KeySet) and self._digital_due and self._digital_at is None:
                self._digital_at = now + self._pwm_after
            elif isinstance(event, events.MatchConfirmed):
                self._joining = True
            elif isinstance(event, events.Matched):
                self._joining = False
                self.pilot.sequence_retries = 0
            elif isinstance(event, events.NoMatchingRequest) and self.pilot.output.digital:
                self.pilot.command(RetryDigital(), now)
            elif isinstance(event, events.LinkLost) or (isinstance(event, events.MatchingFailed) and self._joining):
                self._joining = False
                self.pilot.command(SignalLinkError(), now)
        return list(found)


class EvPlug:
    """Pilot and SLAC of a vehicle. `state` is what its inlet shows; the output of the EVSE comes by `measured`.

    `digital` False: a vehicle for basic charging, without SLAC.
    """

    def __init__(
        self, settings: EvSettings, now: float, *, digital: bool = True, entropy: Entropy = secrets.token_bytes
    ) -> None:
        self._digital = digital
        self.pilot = VehiclePilot()
        self.slac = EvSlac(settings, now, entropy=entropy)

    @property
    def state(self) -> PilotState:
        """Return the state that the vehicle shows on the pilot."""
        return self.pilot.state

    def measured(self, output: PilotOutput, now: float) -> list[PlugEvent]:
        """Process the output of the EVSE; 5 % begins to match."""
        found = self.pilot.receive(output, now)
        if not any(isinstance(event, OutputChanged) for event in found):
            return list(found)
        self._on_output(output, now)
        return [*found, *self._on_slac(self.slac.expire(now), now)]

    def receive(self, data: bytes, now: float) -> list[PlugEvent]:
        """Process an Ethernet frame."""
        return self._on_slac(self.slac.receive(data, now), now)

    def command(self, order: VehicleOrder | events.Order, now: float) -> list[PlugEvent]:
        """Execute an order for the pilot or for SLAC."""
        if isinstance(order, events.Order):
            self.slac.command(order, now)
        else:
            plugged = self.pilot.state is not PilotState.A
            self.pilot.command(order, now)
            if plugged and self.pilot.state is PilotState.A:
                self.slac.command(events.Leave("unplugged"), now)
            elif not plugged and self.pilot.state is not PilotState.A:
                self._on_output(self.pilot.output, now)
        return self.expire(now)

    def expire(self, now: float) -> list[PlugEvent]:
        """Process the passage of time."""
        found = self.pilot.expire(now)
        return [*found, *self._on_slac(self.slac.expire(now), now)]

    def data_to_send(self) -> list[bytes]:
        return self.slac.data_to_send()

    def deadline(self) -> float | None:
        return min((when for when in (self.pilot.deadline(), self.slac.deadline()) if when is not None), default=None)

    def _on_output(self, output: PilotOutput, now: float) -> None:
        state = self.slac.state
        if output.digital and self._digital and state in (EvState.UNMATCHED, EvState.FAILED):
            self.slac.command(events.StartMatching(), now)
        elif output.kind in (OutputKind.E, OutputKind.F) and state is not EvState.UNMATCHED:
            self.slac.command(events.Leave("the EVSE signals a fault"), now)
        elif not output.digital and state not in (EvState.UNMATCHED, EvState.MATCHED):
            self.slac.command(events.Leave("the EVSE ended digital communication"), now)

    def _on_slac(self, found: list[events.Event], now: float) -> list[PlugEvent]:
        for event in found:
            if isinstance(event, events.ToggleRequested):
                self.pilot.command(Toggle(event.count, event.half_s), now)
        return list(found)
