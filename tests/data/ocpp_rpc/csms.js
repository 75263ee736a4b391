// A CSMS made with `ocpp-rpc`, strict. One JSON line per thing that happened, the first with its port.
const { RPCServer } = require("ocpp-rpc");
const { strictModeValidators } = require("./strict");

const say = (event, value) => console.log(JSON.stringify({ event, value }));
const server = new RPCServer({ protocols: ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"], strictMode: true, strictModeValidators });
const time = () => new Date().toISOString();
const ANSWERS = {
  BootNotification: () => ({ status: "Accepted", currentTime: time(), interval: 30 }),
  Heartbeat: () => ({ currentTime: time() }),
  Authorize: (protocol) => (protocol === "ocpp1.6" ? { idTagInfo: { status: "Accepted" } } : { idTokenInfo: { status: "Accepted" } }),
  StartTransaction: () => ({ transactionId: 7, idTagInfo: { status: "Accepted" } }),
  NotifyEVChargingNeeds: () => ({ status: "Processing" }),
};

server.on("client", (client) => {
  say("client", { id: client.identity, protocol: client.protocol });
  client.on("strictValidationFailure", (failure) => say("violation", String(failure.error)));
  client.handle(({ method, params }) => {
    say(method, params);
    return ANSWERS[method] ? ANSWERS[method](client.protocol) : {};
  });
  process.stdin.on("data", async (line) => {
    for (const text of String(line).trim().split("\n")) {
      const { action, payload } = JSON.parse(text);
      try {
        say(`${action} answered`, await client.call(action, payload));
      } catch (error) {
        say(`${action} refused`, error.rpcErrorCode);
      }
    }
  });
});
server.listen(0, "127.0.0.1").then((http) => say("port", http.address().port));
