"""OCPP 2.0.1 and 2.1 of an emulated station: messages it sends, handlers of requests."""
