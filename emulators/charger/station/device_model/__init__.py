"""Device model of an emulated 2.x station: variables, reports, monitors, event streams."""
