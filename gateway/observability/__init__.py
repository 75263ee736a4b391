"""Log and metrics of the running gateway."""
