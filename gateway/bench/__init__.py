"""Benchmarks of `v2x bench`, each beside its peer in one run."""
