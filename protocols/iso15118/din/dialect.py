"""Messages of DIN SPEC 70121 where they differ from those of ISO 15118-2 (`iso2/dialect.py`).

DC and external payment only; no pause, no renegotiation. PMax is a 16-bit number of W. Source: DIN SPEC 70121.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

from protocols.iso15118 import app_protocol, codecs
from protocols.iso15118.din import messages, types
from protocols.iso15118.din.states import FOLLOWS
from protocols.iso15118.iso2 import both
from protocols.iso15118.iso2.dialect import Delivery, Dialect, EvParameters, of
from protocols.iso15118.iso2.schedules import Span, TariffSpan, read, spans, started, tariff
from protocols.iso15118.iso2.services import CHARGE_SERVICE, ValueAddedService
from protocols.iso15118.iso2.states import Follows
from protocols.iso15118.iso20.limits import NOTHING
from protocols.iso15118.iso20.schedules import Block, ScheduleOffer

LARGEST_PMAX_W = 32767


class DinDialect(Dialect):
    """Messages of DIN SPEC 70121."""

    name = "DIN 70121"
    is_din = True
    protocol = app_protocol.DIN
    codec = codecs.DIN
    messages: ModuleType = messages
    types: ModuleType = types
    selection = "ServicePaymentSelection"
    authorization = "ContractAuthentication"
    tables: Mapping[bool, Follows] = {True: FOLLOWS, False: FOLLOWS}
    codes: Mapping[str, str] = {
        "FAILED_WrongEnergyTransferMode": "FAILED_WrongEnergyTransferType",
        "FAILED_NoChargeServiceSelected": "FAILED_ServiceSelectionInvalid",
        "FAILED_ContactorError": "FAILED",
    }

    # SECC

    def session_setup_response(self, code: str, evse_id: str, wall_s: float) -> both.SessionSetupRes:
        try:
            coded = bytes.fromhex(evse_id)
        except ValueError:
            coded = b"\x00"
        return messages.SessionSetupRes(ResponseCode=types.ResponseCode(code), EVSEID=coded, DateTimeNow=int(wall_s))

    def service_discovery_response(
        self,
        code: str,
        modes: Sequence[str],
        free: bool,
        services: tuple[ValueAddedService, ...] = (),
        request: both.ServiceDiscoveryReq | None = None,
    ) -> both.ServiceDiscoveryRes:
        t = types
        tag = t.ServiceTag(ServiceID=CHARGE_SERVICE, ServiceCategory=t.ServiceCategory.EVCharging)
        return messages.ServiceDiscoveryRes(
            ResponseCode=t.ResponseCode(code),
            PaymentOptions=t.PaymentOptions(PaymentOption=(t.PaymentOption.ExternalPayment,)),
            ChargeService=t.ServiceCharge(
                ServiceTag=tag,
                FreeService=free,
                EnergyTransferType=t.EVSESupportedEnergyTransfer(modes[0] if modes else "DC_extended"),
            ),
        )

    def selection_fault(
        self, request: both.PaymentServiceSelectionReq, services: tuple[ValueAddedService, ...]
    ) -> tuple[str, str] | None:
        """Return the response code and reason of a wrong selection (V2G-DC-395, 396, 635)."""
        if len(request.SelectedServiceList.SelectedService) != 1:
            return "FAILED_ServiceSelectionInvalid", "exactly the charging service must be selected"
        return super().selection_fault(request, ())

    def read_parameters(self, request: both.ChargeParameterDiscoveryReq) -> EvParameters:
        own = of(request, messages.ChargeParameterDiscoveryReq)
        mode, stated = str(own.EVRequestedEnergyTransferType), own.EVChargeParameter
        if isinstance(stated, types.DC_EVChargeParameter):
            return self._dc_parameters(mode, stated, None)
        return EvParameters(mode=mode, is_dc=False, limits=NOTHING)

    def _tuple(self, offer: ScheduleOffer, wall_s: float, most: int) -> both.SAScheduleTuple:
        entries = tuple(
            types.PMaxScheduleEntry(
                TimeInterval=types.RelativeTimeInterval(start=one.start_s, duration=one.duration_s),
                PMax=power_limit(one.power_w),
            )
            for one in spans(offer, wall_s, most)
        )
        schedule = types.PMaxSchedule(PMaxScheduleID=offer.tuple_id, PMaxScheduleEntry=entries)
        return types.SAScheduleTuple(
            SAScheduleTupleID=offer.tuple_id, PMaxSchedule=schedule, SalesTariff=_sales_tariff(offer, wall_s)
        )

    def read_delivery(self, request: both.PowerDeliveryReq) -> Delivery:
        own = of(request, messages.PowerDeliveryReq)
        profile = own.ChargingProfile
        return Delivery(
            progress="Start" if own.ReadyToChargeState else "Stop",
            tuple_id=None if profile is None else profile.SAScheduleTupleID,
            profile=()
            if profile is None
            else tuple(
                (one.ChargingProfileEntryStart, float(one.ChargingProfileEntryMaxPower)) for one in profile.ProfileEntry
            ),
        )

    def current_demand_extras(self, evse_id: str, tuple_id: int, meter: both.MeterInfo | None) -> dict[str, object]:
        return {}

    def stop_kind(self, request: both.SessionStopReq) -> str:
        return "Terminate"

    # EVCC

    def read_services(self, response: both.ServiceDiscoveryRes) -> tuple[bool, tuple[str, ...]]:
        own = of(response, messages.ServiceDiscoveryRes)
        external = "ExternalPayment" in own.PaymentOptions.PaymentOption
        return external, (str(own.ChargeService.EnergyTransferType),)

    def read_value_added(self, response: both.ServiceDiscoveryRes) -> tuple[tuple[int, str], ...]:
        return ()

    def parameters_request(self, mode: str, parameters: both.EVChargeParameter) -> both.Message:
        return self.request(
            "ChargeParameterDiscoveryReq",
            EVRequestedEnergyTransferType=types.EVRequestedEnergyTransfer(mode),
            EVChargeParameter=parameters,
        )

    def departure(self, departure_s: float | None) -> dict[str, object]:
        return {}

    def read_schedules(self, response: both.ChargeParameterDiscoveryRes, anchor_s: int) -> tuple[ScheduleOffer, ...]:
        listed = of(response, messages.ChargeParameterDiscoveryRes).SASchedules
        return tuple(_schedule(one, anchor_s) for one in listed.SAScheduleTuple)

    def session_setup_request(self, evccid: bytes) -> both.SessionSetupReq:
        return messages.SessionSetupReq(EVCCID=evccid[-8:])

    def delivery_request(
        self,
        progress: str,
        tuple_id: int,
        profile: Sequence[Block],
        parameters: both.DC_EVPowerDeliveryParameter | None,
    ) -> both.Message:
        entries = tuple(
            types.ProfileEntry(ChargingProfileEntryStart=start, ChargingProfileEntryMaxPower=power_limit(power_w))
            for start, power_w in started(profile)
        )
        return self.request(
            "PowerDeliveryReq",
            ReadyToChargeState=progress == "Start",
            ChargingProfile=types.ChargingProfile(SAScheduleTupleID=tuple_id, ProfileEntry=entries)
            if entries
            else None,
            EVPowerDeliveryParameter=parameters,
        )

    def stop_request(self, kind: str) -> both.SessionStopReq:
        return messages.SessionStopReq()


def power_limit(power_w: float) -> int:
    """Return PMax."""
    return int(min(power_w, LARGEST_PMAX_W))


def _sales_tariff(offer: ScheduleOffer, wall_s: float) -> types.SalesTariff | None:
    """Return the price levels; costs are left out."""
    entries = tariff(offer, wall_s)
    if not entries:
        return None
    return types.SalesTariff(
        Id=f"tariff{offer.tuple_id}",
        SalesTariffID=offer.tuple_id,
        NumEPriceLevels=max(one.level for one in entries),
        SalesTariffEntry=tuple(
            types.SalesTariffEntry(
                TimeInterval=types.RelativeTimeInterval(start=one.start_s, duration=one.duration_s),
                EPriceLevel=one.level,
            )
            for one in entries
        ),
    )


def _schedule(message: types.SAScheduleTuple, anchor_s: int) -> ScheduleOffer:
    limits = [
        Span(one.TimeInterval.start, one.TimeInterval.duration, float(one.PMax))
        for one in message.PMaxSchedule.PMaxScheduleEntry
    ]
    prices = () if message.SalesTariff is None else message.SalesTariff.SalesTariffEntry
    levels = [TariffSpan(one.TimeInterval.start, one.TimeInterval.duration, one.EPriceLevel) for one in prices]
    return read(message.SAScheduleTupleID, limits, levels, anchor_s)


DIN = DinDialect()
