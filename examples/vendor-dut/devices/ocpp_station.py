"""Stand-in for a charger: an OCPP 2.0.1 station on `ChargePoint` of the `ocpp` package. Argument: URL with the id.

A vehicle is connected to its one EVSE. Replace it by your device; it needs nothing of v2x-gateway.
"""

import asyncio
import contextlib
import sys
from datetime import UTC, datetime

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.client import connect

BACK_OFF_S = 1.0
VEHICLE_W = 7000.0
INTEGERS = {"HeartbeatInterval", "TxUpdatedInterval", "OfflineThreshold", "EVConnectionTimeOut"}
# by component and variable: value, and whether it can be set
MODEL = {
    ("OCPPCommCtrlr", "HeartbeatInterval"): ["300", True],
    ("OCPPCommCtrlr", "OfflineThreshold"): ["60", True],
    ("OCPPCommCtrlr", "NetworkConfigurationPriority"): ["1", True],
    ("SampledDataCtrlr", "TxUpdatedInterval"): ["2", True],
    ("TxCtrlr", "EVConnectionTimeOut"): ["60", True],
    ("TxCtrlr", "TxStopPoint"): ["Authorized", False],
    ("AuthCtrlr", "AuthorizeRemoteStart"): ["false", True],
    ("ChargingStation", "Model"): ["ocpp-station", False],
    ("SecurityCtrlr", "SecurityProfile"): ["0", False],
    ("EVSE", "AvailabilityState"): ["Occupied", False],
}


def now():
    return datetime.now(UTC).isoformat()


