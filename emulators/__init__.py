"""The world around the product: cars, chargers, sites and time itself, deterministic and in software."""
