"""What we know: the site, its EVSEs, the vehicles at them, the commands in force. Pure values, no input or output."""
