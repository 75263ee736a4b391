"""Device model of an emulated station: variables, common settings of all versions, reports."""
