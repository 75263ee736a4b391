"""The place: what it consumes, generates and stores, the grid it hangs on, and the switch between them."""
