"""The site's energy: limits of its connection, sharing over the cars, ramps."""
