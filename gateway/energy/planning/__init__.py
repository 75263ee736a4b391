"""Look-ahead plan: power of vehicles and storage over one or two days, optimised every few minutes."""
