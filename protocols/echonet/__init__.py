"""ECHONET Lite: frames, device objects as tables, and the engine of a node in both roles (device and controller)."""
