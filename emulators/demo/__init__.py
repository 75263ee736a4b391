"""`v2x demo`: one discharge from an MQTT command to the vehicle battery, and an outage, with their console."""
