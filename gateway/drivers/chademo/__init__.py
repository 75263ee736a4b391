"""Sessions of CHAdeMO that the gateway hosts itself, over a CAN bus and the hardware ports of a board."""
