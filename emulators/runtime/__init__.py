"""The runtime of emulated worlds: virtual time, transports in memory, brokers, captures."""
