"""Connection of an emulated station to its CSMS: network profiles, dialing, booting, message queues."""
