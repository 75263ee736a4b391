// Strict validation for OCPP 2.1. `ocpp-rpc` 2.2.1 ships the schemas of 2.1 under ids that its own strict mode does not
// look for (`urn:XRequest` where it asks for `urn:X.req`), so they are handed to it under the names it knows.
const { createValidator } = require("ocpp-rpc");
const path = require("path");

const shipped = require(path.join(path.dirname(require.resolve("ocpp-rpc")), "lib", "schemas", "ocpp2_1.json"));
const renamed = shipped.map((schema) => ({
  ...schema,
  $id: schema.$id.replace(/Request$/, ".req").replace(/Response$/, ".conf"),
}));

module.exports = { strictModeValidators: [createValidator("ocpp2.1", renamed)] };
