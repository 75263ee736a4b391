"""Demonstrations that `v2x demo` runs."""
