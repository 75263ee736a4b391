"""Reports of a simulation: HTML page with plots, JSON, JUnit."""
