"""Stand-in for a CSMS: OCPP 2.0.1 on `ChargePoint` of the `ocpp` package. Argument: port."""

import asyncio
import sys
from datetime import UTC, datetime

from ocpp.routing import on
from ocpp.v201 import ChargePoint, call_result
from websockets.asyncio.server import serve

GROUP = {"id_token": "V2XGROUP", "type": "Central"}
TOKENS = {"DEC0DE01": "Accepted", "DEC0DE02": "Accepted", "DEC0DEB0": "Blocked", "DEC0DEE0": "Expired"}


def now():
    return datetime.now(UTC).isoformat()


def info(token):
    name = token["id_token"].upper()
    if token["type"] == "NoAuthorization":
        return {"status": "Accepted"}
    found = {"status": TOKENS.get(name, "Invalid")}
    return {**found, "group_id_token": GROUP} if name in ("DEC0DE01", "DEC0DE02") else found


class Station(ChargePoint):
    @on("BootNotification")
    def boot(self, **_):
        return call_result.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")
    def heartbeat(self, **_):
        return call_result.Heartbeat(current_time=now())

    @on("Authorize")
    def authorize(self, id_token, **_):
        return call_result.Authorize(id_token_info=info(id_token))

    @on("TransactionEvent")
    def transaction_event(self, id_token=None, **_):
        return call_result.TransactionEvent(id_token_info=None if id_token is None else info(id_token))

    @on("StatusNotification")
    def status_notification(self, **_):
        return call_result.StatusNotification()

    @on("MeterValues")
    def meter_values(self, **_):
        return call_result.MeterValues()

    @on("NotifyReport")
    def notify_report(self, **_):
        return call_result.NotifyReport()

    @on("NotifyEvent")
    def notify_event(self, **_):
        return call_result.NotifyEvent()

    @on("SecurityEventNotification")
    def security_event(self, **_):
        return call_result.SecurityEventNotification()

    @on("FirmwareStatusNotification")
    def firmware_status(self, **_):
        return call_result.FirmwareStatusNotification()

    @on("LogStatusNotification")
    def log_status(self, **_):
        return call_result.LogStatusNotification()

    @on("DataTransfer")
    def data_transfer(self, **_):
        return call_result.DataTransfer(status="UnknownVendorId")

    @on("NotifyEVChargingNeeds")
    def charging_needs(self, **_):
        return call_result.NotifyEVChargingNeeds(status="Rejected")

    @on("NotifyEVChargingSchedule")
    def charging_schedule(self, **_):
        return call_result.NotifyEVChargingSchedule(status="Accepted")

    @on("SignCertificate")
    def sign_certificate(self, **_):
        return call_result.SignCertificate(status="Rejected")

    @on("NotifyMonitoringReport")
    def monitoring_report(self, **_):
        return call_result.NotifyMonitoringReport()

    @on("NotifyCustomerInformation")
    def customer_information(self, **_):
        return call_result.NotifyCustomerInformation()

    @on("NotifyDisplayMessages")
    def display_messages(self, **_):
        return call_result.NotifyDisplayMessages()

    @on("ReservationStatusUpdate")
    def reservation_status(self, **_):
        return call_result.ReservationStatusUpdate()

    @on("NotifyChargingLimit")
    def charging_limit(self, **_):
        return call_result.NotifyChargingLimit()

    @on("ClearedChargingLimit")
    def cleared_limit(self, **_):
        return call_result.ClearedChargingLimit()

    @on("ReportChargingProfiles")
    def charging_profiles(self, **_):
        return call_result.ReportChargingProfiles()


async def main(port):
    async def connected(socket):
        await Station(socket.request.path.rpartition("/")[2], socket).start()

    async with serve(connected, "127.0.0.1", port, subprotocols=["ocpp2.0.1"]):
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
