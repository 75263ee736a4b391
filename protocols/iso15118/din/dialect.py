"""Messages of DIN SPEC 70121 where they differ from those of ISO 15118-2 (`iso2/dialect.py`).

DC and external payment only; no pause, no renegotiation. PMax is a 16-bit number of W. Source: DIN SPEC 70121.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from protocols.iso15118 import app_protocol, codecs
from protocols.iso15118.din import messages, types
from protocols.iso15118.din.states import FOLLOWS
from protocols.iso15118.iso2.dialect import CHARGE_SERVICE, Delivery, Dialect, EvParameters
from protocols.iso15118.iso2.states import Follows
from protocols.iso15118.iso20.limits import NOTHING

LARGEST_PMAX_W = 32767


class DinDialect(Dialect):
    """Messages of DIN SPEC 70121."""

    name = "DIN 70121"
    is_din = True
    protocol = app_protocol.DIN
    codec = codecs.DIN
    messages = messages
    types = types
    selection = "ServicePaymentSelection"
    authorization = "ContractAuthentication"
    tables: Mapping[bool, Follows] = {True: FOLLOWS, False: FOLLOWS}
    codes: Mapping[str, str] = {
        "FAILED_WrongEnergyTransferMode": "FAILED_WrongEnergyTransferType",
        "FAILED_NoChargeServiceSelected": "FAILED_ServiceSelectionInvalid",
        "FAILED_ContactorError": "FAILED",
    }

    # SECC

    def session_setup_response(self, code: Any, evse_id: str, wall_s: float) -> Any:
        try:
            coded = bytes.fromhex(evse_id)
        except ValueError:
            coded = b"\x00"
        return self.messages.SessionSetupRes(ResponseCode=code, EVSEID=coded, DateTimeNow=int(wall_s))

    def service_discovery_response(self, code: Any, modes: Sequence[str], free: bool) -> Any:
        t = self.types
        tag = t.ServiceTag(ServiceID=CHARGE_SERVICE, ServiceCategory=t.ServiceCategory.EVCharging)
        return self.messages.ServiceDiscoveryRes(
            ResponseCode=code,
            PaymentOptions=t.PaymentOptions(PaymentOption=(t.PaymentOption.ExternalPayment,)),
            ChargeService=t.ServiceCharge(
                ServiceTag=tag,
                FreeService=free,
                EnergyTransferType=t.EVSESupportedEnergyTransfer(modes[0] if modes else "DC_extended"),
            ),
        )

    def selection_fault(self, request: Any) -> tuple[str, str] | None:
        """Return the response code and reason of a wrong selection (V2G-DC-395, 396, 635)."""
        if len(request.SelectedServiceList.SelectedService) != 1:
            return "FAILED_ServiceSelectionInvalid", "exactly the charging service must be selected"
        return super().selection_fault(request)

    def read_parameters(self, request: Any) -> EvParameters:
        mode, stated = str(request.EVRequestedEnergyTransferType), request.EVChargeParameter
        if isinstance(stated, self.types.DC_EVChargeParameter):
            return self._dc_parameters(mode, stated, None)
        return EvParameters(mode=mode, is_dc=False, limits=NOTHING)

    def _tuple(self, tuple_id: int, entries: tuple[Any, ...]) -> Any:
        t = self.types
        schedule = t.PMaxSchedule(PMaxScheduleID=tuple_id, PMaxScheduleEntry=entries)
        return t.SAScheduleTuple(SAScheduleTupleID=tuple_id, PMaxSchedule=schedule)

    def power_limit(self, power_w: float) -> Any:
        return int(min(power_w, LARGEST_PMAX_W))

    def read_delivery(self, request: Any) -> Delivery:
        profile = request.ChargingProfile
        return Delivery(
            progress="Start" if request.ReadyToChargeState else "Stop",
            tuple_id=None if profile is None else profile.SAScheduleTupleID,
            profile=()
            if profile is None
            else tuple(
                (one.ChargingProfileEntryStart, float(one.ChargingProfileEntryMaxPower)) for one in profile.ProfileEntry
            ),
        )

    def current_demand_extras(self, evse_id: str, tuple_id: int, meter: Any) -> dict[str, Any]:
        return {}

    def stop_kind(self, request: Any) -> str:
        return "Terminate"

    # EVCC

    def read_services(self, response: Any) -> tuple[bool, tuple[str, ...]]:
        external = "ExternalPayment" in response.PaymentOptions.PaymentOption
        return external, (str(response.ChargeService.EnergyTransferType),)

    def parameters_request(self, mode: str, parameters: Any, departure_s: float | None) -> Any:
        return self.messages.ChargeParameterDiscoveryReq(
            EVRequestedEnergyTransferType=self.types.EVRequestedEnergyTransfer(mode), EVChargeParameter=parameters
        )

    def departure(self, departure_s: float | None) -> dict[str, Any]:
        return {}

    def _first_power(self, schedule: Any) -> float:
        return float(schedule.PMaxSchedule.PMaxScheduleEntry[0].PMax)

    def session_setup_request(self, evccid: bytes) -> Any:
        return self.messages.SessionSetupReq(EVCCID=evccid[-8:])

    def delivery_request(self, progress: str, tuple_id: int, parameters: Any) -> Any:
        return self.messages.PowerDeliveryReq(
            ReadyToChargeState=progress == "Start", EVPowerDeliveryParameter=parameters
        )

    def stop_request(self, kind: str) -> Any:
        return self.messages.SessionStopReq()


DIN = DinDialect()
