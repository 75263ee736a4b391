// Stand-in for a charger: an OCPP 1.6 station on `ocpp-rpc` (npm). Arguments: URL without the id, id.
// A vehicle is connected to its one connector. Replace it by your device.
const { RPCClient } = require("ocpp-rpc");

const [url, id] = process.argv.slice(2);
const client = new RPCClient({
  endpoint: url, identity: id, protocols: ["ocpp1.6"], strictMode: false,
  reconnect: true, maxReconnects: Infinity, backoff: { initialDelay: 1000, maxDelay: 2000 },
});
const keys = {
  AuthorizeRemoteTxRequests: ["false", false], ClockAlignedDataInterval: ["0", false], ConnectionTimeOut: ["60", false],
  GetConfigurationMaxKeys: ["50", true], HeartbeatInterval: ["300", false], MeterValueSampleInterval: ["2", false],
  NumberOfConnectors: ["1", true], SupportedFeatureProfiles: ["Core,RemoteTrigger", true],
};
const now = () => new Date().toISOString();
const later = (work) => setTimeout(() => work().catch(() => {}), 20);
let transaction = null, operative = true, booted = false, beat = null, sampler = null;

async function boot() {
  for (;;) {
    const about = { chargePointVendor: "npm ocpp-rpc", chargePointModel: "rpc-station", firmwareVersion: "1.0" };
    const answer = await client.call("BootNotification", about);
    if (answer.status === "Accepted") {
      if (answer.interval) keys.HeartbeatInterval[0] = String(answer.interval);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, (answer.interval || 30) * 1000));
  }
  booted = true;
  await status(0);
  await status(1);
  timers();
}

function timers() {
  clearInterval(beat);
  clearInterval(sampler);
  beat = setInterval(() => client.call("Heartbeat", {}).catch(() => {}), Number(keys.HeartbeatInterval[0]) * 1000);
  const every = Number(keys.MeterValueSampleInterval[0]);
  if (every) sampler = setInterval(() => transaction && meter("Sample.Periodic").catch(() => {}), every * 1000);
}

const state = () => (!operative ? "Unavailable" : transaction ? "Charging" : "Preparing");
const status = (connector) => client.call("StatusNotification", {
  connectorId: connector, errorCode: "NoError", status: connector ? state() : operative ? "Available" : "Unavailable",
});

function meter(context) {
  const value = { value: transaction ? "7000" : "0", measurand: "Power.Active.Import", unit: "W", context };
  const body = { connectorId: 1, meterValue: [{ timestamp: now(), sampledValue: [value] }] };
  if (transaction) body.transactionId = transaction.id;
  return client.call("MeterValues", body);
}

async function start(idTag) {
  const answer = await client.call("StartTransaction", { connectorId: 1, idTag, meterStart: 0, timestamp: now() });
  transaction = { id: answer.transactionId };
  await status(1);
  if (answer.idTagInfo.status !== "Accepted") await stop("DeAuthorized");
}

async function stop(reason) {
  const { id: transactionId } = transaction;
  transaction = null;
  await client.call("StopTransaction", { transactionId, meterStop: 10, timestamp: now(), reason });
  await status(1);
}

client.handle("GetConfiguration", ({ params }) => {
  const wanted = params.key && params.key.length ? params.key : Object.keys(keys);
  return {
    configurationKey: wanted.filter((key) => keys[key]).map((key) => ({ key, readonly: keys[key][1], value: keys[key][0] })),
    unknownKey: wanted.filter((key) => !keys[key]),
  };
});
client.handle("ChangeConfiguration", ({ params: { key, value } }) => {
  if (!keys[key]) return { status: "NotSupported" };
  const numeric = /^\d+$/.test(keys[key][0]);
  if (keys[key][1] || (numeric && !/^\d+$/.test(value))) return { status: "Rejected" };
  keys[key][0] = value;
  timers();
  return { status: "Accepted" };
});
client.handle("Reset", ({ params: { type } }) => {
  later(async () => {
    if (transaction) await stop(type === "Hard" ? "HardReset" : "SoftReset");
    booted = false;
    await client.close({ code: 1000, reason: "reset", awaitPending: true });
    await client.connect();
  });
  return { status: "Accepted" };
});
client.handle("RemoteStartTransaction", ({ params: { idTag, connectorId } }) => {
  if (!booted || transaction || !operative || (connectorId || 1) !== 1) return { status: "Rejected" };
  later(() => start(idTag));
  return { status: "Accepted" };
});
client.handle("RemoteStopTransaction", ({ params: { transactionId } }) => {
  if (!transaction || transaction.id !== transactionId) return { status: "Rejected" };
  later(() => stop("Remote"));
  return { status: "Accepted" };
});
client.handle("ChangeAvailability", ({ params: { connectorId, type } }) => {
  if (connectorId > 1) return { status: "Rejected" };
  if (transaction) return { status: "Scheduled" };
  operative = type === "Operative";
  later(() => status(1));
  return { status: "Accepted" };
});
client.handle("UnlockConnector", ({ params: { connectorId } }) => {
  if (connectorId !== 1) return { status: "NotSupported" };
  if (transaction) later(() => stop("UnlockCommand"));
  return { status: "Unlocked" };
});
client.handle("ClearCache", () => ({ status: "Rejected" }));
client.handle("DataTransfer", () => ({ status: "UnknownVendorId" }));
client.handle("TriggerMessage", ({ params: { requestedMessage: name } }) => {
  const works = {
    BootNotification: () => client.call("BootNotification", { chargePointVendor: "npm ocpp-rpc", chargePointModel: "rpc-station" }),
    Heartbeat: () => client.call("Heartbeat", {}), MeterValues: () => meter("Trigger"), StatusNotification: () => status(1),
  };
  if (!works[name]) return { status: "NotImplemented" };
  later(works[name]);
  return { status: "Accepted" };
});
client.on("open", () => {
  if (!booted) boot().catch(() => {});
});

async function main() {
  for (;;) {
    try {
      await client.connect();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
main();
