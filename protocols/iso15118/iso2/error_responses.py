"""Responses with a FAILED code in ISO 15118-2 and DIN 70121: for every request its response type.

Optional elements are left out, mandatory ones have any valid value; loop responses keep the EVSE id. Source: response
layout of FAILED as EVerest has it; V2G2-460, 538, 539; V2G-DC-390, 391.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.iso15118.din import types as din_types
from protocols.iso15118.iso2 import both
from protocols.iso15118.iso2.dialect import Dialect
from protocols.iso15118.iso2.secc_session import SeccSettings, Session
from protocols.iso15118.iso2.services import CHARGE_SERVICE
from protocols.iso15118.iso20.limits import Limits
from protocols.iso15118.iso20.schedules import flat_offer

EMERGENCY = "EVSE_EmergencyShutdown"
_NO_LIMITS = Limits(max_charge_a=0.0, max_voltage_v=0.0)


def is_request(name: str) -> bool:
    """Return True for the element name of a request."""
    return name in _BUILDERS


class ErrorResponses:
    """Builder of the responses of one session. `status_code`: of DC_EVSEStatus."""

    def __init__(self, dialect: Dialect, settings: SeccSettings, session: Session, status_code: str) -> None:
        self._d, self._settings, self._session = dialect, settings, session
        self._dc = dialect.dc_status(status_code, "Invalid")

    def build(self, request_name: str, code: str) -> both.Message:
        """Return the response to a request of this element name. Raises KeyError if there is no such request."""
        build = _BUILDERS[request_name]
        return self._d.request(request_name.removesuffix("Req") + "Res", ResponseCode=self._d.code(code), **build(self))

    def _plain(self) -> dict[str, object]:
        return {}

    def _setup(self) -> dict[str, object]:
        response = self._d.session_setup_response("FAILED", self._settings.evse_id, 0.0)
        return {"EVSEID": response.EVSEID}

    def _discovery(self) -> dict[str, object]:
        modes = self._settings.dc_modes or self._settings.ac_modes
        made = self._d.service_discovery_response("FAILED", modes[:1], self._settings.free_service)
        payment = "PaymentOptions" if self._d.is_din else "PaymentOptionList"
        return {payment: getattr(made, payment), "ChargeService": made.ChargeService}

    def _detail(self) -> dict[str, object]:
        return {"ServiceID": CHARGE_SERVICE}

    def _processing(self) -> dict[str, object]:
        return {"EVSEProcessing": self._d.types.EVSEProcessing("Finished")}

    def _status(self) -> both.EVSEStatus:
        is_dc = self._session.choice is None or self._session.choice.is_dc
        return self._dc if is_dc else self._d.ac_status()

    def _parameters(self) -> dict[str, object]:
        d = self._d
        if self._session.choice is None or self._session.choice.is_dc:
            parameters = d.dc_evse_parameters(self._dc, _NO_LIMITS)
        else:
            parameters = d.types.AC_EVSEChargeParameter(
                AC_EVSEStatus=d.ac_status(),
                EVSENominalVoltage=d.quantity(self._settings.nominal_voltage_v, "V"),
                EVSEMaxCurrent=d.quantity(0.0, "A"),
            )
        schedules = {"SASchedules": d.schedules((flat_offer(0, 0.0, None),), 0.0)} if d.is_din else {}
        return {"EVSEChargeParameter": parameters, **self._processing(), **schedules}

    def _dc_status(self) -> dict[str, object]:
        return {"DC_EVSEStatus": self._dc}

    def _cable(self) -> dict[str, object]:
        return {**self._dc_status(), **self._processing()}

    def _voltage(self) -> dict[str, object]:
        return {**self._dc_status(), "EVSEPresentVoltage": self._d.quantity(0.0, "V")}

    def _delivery(self) -> dict[str, object]:
        return {"EVSEStatus": self._status()}

    def _demand(self) -> dict[str, object]:
        return {
            **self._voltage(),
            "EVSEPresentCurrent": self._d.quantity(0.0, "A"),
            "EVSECurrentLimitAchieved": False,
            "EVSEVoltageLimitAchieved": False,
            "EVSEPowerLimitAchieved": False,
            **self._d.current_demand_extras(self._settings.evse_id, self._session.tuple_id, None),
        }

    def _charging_status(self) -> dict[str, object]:
        extras = {"ReceiptRequired": False} if self._d.is_din else {}
        return {
            "EVSEID": self._setup()["EVSEID"],
            "SAScheduleTupleID": self._session.tuple_id,
            "AC_EVSEStatus": self._ac(),
            **extras,
        }

    def _ac(self) -> both.AC_EVSEStatus:
        if not self._d.is_din:
            return self._d.ac_status()
        none = din_types.EVSENotification("None")
        return din_types.AC_EVSEStatus(
            PowerSwitchClosed=False, RCD=False, NotificationMaxDelay=0, EVSENotification=none
        )

    def _receipt(self) -> dict[str, object]:
        return {"AC_EVSEStatus": self._ac()} if self._d.is_din else self._delivery()

    def _challenge(self) -> dict[str, object]:
        return (
            {"GenChallenge": "", "DateTimeNow": 0}
            if self._d.is_din
            else {"GenChallenge": bytes(16), "EVSETimeStamp": 0}
        )

    def _certificate(self) -> dict[str, object]:
        t = self._d.types
        chain = t.CertificateChain(Certificate=b"")
        if self._d.is_din:
            return {
                "Id": "none",
                "ContractSignatureCertChain": chain,
                "ContractSignatureEncryptedPrivateKey": b"",
                "DHParams": b"",
                "ContractID": "",
            }
        return {
            "SAProvisioningCertificateChain": chain,
            "ContractSignatureCertChain": chain,
            "ContractSignatureEncryptedPrivateKey": t.ContractSignatureEncryptedPrivateKey(Id="id1", value=b""),
            "DHpublickey": t.DiffieHellmanPublickey(Id="id2", value=b""),
            "eMAID": t.EMAID(Id="id3", value="ZZ00000000000A"),
        }

    def _update(self) -> dict[str, object]:
        return {**self._certificate(), **({"RetryCounter": 0} if self._d.is_din else {})}


_BUILDERS: dict[str, Callable[[ErrorResponses], dict[str, object]]] = {
    "SessionSetupReq": ErrorResponses._setup,
    "ServiceDiscoveryReq": ErrorResponses._discovery,
    "ServiceDetailReq": ErrorResponses._detail,
    "PaymentServiceSelectionReq": ErrorResponses._plain,
    "ServicePaymentSelectionReq": ErrorResponses._plain,
    "PaymentDetailsReq": ErrorResponses._challenge,
    "AuthorizationReq": ErrorResponses._processing,
    "ContractAuthenticationReq": ErrorResponses._processing,
    "CertificateInstallationReq": ErrorResponses._certificate,
    "CertificateUpdateReq": ErrorResponses._update,
    "ChargeParameterDiscoveryReq": ErrorResponses._parameters,
    "CableCheckReq": ErrorResponses._cable,
    "PreChargeReq": ErrorResponses._voltage,
    "PowerDeliveryReq": ErrorResponses._delivery,
    "CurrentDemandReq": ErrorResponses._demand,
    "ChargingStatusReq": ErrorResponses._charging_status,
    "MeteringReceiptReq": ErrorResponses._receipt,
    "WeldingDetectionReq": ErrorResponses._voltage,
    "SessionStopReq": ErrorResponses._plain,
}
