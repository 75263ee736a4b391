"""Messages of ISO 15118-2 as the engines use them; `din/dialect.py` overrides what DIN SPEC 70121 has otherwise.

The two generations share most message names and fields (`messages`). A method here exists where they differ. Both
directions: construction and interpretation. Response codes are names until here, so that no code of the other
generation can be sent. Source: ISO 15118-2 messages, DIN SPEC 70121.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

from protocols.errors import LocalProtocolError, RemoteProtocolError
from protocols.exi.codec import Codec
from protocols.frozen import frozen
from protocols.iso15118 import app_protocol, codecs
from protocols.iso15118.iso2 import both, messages, types
from protocols.iso15118.iso2.schedules import MOST_ENTRIES, Cost, Span, TariffSpan, read, spans, started, tariff
from protocols.iso15118.iso2.services import CHARGE_SERVICE, ValueAddedService, listed
from protocols.iso15118.iso2.states import AC, DC, Follows
from protocols.iso15118.iso2.values import down, number, optional, parts
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer
from protocols.v2gtp import PayloadType, frame

M = TypeVar("M")
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
    most_entries: int | None = None  # of a schedule that the EV can store


@frozen(kw_only=True)
class Delivery:
    """Contents of PowerDeliveryReq; `profile`: (start s from now, W)."""

    progress: str  # Start, Stop, Renegotiate
    tuple_id: int | None = None
    profile: tuple[tuple[int, float], ...] = ()


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

    def ac_status(self, notification: str = "None", delay_s: int = 0, *, rcd: bool = False) -> both.AC_EVSEStatus:
        return types.AC_EVSEStatus(
            NotificationMaxDelay=delay_s, EVSENotification=types.EVSENotification(notification), RCD=rcd
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

    def service_discovery_response(
        self,
        code: str,
        modes: Sequence[str],
        free: bool,
        services: tuple[ValueAddedService, ...] = (),
        request: both.ServiceDiscoveryReq | None = None,
    ) -> both.ServiceDiscoveryRes:
        """Return ServiceDiscoveryRes with the services that `request` selects."""
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
            ServiceList=None if request is None else listed(services, of(request, messages.ServiceDiscoveryReq)),
        )

    def selection_fault(
        self, request: both.PaymentServiceSelectionReq, services: tuple[ValueAddedService, ...]
    ) -> tuple[str, str] | None:
        """Return the response code and reason of a wrong payment or service selection (V2G2-465, 467, 804)."""
        if request.SelectedPaymentOption != "ExternalPayment":
            return "FAILED_PaymentSelectionInvalid", "only external payment is offered"
        selected = [one.ServiceID for one in request.SelectedServiceList.SelectedService]
        offered = {one.service_id: one for one in services}
        for one in request.SelectedServiceList.SelectedService:
            known = one.ServiceID in offered and offered[one.ServiceID].has(one.ParameterSetID)
            if one.ServiceID != CHARGE_SERVICE and not known:
                return "FAILED_ServiceSelectionInvalid", f"service {one.ServiceID} is not offered in this form"
        if CHARGE_SERVICE not in selected:
            return "FAILED_NoChargeServiceSelected", "the charging service is not selected"
        return None

    def read_parameters(self, request: both.ChargeParameterDiscoveryReq) -> EvParameters:
        """Interpret ChargeParameterDiscoveryReq; DepartureTime 0 counts as absent."""
        own = of(request, messages.ChargeParameterDiscoveryReq)
        stated, mode = own.EVChargeParameter, str(own.RequestedEnergyTransferMode)
        if isinstance(stated, types.DC_EVChargeParameter):
            read_ = self._dc_parameters(mode, stated, stated.DepartureTime)
            return replace(read_, most_entries=own.MaxEntriesSAScheduleTuple)
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
            most_entries=own.MaxEntriesSAScheduleTuple,
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

    def schedules(
        self, offers: Sequence[ScheduleOffer], wall_s: float, most: int = MOST_ENTRIES
    ) -> both.SAScheduleList:
        """Return SAScheduleList; `most`: tuples, and entries of each, that the EV can store."""
        tuples = tuple(self._tuple(one, wall_s, most) for one in offers[: max(1, most)])
        made: both.SAScheduleList = self.types.SAScheduleList(SAScheduleTuple=tuples)
        return made

    def _tuple(self, offer: ScheduleOffer, wall_s: float, most: int) -> both.SAScheduleTuple:
        entries = tuple(
            types.PMaxScheduleEntry(
                TimeInterval=types.RelativeTimeInterval(start=one.start_s, duration=one.duration_s),
                PMax=_physical(one.power_w, "W"),
            )
            for one in spans(offer, wall_s, most)
        )
        return types.SAScheduleTuple(
            SAScheduleTupleID=offer.tuple_id,
            PMaxSchedule=types.PMaxSchedule(PMaxScheduleEntry=entries),
            SalesTariff=_sales_tariff(offer, wall_s, most),
        )

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

    def selected(self, services: Sequence[tuple[int, int | None]]) -> both.Message:
        """Return the selection of the charging service and of others with their parameter sets."""
        t = self.types
        chosen = tuple(
            t.SelectedService(ServiceID=service_id, ParameterSetID=set_id)
            for service_id, set_id in ((CHARGE_SERVICE, None), *services)
        )
        return self.request(
            f"{self.selection}Req",
            SelectedPaymentOption=t.PaymentOption.ExternalPayment,
            SelectedServiceList=t.SelectedServiceList(SelectedService=chosen),
        )

    def read_value_added(self, response: both.ServiceDiscoveryRes) -> tuple[tuple[int, str], ...]:
        """Return ids and categories of the services beside charging."""
        offered = of(response, messages.ServiceDiscoveryRes).ServiceList
        return tuple((one.ServiceID, str(one.ServiceCategory)) for one in (() if offered is None else offered.Service))

    def parameters_request(self, mode: str, parameters: both.EVChargeParameter) -> both.Message:
        return self.request(
            "ChargeParameterDiscoveryReq",
            RequestedEnergyTransferMode=types.EnergyTransferMode(mode),
            EVChargeParameter=parameters,
        )

    def departure(self, departure_s: float | None) -> dict[str, object]:
        """Return the departure field of the charge parameters."""
        return {"DepartureTime": None if departure_s is None else max(0, int(departure_s))}

    def read_schedules(self, response: both.ChargeParameterDiscoveryRes, anchor_s: int) -> tuple[ScheduleOffer, ...]:
        """Return the offered schedules, from `anchor_s` on."""
        listed = of(response, messages.ChargeParameterDiscoveryRes).SASchedules
        return tuple(_schedule(one, anchor_s) for one in (() if listed is None else listed.SAScheduleTuple))

    def delivery_request(
        self,
        progress: str,
        tuple_id: int,
        profile: Sequence[Block],
        parameters: both.DC_EVPowerDeliveryParameter | None,
    ) -> both.Message:
        """Return PowerDeliveryReq, with a charging profile if there is one."""
        entries = tuple(
            types.ProfileEntry(ChargingProfileEntryStart=start, ChargingProfileEntryMaxPower=_physical(power_w, "W"))
            for start, power_w in started(profile)
        )
        return self.request(
            "PowerDeliveryReq",
            ChargeProgress=types.ChargeProgress(progress),
            SAScheduleTupleID=tuple_id,
            ChargingProfile=types.ChargingProfile(ProfileEntry=entries) if entries else None,
            EVPowerDeliveryParameter=parameters,
        )

    def stop_request(self, kind: str) -> both.SessionStopReq:
        return messages.SessionStopReq(ChargingSession=types.ChargingSession(kind))


def _physical(value: float, unit: str) -> types.PhysicalValue:
    return types.PhysicalValue(Unit=types.UnitSymbol(unit), **parts(value, unit, down))


def _sales_tariff(offer: ScheduleOffer, wall_s: float, most: int) -> types.SalesTariff | None:
    entries = tariff(offer, wall_s)[:most]
    if not entries:
        return None
    return types.SalesTariff(
        SalesTariffID=offer.tuple_id,
        NumEPriceLevels=max(one.level for one in entries),
        SalesTariffEntry=tuple(
            types.SalesTariffEntry(
                TimeInterval=types.RelativeTimeInterval(start=one.start_s, duration=one.duration_s),
                EPriceLevel=one.level,
                ConsumptionCost=tuple(
                    types.ConsumptionCost(startValue=_physical(cost.above_w, "W"), Cost=_costs(cost))
                    for cost in one.costs
                ),
            )
            for one in entries
        ),
    )


def _costs(cost: Cost) -> tuple[types.Cost, ...]:
    stated = (
        (types.CostKind.relativePricePercentage, cost.price_pct),
        (types.CostKind.RenewableGenerationPercentage, cost.renewable_pct),
        (types.CostKind.CarbonDioxideEmission, cost.co2_g_per_kwh),
    )
    return tuple(types.Cost(costKind=kind, amount=amount) for kind, amount in stated if amount is not None)


def _schedule(message: types.SAScheduleTuple, anchor_s: int) -> ScheduleOffer:
    limits = [
        Span(one.TimeInterval.start, one.TimeInterval.duration, number(one.PMax))
        for one in message.PMaxSchedule.PMaxScheduleEntry
    ]
    prices = () if message.SalesTariff is None else message.SalesTariff.SalesTariffEntry
    levels = [TariffSpan(one.TimeInterval.start, one.TimeInterval.duration, one.EPriceLevel or 1) for one in prices]
    return read(message.SAScheduleTupleID, limits, levels, anchor_s)


ISO2 = Dialect()
