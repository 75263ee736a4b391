"""OCPP side of the conformance runs: testers for stations and CSMSs, and the catalogue of cases."""
