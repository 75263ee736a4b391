"""Emulated site: loads, photovoltaics, storage, grid connection and switchgear, and the facility's MQTT client."""
