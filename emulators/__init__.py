"""Deterministic emulators of vehicles, charging stations and sites, in virtual time."""
