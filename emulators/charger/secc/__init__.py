"""The SECC of one emulated EVSE: ISO 15118 sessions over its hardware."""
