"""Board drivers of emulated hardware, and emulated hardware for the drivers of the product (entry points v2x.board)."""
