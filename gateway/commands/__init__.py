"""Commands: from intake to the final result."""
