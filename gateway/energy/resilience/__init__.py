"""The site without a grid: noticing, disconnecting, starting from a battery, lasting, and coming back."""
