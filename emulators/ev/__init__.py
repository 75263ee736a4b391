"""Emulated electric vehicles."""
