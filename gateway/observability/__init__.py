"""What the gateway says about itself: the log, the metrics. Read by people and machines, never by the gateway."""
