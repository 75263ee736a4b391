"""Messages of ISO 15118-2 as the engines use them; `din/dialect.py` overrides what DIN SPEC 70121 has otherwise.

The two generations share most message names and fields (`messages`). A method here exists where they differ. Both
directions: construction and interpretation. Response codes are names until here, so that no code of the other
generation can be sent. Source: ISO 15118-2 messages, DIN SPEC 70121.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from types import ModuleType
from typing import TypeVar

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.frozen import frozen
from protocols.iso15118 import app_protocol, codecs
from protocols.iso15118.iso2 import both, messages, types
from protocols.iso15118.iso2.states import AC, DC, Follows
from protocols.iso15118.iso2.values import down, number, optional, parts
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer
from protocols.v2gtp import PayloadType, frame

M = TypeVar("M")
CHARGE_SERVICE = 1
DC_MODES = ("DC_extended", "DC_core", "DC_combo_core", "DC_unique")
AC_MODES = ("AC_three_phase_core", "AC_single_phase_core")
PHASES = {"AC_three_phase_core": 3, "AC_single_phase_core": 1}


@frozen(kw_only=True)
class EvParameters:
    """Contents of ChargeParameterDiscoveryReq. `capacity_wh`, `request_wh`: as far as stated."""

    mode: str
    is_dc: bool  # by the type of the parameters
    limits: Limits
    departure_s: float | None = None
    capacity_wh: float | None = None
    request_wh: float | None = None
    soc_pct: int | None = None
    full_soc_pct: int | None = None


@frozen(kw_only=True)
class Delivery:
    """Contents of PowerDeliveryReq; `profile`: (start s from now, W)."""

    progress: str  # Start, Stop, Renegotiate
    tuple_id: int | None = None
    profile: tuple[tuple[int, float], ...] = ()


@frozen
class Span:
    """Entry of a schedule: `start_s` from now; only the last one has a duration."""

    start_s: int
    duration_s: int | None
    power_w: float


def spans(offer: ScheduleOffer, wall_s: float) -> list[Span]:
    """Return the entries of a schedule from now: starts ascend, the first one is 0."""
    begin, found = floor(offer.anchor_s - wall_s), list[Span]()
    blocks = [block for block in offer.charge if block.duration_s > 0] or [Block(1, 0.0)]
    for index, block in enumerate(blocks):
        end, last = begin + block.duration_s, index == len(blocks) - 1
        if end > 0 or last:
            start = max(begin, 0) if found else 0
            found.append(Span(start, max(end - start, 1) if last else None, block.power_w))
        begin = end
    return found


def of(message: object, kind: type[M]) -> M:
    """Return a message of this generation. Raises LocalProtocolError for one of another."""
    if not isinstance(message, kind):
        raise LocalProtocolError(f"{type(message).__module__} is not the generation of the session")
    return message


class Dialect:
    """Messages of ISO 15118-2."""

    name = "ISO 15118-2"
    is_din = False
    protocol = app_protocol.ISO2
    codec: Codec = codecs.ISO2
    messages: ModuleType = messages
    types: ModuleType = types
    selection = "PaymentServiceSelection"
    authorization = "Authorization"
    tables: Mapping[bool, Follows] = {True: DC, False: AC}  # by "is DC"
    codes: Mapping[str, str] = {}  # response codes with another name

    def code(self, name: str) -> both.ResponseCode:
        """Return the response code of this generation."""
        made: both.ResponseCode = self.types.ResponseCode(self.codes.get(name, name))
        return made

    def encode(self, session_id: bytes, body: object) -> bytes:
        """Return a message as a whole frame."""
        message = self.messages.V2G_Message(
            Header=self.messages.MessageHeader(SessionID=session_id), Body=self.messages.Body(BodyElement=body)
        )
        return frame(PayloadType.SUPPORTED_APP_PROTOCOL, self.codec.encode(message))

    def decode(self, payload: bytes) -> tuple[bytes, both.Message]:
        """Return session id and body of a message. Raises RemoteProtocolError."""
        message = self.codec.decode(payload)
        if not isinstance(message, self.messages.V2G_Message) or message.Body.BodyElement is None:
            raise RemoteProtocolError("the message has no body")
        return message.Header.SessionID, message.Body.BodyElement

    def quantity(self, value: float, unit: str, *, limit: bool = False) -> both.PhysicalValue:
        """Return a PhysicalValue; `limit`: rounded down."""
        numbers = parts(value, unit, down) if limit else parts(value, unit)
        made: both.PhysicalValue = self.types.PhysicalValue(Unit=self.types.UnitSymbol(unit), **numbers)
        return made

    def dc_status(self, code: str, isolation: str, notification: str = "None", delay_s: int = 0) -> both.DC_EVSEStatus:
        t = self.types
        made: both.DC_EVSEStatus = t.DC_EVSEStatus(
            NotificationMaxDelay=delay_s,
            EVSENotification=t.EVSENotification(notification),
            EVSEIsolationStatus=t.IsolationLevel(isolation),
            EVSEStatusCode=t.DC_EVSEStatusCode(code),
        )
        return made

    def ac_status(self, notification: str = "None", delay_s: int = 0) -> both.AC_EVSEStatus:
        return types.AC_EVSEStatus(
            NotificationMaxDelay=delay_s, EVSENotification=types.EVSENotification(notification), RCD=False
        )

    def ev_status(self, soc_pct: float, *, ready: bool = True) -> both.DC_EVStatus:
        made: both.DC_EVStatus = self.types.DC_EVStatus(
            EVReady=ready, EVErrorCode=self.types.DC_EVErrorCode.NO_ERROR, EVRESSSOC=max(0, min(100, round(soc_pct)))
        )
        return made

    # SECC

    def session_setup_response(self, code: str, evse_id: str, wall_s: float) -> both.SessionSetupRes:
        return messages.SessionSetupRes(
            ResponseCode=types.ResponseCode(code), EVSEID=evse_id, EVSETimeStamp=int(wall_s)
        )

    def service_discovery_response(self, code: str, modes: Sequence[str], free: bool) -> both.ServiceDiscoveryRes:
        t = types
        return messages.ServiceDiscoveryRes(
            ResponseCode=t.ResponseCode(code),
            PaymentOptionList=t.PaymentOptionList(PaymentOption=(t.PaymentOption.ExternalPayment,)),
            ChargeService=t.ChargeService(
                ServiceID=CHARGE_SERVICE,
                ServiceCategory=t.ServiceCategory.EVCharging,
                FreeService=free,
                SupportedEnergyTransferMode=t.SupportedEnergyTransferMode(
                    EnergyTransferMode=tuple(t.EnergyTransferMode(one) for one in modes)
                ),
            ),
        )

    def selection_fault(self, request: both.PaymentServiceSelectionReq) -> tuple[str, str] | None:
        """Return the response code and reason of a wrong payment or service selection (V2G2-465, 467, 804)."""
        if request.SelectedPaymentOption != "ExternalPayment":
            return "FAILED_PaymentSelectionInvalid", "only external payment is offered"
        selected = [one.ServiceID for one in request.SelectedServiceList.SelectedService]
        if any(one != CHARGE_SERVICE for one in selected):
            return "FAILED_ServiceSelectionInvalid", f"not all of the services {selected} are offered"
        if CHARGE_SERVICE not in selected:
            return "FAILED_NoChargeServiceSelected", "the charging service is not selected"
        return None

    def read_parameters(self, request: both.ChargeParameterDiscoveryReq) -> EvParameters:
        """Interpret ChargeParameterDiscoveryReq; DepartureTime 0 counts as absent."""
        own = of(request, messages.ChargeParameterDiscoveryReq)
        stated, mode = own.EVChargeParameter, str(own.RequestedEnergyTransferMode)
        if isinstance(stated, types.DC_EVChargeParameter):
            return self._dc_parameters(mode, stated, stated.DepartureTime)
        factor = number(stated.EVMaxVoltage) * PHASES.get(mode, 1)
        limits = Limits(
            max_charge_w=number(stated.EVMaxCurrent) * factor,
            min_charge_w=number(stated.EVMinCurrent) * factor,
            phases=PHASES.get(mode, 1),
        )
        return EvParameters(
            mode=mode,
            is_dc=False,
            limits=limits,
            departure_s=stated.DepartureTime or None,
            request_wh=number(stated.EAmount),
        )

    def _dc_parameters(self, mode: str, stated: both.DC_EVChargeParameter, departure_s: float | None) -> EvParameters:
        amps, volts = number(stated.EVMaximumCurrentLimit), number(stated.EVMaximumVoltageLimit)
        return EvParameters(
            mode=mode,
            is_dc=True,
            limits=Limits(
                max_charge_w=optional(stated.EVMaximumPowerLimit, amps * volts),
                max_charge_a=amps,
                max_voltage_v=volts,
                max_discharge_a=0.0,
            ),
            departure_s=departure_s or None,
            capacity_wh=None if stated.EVEnergyCapacity is None else number(stated.EVEnergyCapacity),
            request_wh=None if stated.EVEnergyRequest is None else number(stated.EVEnergyRequest),
            soc_pct=stated.DC_EVStatus.EVRESSSOC,
            full_soc_pct=stated.FullSOC,
        )

    def schedules(self, offers: Sequence[ScheduleOffer], wall_s: float) -> both.SAScheduleList:
        """Return SAScheduleList: starts from now, ascending, the first one 0; the last entry has a duration."""
        tuples = tuple(self._tuple(one, wall_s) for one in offers)
        made: both.SAScheduleList = self.types.SAScheduleList(SAScheduleTuple=tuples)
        return made

    def _tuple(self, offer: ScheduleOffer, wall_s: float) -> both.SAScheduleTuple:
        entries = tuple(
            types.PMaxScheduleEntry(
                TimeInterval=types.RelativeTimeInterval(start=one.start_s, duration=one.duration_s),
                PMax=types.PhysicalValue(Unit=types.UnitSymbol.W, **parts(one.power_w, "W", down)),
            )
            for one in spans(offer, wall_s)
        )
        schedule = types.PMaxSchedule(PMaxScheduleEntry=entries)
        return types.SAScheduleTuple(SAScheduleTupleID=offer.tuple_id, PMaxSchedule=schedule)

    def dc_evse_parameters(self, status: both.DC_EVSEStatus, limits: Limits) -> both.DC_EVSEChargeParameter:
        q = self.quantity
        made: both.DC_EVSEChargeParameter = self.types.DC_EVSEChargeParameter(
            DC_EVSEStatus=status,
            EVSEMaximumCurrentLimit=q(limits.max_charge_a, "A", limit=True),
            EVSEMaximumPowerLimit=q(limits.max_charge_w, "W", limit=True),
            EVSEMaximumVoltageLimit=q(limits.max_voltage_v, "V", limit=True),
            EVSEMinimumCurrentLimit=q(limits.min_charge_a, "A"),
            EVSEMinimumVoltageLimit=q(limits.min_voltage_v, "V"),
            EVSEPeakCurrentRipple=q(1.0, "A"),
        )
        return made

    def read_delivery(self, request: both.PowerDeliveryReq) -> Delivery:
        own = of(request, messages.PowerDeliveryReq)
        entries = () if own.ChargingProfile is None else own.ChargingProfile.ProfileEntry
        return Delivery(
            progress=str(own.ChargeProgress),
            tuple_id=own.SAScheduleTupleID,
            profile=tuple((one.ChargingProfileEntryStart, number(one.ChargingProfileEntryMaxPower)) for one in entries),
        )

    def current_demand_extras(self, evse_id: str, tuple_id: int, meter: both.MeterInfo | None) -> dict[str, object]:
        """Return the fields of CurrentDemandRes that only this generation has; no receipt with EIM (V2G2-691)."""
        return {"EVSEID": evse_id, "SAScheduleTupleID": tuple_id, "MeterInfo": meter, "ReceiptRequired": False}

    def meter(self, meter_id: str, reading_wh: float) -> both.MeterInfo:
        return types.MeterInfo(MeterID=meter_id[:32], MeterReading=max(0, int(reading_wh)))

    def stop_kind(self, request: both.SessionStopReq) -> str:
        return str(of(request, messages.SessionStopReq).ChargingSession)

    # EVCC

    def session_setup_request(self, evccid: bytes) -> both.SessionSetupReq:
        return messages.SessionSetupReq(EVCCID=evccid[-6:])

    def read_services(self, response: both.ServiceDiscoveryRes) -> tuple[bool, tuple[str, ...]]:
        """Return whether external payment is offered, and the energy transfer modes."""
        own = of(response, messages.ServiceDiscoveryRes)
        external = "ExternalPayment" in own.PaymentOptionList.PaymentOption
        return external, tuple(map(str, own.ChargeService.SupportedEnergyTransferMode.EnergyTransferMode))

    def request(self, name: str, **values: object) -> both.Message:
        """Return a message of this element name."""
        made: both.Message = getattr(self.messages, name)(**values)
        return made

    def selected(self) -> both.Message:
        t = self.types
        service = t.SelectedService(ServiceID=CHARGE_SERVICE)
        return self.request(
            f"{self.selection}Req",
            SelectedPaymentOption=t.PaymentOption.ExternalPayment,
            SelectedServiceList=t.SelectedServiceList(SelectedService=(service,)),
        )

    def parameters_request(self, mode: str, parameters: both.EVChargeParameter) -> both.Message:
        return self.request(
            "ChargeParameterDiscoveryReq",
            RequestedEnergyTransferMode=types.EnergyTransferMode(mode),
            EVChargeParameter=parameters,
        )

    def departure(self, departure_s: float | None) -> dict[str, object]:
        """Return the departure field of the charge parameters."""
        return {"DepartureTime": None if departure_s is None else max(0, int(departure_s))}

    def read_schedules(self, response: both.ChargeParameterDiscoveryRes) -> tuple[tuple[int, float], ...]:
        """Return tuple ids with the power of their first entry."""
        listed = of(response, messages.ChargeParameterDiscoveryRes).SASchedules
        return tuple(
            (one.SAScheduleTupleID, number(one.PMaxSchedule.PMaxScheduleEntry[0].PMax))
            for one in (() if listed is None else listed.SAScheduleTuple)
        )

    def delivery_request(
        self, progress: str, tuple_id: int, parameters: both.DC_EVPowerDeliveryParameter | None
    ) -> both.Message:
        return self.request(
            "PowerDeliveryReq",
            ChargeProgress=types.ChargeProgress(progress),
            SAScheduleTupleID=tuple_id,
            EVPowerDeliveryParameter=parameters,
        )

    def stop_request(self, kind: str) -> both.SessionStopReq:
        return messages.SessionStopReq(ChargingSession=types.ChargingSession(kind))


ISO2 = Dialect()
