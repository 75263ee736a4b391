"""OCPP 1.6J of an emulated station: messages it sends, handlers of requests."""
