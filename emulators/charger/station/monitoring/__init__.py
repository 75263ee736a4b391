"""Monitoring of the variables of an emulated 2.x station: monitors, NotifyEvent, periodic event streams (block N)."""
