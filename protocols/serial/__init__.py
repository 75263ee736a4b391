"""Serial lines (RS-485, RS-232) as streams of bytes."""
