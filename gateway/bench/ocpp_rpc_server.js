// Node's `ocpp-rpc` as a server for `v2x bench ocpp`, strict. Speaks as gateway/bench/ocpp_servers.py does.
const { RPCServer } = require("ocpp-rpc");

const server = new RPCServer({ protocols: ["ocpp2.0.1"], strictMode: true });
server.on("client", (client) => {
  client.handle("BootNotification", () => ({ currentTime: "2026-11-01T12:00:00Z", interval: 300, status: "Accepted" }));
  client.handle("TransactionEvent", () => ({}));
});
server.listen(0, "127.0.0.1").then((http) => console.log(JSON.stringify({ port: http.address().port, loop: "node" })));
process.stdin.on("data", () => {
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ cpu_s: (user + system) / 1e6, rss_kb: Math.round(process.memoryUsage().rss / 1024) }));
});
process.stdin.on("end", () => process.exit(0));