class Station(ChargePoint):
    """State that survives a connection is in the class, and in the model."""

    accepted = False
    transaction = None
    numbers = 0
    reason = "PowerUp"

    # reports

    async def boot(self):
        about = {"model": "ocpp-station", "vendor_name": "PyPI ocpp", "firmware_version": "1.0"}
        while True:
            booted = await self.call(call.BootNotification(charging_station=about, reason=Station.reason))
            if booted.status == "Accepted":
                Station.accepted = True
                break
            await asyncio.sleep(booted.interval or 30)
        if booted.interval:
            MODEL["OCPPCommCtrlr", "HeartbeatInterval"][0] = str(booted.interval)
        await self.status()
        await self.call(call.SecurityEventNotification(type="StartupOfTheDevice", timestamp=now()))

    async def status(self):
        state = MODEL["EVSE", "AvailabilityState"][0]
        await self.call(call.StatusNotification(timestamp=now(), connector_status=state, evse_id=1, connector_id=1))

    async def heartbeats(self):
        while True:
            await asyncio.sleep(float(MODEL["OCPPCommCtrlr", "HeartbeatInterval"][0]))
            await self.call(call.Heartbeat())

    async def samples(self):
        while True:
            await asyncio.sleep(float(MODEL["SampledDataCtrlr", "TxUpdatedInterval"][0]))
            if Station.transaction is not None:
                await self.event("Updated", "MeterValuePeriodic", meter_value=self.meter())

    def meter(self, context="Sample.Periodic"):
        power = VEHICLE_W if Station.transaction is not None else 0.0
        sample = {"value": power, "measurand": "Power.Active.Import", "context": context}
        return [{"timestamp": now(), "sampled_value": [sample]}]

    async def event(self, kind, trigger, info=None, **more):
        running = Station.transaction
        info = {"transaction_id": running["id"], "charging_state": "Charging", **(info or {})}
        number, running["seq"] = running["seq"], running["seq"] + 1
        await self.call(
            call.TransactionEvent(
                event_type=kind, timestamp=now(), trigger_reason=trigger, seq_no=number, transaction_info=info, **more
            )
        )

    # requests

    @on("Reset")
    def reset(self, type, **_):
        return call_result.Reset(status="Accepted")

    @after("Reset")
    async def reset_now(self, **_):
        if Station.transaction is not None:
            await self.end("ResetCommand", "ImmediateReset")
        Station.reason, Station.accepted = "RemoteReset", False
        await self._connection.close()

    @on("GetVariables")
    def get_variables(self, get_variable_data, **_):
        return call_result.GetVariables([self.read(data) for data in get_variable_data])

    def find(self, data):
        component, variable = data["component"]["name"], data["variable"]["name"]
        if not any(name == component for name, _ in MODEL):
            return "UnknownComponent", None
        found = MODEL.get((component, variable))
        return ("Accepted", found) if found is not None else ("UnknownVariable", None)

    def read(self, data):
        status, found = self.find(data)
        result = {"component": data["component"], "variable": data["variable"], "attribute_type": "Actual"}
        if found is not None:
            result["attribute_value"] = found[0]
        return {**result, "attribute_status": status}

    @on("SetVariables")
    def set_variables(self, set_variable_data, **_):
        return call_result.SetVariables([self.write(data) for data in set_variable_data])

    def write(self, data):
        status, found = self.find(data)
        value, name = data["attribute_value"], data["variable"]["name"]
        if found is not None and (not found[1] or (name in INTEGERS and not value.isdigit())):
            status = "Rejected"
        elif found is not None:
            found[0] = value
        return {
            "component": data["component"],
            "variable": data["variable"],
            "attribute_type": "Actual",
            "attribute_status": status,
        }

    @on("GetBaseReport")
    def get_base_report(self, request_id, report_base, **_):
        supported = report_base in ("FullInventory", "ConfigurationInventory")
        return call_result.GetBaseReport(status="Accepted" if supported else "NotSupported")

    @after("GetBaseReport")
    async def report(self, request_id, report_base, **_):
        data = []
        for (component, variable), (value, writable) in MODEL.items():
            if report_base == "FullInventory" or writable:
                attribute = {"value": value, "mutability": "ReadWrite" if writable else "ReadOnly"}
                about = {"data_type": "string", "supports_monitoring": False}
                where = {"name": component, **({"evse": {"id": 1}} if component == "EVSE" else {})}
                data.append(
                    {
                        "component": where,
                        "variable": {"name": variable},
                        "variable_attribute": [attribute],
                        "variable_characteristics": about,
                    }
                )
        await self.call(
            call.NotifyReport(request_id=request_id, generated_at=now(), seq_no=0, report_data=data, tbc=False)
        )

    @on("RequestStartTransaction")
    def start_transaction(self, id_token, remote_start_id, evse_id=1, **_):
        if not self.accepted:
            return call_result.RequestStartTransaction(status="Rejected")
        free = Station.transaction is None and evse_id == 1
        if not free or MODEL["EVSE", "AvailabilityState"][0] == "Unavailable":
            return call_result.RequestStartTransaction(status="Rejected")
        Station.numbers += 1
        Station.transaction = {"id": f"tx-{datetime.now(UTC).timestamp():.0f}-{Station.numbers}", "seq": 0}
        return call_result.RequestStartTransaction(status="Accepted")

    @after("RequestStartTransaction")
    async def started(self, id_token, remote_start_id, **_):
        if Station.transaction is not None and Station.transaction["seq"] == 0:
            await self.event(
                "Started",
                "RemoteStart",
                {"remote_start_id": remote_start_id},
                id_token=id_token,
                evse={"id": 1, "connector_id": 1},
                meter_value=self.meter("Transaction.Begin"),
            )

    @on("RequestStopTransaction")
    def stop_transaction(self, transaction_id, **_):
        known = Station.transaction is not None and Station.transaction["id"] == transaction_id
        return call_result.RequestStopTransaction(status="Accepted" if known else "Rejected")

    @after("RequestStopTransaction")
    async def stopped(self, transaction_id, **_):
        if Station.transaction is not None and Station.transaction["id"] == transaction_id:
            await self.end("RemoteStop", "Remote")

    async def end(self, trigger, reason):
        await self.event(
            "Ended",
            trigger,
            {"stopped_reason": reason, "charging_state": "EVConnected"},
            evse={"id": 1, "connector_id": 1},
            meter_value=self.meter("Transaction.End"),
        )
        Station.transaction = None

    @on("GetTransactionStatus")
    def transaction_status(self, transaction_id=None, **_):
        if transaction_id is None:
            return call_result.GetTransactionStatus(messages_in_queue=False)
        running = Station.transaction is not None and Station.transaction["id"] == transaction_id
        return call_result.GetTransactionStatus(messages_in_queue=False, ongoing_indicator=running)

    @on("UnlockConnector")
    def unlock(self, evse_id, connector_id, **_):
        if (evse_id, connector_id) != (1, 1):
            return call_result.UnlockConnector(status="UnknownConnector")
        return call_result.UnlockConnector(
            status="Unlocked" if Station.transaction is None else "OngoingAuthorizedTransaction"
        )

    @on("ClearCache")
    def clear_cache(self, **_):
        return call_result.ClearCache(status="Rejected")

    @on("DataTransfer")
    def data_transfer(self, vendor_id, **_):
        return call_result.DataTransfer(status="UnknownVendorId")

    @on("ChangeAvailability")
    def availability(self, operational_status, evse=None, **_):
        if evse is not None and evse["id"] != 1:
            return call_result.ChangeAvailability(status="Rejected")
        if Station.transaction is not None:
            return call_result.ChangeAvailability(status="Scheduled")
        MODEL["EVSE", "AvailabilityState"][0] = "Occupied" if operational_status == "Operative" else "Unavailable"
        return call_result.ChangeAvailability(status="Accepted")

    @after("ChangeAvailability")
    async def availability_changed(self, **_):
        await self.status()

    @on("TriggerMessage")
    def trigger(self, requested_message, **_):
        known = requested_message in ("Heartbeat", "StatusNotification", "MeterValues")
        return call_result.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after("TriggerMessage")
    async def triggered(self, requested_message, **_):
        if requested_message == "Heartbeat":
            await self.call(call.Heartbeat())
        elif requested_message == "StatusNotification":
            await self.status()
        elif requested_message == "MeterValues":
            await self.call(call.MeterValues(evse_id=1, meter_value=self.meter("Trigger")))


async def main(url):
    while True:
        with contextlib.suppress(Exception):
            async with connect(url, subprotocols=["ocpp2.0.1"]) as socket:
                station = Station(url.rpartition("/")[2], socket)
                tasks = [asyncio.ensure_future(work) for work in (station.start(), _live(station))]
                _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in pending:
                    task.cancel()
        await asyncio.sleep(BACK_OFF_S)


booted = []


async def _live(station):
    if Station.reason == "RemoteReset" or not booted:
        await station.boot()
        booted.append(True)
        Station.reason = "PowerUp"
    await asyncio.gather(station.heartbeats(), station.samples())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
