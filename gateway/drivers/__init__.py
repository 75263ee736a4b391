"""EVSEs that the gateway hosts without OCPP: hardware ports of a board, and the sessions with the vehicle."""
