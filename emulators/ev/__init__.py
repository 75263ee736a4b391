"""Emulated electric vehicles: battery and limits, profiles, driver, charging session."""
