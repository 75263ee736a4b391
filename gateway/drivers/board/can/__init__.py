"""Power stages of DC modules on CAN."""
