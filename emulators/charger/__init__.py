"""Emulated chargers: the charging station (`station`), its SECC (`secc`) and its hardware (`hardware`)."""
