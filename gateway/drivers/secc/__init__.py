"""Sessions of ISO 15118 and DIN 70121 that the gateway hosts itself, over the hardware ports of a board."""
