"""Conformance runs: catalogues of cases against a device under test, verdicts and reports.

A case states a requirement, a stimulus and an expectation; its procedure acts on the device through the access of a
bench. Device and bench are types of the catalogue: SECC, EV, charging station, CSMS.

    case.py, evidence.py     case and its failures; messages and values that a case records
    capabilities.py          what a device declares (TOML) or states in a dialogue
    catalogue.py             cases of one kind of device: unique ids, selection
    runner.py, state.py      bounded runs, in order; state file of a run that can be resumed
    report/                  JUnit, JSON, HTML
    iso15118/                catalogue of ISO 15118 and DIN 70121, for SECC and EV
"""
