// A station made with `ocpp-rpc`, strict. Arguments: url id version. One JSON line per thing that happened.
const { RPCClient } = require("ocpp-rpc");
const { strictModeValidators } = require("./strict");

const [url, id, version] = process.argv.slice(2);
const protocol = `ocpp${version}`;
const say = (event, value) => console.log(JSON.stringify({ event, value }));
const client = new RPCClient({ endpoint: url, identity: id, protocols: [protocol], strictMode: true, strictModeValidators, reconnect: false });
const early = version === "1.6";

client.on("strictValidationFailure", (failure) => say("violation", String(failure.error)));
client.handle("SetChargingProfile", ({ params }) => {
  say("profile", params);
  return { status: "Accepted" };
});
client.handle("UpdateDynamicSchedule", ({ params }) => {
  say("update", params);
  return { status: "Accepted" };
});
client.handle("GetBaseReport", ({ params }) => {
  setTimeout(() => report(params.requestId).catch((error) => say("failed", String(error))), 10);
  return { status: "Accepted" };
});
client.handle(({ method }) => {
  say("unhandled", method);
  const error = new Error(method);
  error.rpcErrorCode = "NotSupported";
  throw error;
});

function variable(component, name, value, limit) {
  const characteristics = { dataType: limit ? "decimal" : "MemberList", supportsMonitoring: false };
  if (limit) characteristics.maxLimit = limit;
  return {
    component: { name: component, evse: { id: 1 } },
    variable: { name },
    variableAttribute: [{ type: "Actual", value }],
    variableCharacteristics: characteristics,
  };
}

async function report(requestId) {
  await client.call("NotifyReport", {
    requestId,
    generatedAt: new Date().toISOString(),
    seqNo: 0,
    tbc: false,
    reportData: [
      variable("EVSE", "Power", "0", 7000),
      variable("EVSE", "DischargePower", "0", 6000),
      variable("V2XChargingCtrlr", "SupportedOperationModes", "ChargingOnly,CentralSetpoint,CentralFrequency"),
    ],
  });
  say("reported", requestId);
}

async function main() {
  await client.connect();
  const boot = early
    ? { chargePointVendor: "npm", chargePointModel: "rpc" }
    : { reason: "PowerUp", chargingStation: { model: "rpc", vendorName: "npm" } };
  say("boot", (await client.call("BootNotification", boot)).status);
  const timestamp = new Date().toISOString();
  if (early) {
    await client.call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: "Preparing" });
    const started = await client.call("StartTransaction", { connectorId: 1, idTag: "A", meterStart: 1, timestamp });
    say("started", started);
    const value = { value: "1.5", measurand: "Power.Active.Export", unit: "kW" };
    const meterValue = [{ timestamp, sampledValue: [value] }];
    await client.call("MeterValues", { connectorId: 1, transactionId: started.transactionId, meterValue });
  } else {
    await client.call("StatusNotification", { timestamp, connectorStatus: "Occupied", evseId: 1, connectorId: 1 });
    const event = {
      eventType: "Started",
      timestamp,
      triggerReason: "Authorized",
      seqNo: 0,
      transactionInfo: { transactionId: "t1" },
      evse: { id: 1, connectorId: 1 },
      idToken: { idToken: "A", type: "ISO14443" },
      meterValue: [{ timestamp, sampledValue: [{ value: 1500, measurand: "Power.Active.Export" }] }],
    };
    say("started", await client.call("TransactionEvent", event));
  }
  if (version === "2.1") {
    const v2x = { maxChargePower: 7000, maxDischargePower: 6000 };
    const needs = { requestedEnergyTransfer: "DC_BPT", v2xChargingParameters: v2x, controlMode: "DynamicControl" };
    say("needs", await client.call("NotifyEVChargingNeeds", { evseId: 1, chargingNeeds: needs }));
  }
  say("time", (await client.call("Heartbeat", {})).currentTime);
}

process.stdin.on("data", () => client.close().then(() => process.exit(0)));
main().catch((error) => {
  say("failed", `${error.rpcErrorCode} ${error.message}`);
  process.exit(1);
});
