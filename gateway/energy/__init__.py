"""Energy management of the site: real-time loop, look-ahead plan, storage, forecast, operation in an outage."""
