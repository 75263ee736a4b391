"""OCPP 1.6J of an emulated station: messages it sends, requests it answers."""
