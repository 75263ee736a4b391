"""Runtime of the emulators: virtual time, transports and MQTT brokers, transcripts and captures."""
